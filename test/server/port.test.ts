// One bound address: what arrives at sockets that somebody else has opened.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { linkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { connectPeer } from '../support/peer.ts';
import { startMillrace, temporaryFolder } from '../support/process.ts';

test('clients of a unix socket that was handed over are served: systemd opens such sockets too', async (t) => {
  const folder = temporaryFolder(t);
  const [file, path, opened] = ['millrace.yaml', 'web.sock', 'opened.sock'].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ];
  const routes = '[{ respond: { status: 200, body: hi } }]';
  writeFileSync(file, `workers: 1\nlisteners: { web: { bind: "fd:3", routes: ${routes} } }\n`);
  const opener = createServer().listen(opened);
  await once(opener, 'listening');
  const { _handle } = opener as unknown as { _handle: { fd: number } };
  const proxy = startMillrace(t, ['run', '-c', file], { LISTEN_FDS: '1' }, undefined, [_handle.fd]);
  // Node removes what it has bound when it closes it: clients go by another name of the same socket.
  linkSync(opened, path);
  opener.close();
  await proxy.address('web');
  const peer = await connectPeer(t, path);
  peer.send('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
  assert.match(await peer.receiveAll(), /^HTTP\/1\.1 200 [\s\S]*hi$/);
  assert.equal(await proxy.end('SIGTERM'), 0);
});
