// A successor that is given up leaves everything to its predecessor.

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Admin } from '../support/admin.ts';
import { connectPeer } from '../support/peer.ts';
import { startMillrace, temporaryFolder } from '../support/process.ts';

test('a successor that cannot bind all it wants leaves the paths of unix sockets to its predecessor', async (t) => {
  const folder = temporaryFolder(t);
  const [path, control, file] = [join(folder, 'web.sock'), join(folder, 'admin.sock'), join(folder, 'millrace.yaml')];
  const documentOf = (more: string): string => `
workers: 1
admin: { bind: "unix:${control}" }
listeners:
  web: { bind: "unix:${path}", routes: [{ respond: { status: 200, body: hi } }] }
${more}`;
  writeFileSync(file, documentOf(''));
  const proxy = startMillrace(t, ['run', '-c', file]);
  await proxy.address('web');
  // RFC 5737: nobody has this address.
  writeFileSync(file, documentOf('  far: { bind: "192.0.2.1:9", routes: [{ respond: { status: 200 } }] }\n'));
  const admin = new Admin(control);
  const { status, body } = await admin.post('/v1/upgrade');
  assert.equal(status, 500, JSON.stringify(body));
  assert.match(proxy.err, /192\.0\.2\.1:9: this machine does not have the address/);
  const peer = await connectPeer(t, path);
  peer.send('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
  assert.match(await peer.receiveAll(), /hi$/);
  assert.equal((await admin.status()).pid, proxy.pid);
});
