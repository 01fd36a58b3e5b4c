// The DNS server of the chaos run: what resolvers learn from it.

import assert from 'node:assert/strict';
import { Resolver } from 'node:dns/promises';
import { test } from 'node:test';
import { NameServer } from '../../native-bench/chaos/name-server.ts';

test('it tells the addresses of its name as they are now, and knows no other', async () => {
  const server = await NameServer.start('app.test', 1);
  try {
    const resolver = new Resolver({ timeout: 1000, tries: 1 });
    resolver.setServers([`127.0.0.1:${server.port}`]);
    server.addresses = ['127.0.0.1', '10.1.2.3'];
    assert.deepEqual(await resolver.resolve4('APP.test', { ttl: true }), [
      { address: '127.0.0.1', ttl: 1 },
      { address: '10.1.2.3', ttl: 1 },
    ]);
    server.addresses = ['127.0.0.2'];
    assert.deepEqual(await resolver.resolve4('app.test'), ['127.0.0.2']);
    server.addresses = [];
    await assert.rejects(resolver.resolve4('app.test'), { code: 'ENODATA' });
    await assert.rejects(resolver.resolve6('app.test'), { code: 'ENODATA' });
    await assert.rejects(resolver.resolve4('other.test'), { code: 'ENOTFOUND' });
  } finally {
    server.stop();
  }
});
