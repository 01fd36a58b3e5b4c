// Two proxies that bind one address at the same moment.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { test } from 'node:test';
import { checkConfiguration } from '../../lib/config/read.ts';
import { Addresses } from '../../lib/process/addresses.ts';
import { Inheritance } from '../../lib/process/inheritance.ts';
import { findStrangers } from '../../lib/server/stranger.ts';
import { pause, startProgram } from '../support/process.ts';

test('of two that bind one address one gives way at once, and the other waits until it has, unless it stays', {
  skip: process.platform !== 'linux',
}, async (t) => {
  const server = createServer().listen({ port: 0, host: '127.0.0.1', reusePort: true });
  await once(server, 'listening');
  t.after(() => server.close());
  const { port } = server.address() as AddressInfo;
  const code = `require('node:net').createServer().listen({ port: ${port}, host: '127.0.0.1', reusePort: true }, () => console.log('there'));`;
  const other = startProgram(t, process.execPath, ['-e', code]);
  await other.until(({ out }) => out.includes('there'), 'the other');

  const read = checkConfiguration(
    { listeners: { web: { bind: `127.0.0.1:${port}`, routes: [{ respond: { status: 200 } }] } } },
    'x',
  );
  assert.ok('configuration' in read, JSON.stringify(read));
  const addresses = new Addresses(Inheritance.none, read.configuration);
  const { fd } = (server as unknown as { _handle: { fd: number } })._handle;
  const address = { kind: 'tcp', host: '127.0.0.1', port, path: '', fd: -1 } as const;
  const bound = { key: `127.0.0.1:${port}`, listener: 'web', address, descriptor: fd };
  const [stranger] = await findStrangers([bound]);
  let judged = false;
  const fault = addresses.note([bound]).finally(() => {
    judged = true;
  });
  if (stranger!.mayStay) {
    await pause(250);
    assert.equal(judged, false, 'it waits for the other to give way');
    other.kill('SIGKILL');
    assert.equal(await fault, '');
  } else {
    assert.equal(await fault, `listener web: 127.0.0.1:${port}: the address is in use`);
    other.kill('SIGKILL');
  }
  await other.ended;
  assert.equal(await addresses.note([bound]), '');
});
