// Where the admin listener is: who is let in is decided by its address, so a socket that was handed over must be the one that
// was asked for.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { isAt } from '../../lib/admin/server.ts';
import { type Address, parseAddress } from '../../lib/base/address.ts';
import { Admin } from '../support/admin.ts';
import { connectPeer } from '../support/peer.ts';
import {
  freePort,
  type Millrace,
  type Program,
  ROOT,
  startMillrace,
  startProgram,
  temporaryFolder,
} from '../support/process.ts';

const PROGRAM = join(ROOT, 'test/support/admin-program.ts');
const TOKEN = 'correct-horse-battery-staple';

test('a socket that is bound elsewhere, or reached by others, is not the one that was asked for', () => {
  for (const [bound, asked, fits] of [
    ['127.0.0.1:9901', '127.0.0.1:9901', true],
    ['127.0.0.1:9902', '127.0.0.1:9901', false],
    ['127.0.0.1:9902', '127.0.0.1:0', true],
    ['[::1]:9901', 'localhost:9901', true],
    ['0.0.0.0:9901', '127.0.0.1:9901', false],
    ['[::]:9901', 'localhost:9901', false],
    ['[::]:9901', ':9901', true],
    ['127.0.0.1:9901', 'unix:/run/a.sock', false],
    ['unix:/run/a.sock', 'unix:/run/a.sock', true],
    ['unix:/run/a.sock', '127.0.0.1:9901', false],
    ['127.0.0.1:9901', 'fd:3', true],
  ] as const) {
    assert.equal(isAt(parseAddress(bound) as Address, parseAddress(asked) as Address), fits, `${bound} for ${asked}`);
  }
});

test('who asks while a successor gets ready is answered by the predecessor when that gives up', async (t) => {
  const opener = createServer().listen(0, '127.0.0.1');
  await once(opener, 'listening');
  const { _handle } = opener as unknown as { _handle: { fd: number } };
  const { port } = opener.address() as AddressInfo;
  const start = async (...args: string[]): Promise<Program> => {
    const program = startProgram(t, process.execPath, [PROGRAM, ...args], {}, [_handle.fd]);
    await program.until(({ out }) => out.includes('prepared'), 'its word');
    return program;
  };
  const [predecessor, successor] = [await start('idle'), await start()];
  opener.close();
  const peers = await Promise.all(Array.from({ length: 5 }, () => connectPeer(t, port)));
  for (const peer of peers) peer.send(`GET /v1/ready HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nConnection: close\r\n\r\n`);
  successor.process.stdin!.write('stop\n');
  await successor.until(({ out }) => out.includes('did stop'), 'its end');
  predecessor.process.stdin!.write('admit\n');
  for (const peer of peers) assert.match(await peer.receiveAll(), /^HTTP\/1\.1 200 /);
});

test('an upgrade takes the admin socket over at the same address alone: another one begins with its own', async (t) => {
  const port = await freePort();
  const path = join(temporaryFolder(t), 'admin.sock');
  const { proxy, configure } = await start(t, `{ bind: "127.0.0.2:${port}", token: ${TOKEN} }`);
  // The one asks for no token, which may hold for its own address only.
  configure(`{ bind: "127.0.0.1:${port}" }`);
  await upgraded(t, proxy, `127.0.0.2:${port}`);
  assert.equal((await new Admin(port).status()).generation, 1);
  await assert.rejects(once(connect(port, '127.0.0.2'), 'connect'), { code: 'ECONNREFUSED' });
  configure(`{ bind: "unix:${path}" }`);
  await upgraded(t, proxy, `127.0.0.1:${port}`);
  assert.equal((await new Admin(path).status()).generation, 1);
  await assert.rejects(once(connect(port, '127.0.0.1'), 'connect'), { code: 'ECONNREFUSED' });
});

test('an admin listener goes to another host on its port by a reload, and stays where that one is taken', async (t) => {
  const port = await freePort();
  const { proxy, configure } = await start(t, `{ bind: "127.0.0.1:${port}" }`);
  const admin = new Admin(port);
  const other = createServer().listen(port, '127.0.0.2');
  await once(other, 'listening');
  t.after(() => void other.close());
  configure(`{ bind: "127.0.0.2:${port}" }`);
  const { status, body } = await admin.post('/v1/reload');
  assert.deepEqual([status, body.error], [409, `admin: 127.0.0.2:${port}: the address is in use`]);
  assert.equal((await admin.status()).generation, 1);
  // The same address by another name, which is in the way of the first as every interface would be.
  configure(`{ bind: "[::ffff:127.0.0.1]:${port}", token: ${TOKEN} }`);
  other.close();
  await once(other, 'close');
  assert.equal((await admin.post('/v1/reload')).status, 200, proxy.err);
  assert.equal((await admin.call({ path: '/v1/status' })).status, 401);
  const { body: told } = await admin.call({ path: '/v1/status', fields: { authorization: `Bearer ${TOKEN}` } });
  assert.equal(told.generation, 2);
});

test('connections that say nothing keep nobody out, and are closed soon', async (t) => {
  const port = await freePort();
  const { proxy } = await start(t, `{ bind: "127.0.0.1:${port}", token: ${TOKEN} }`);
  const authorized = { authorization: `Bearer ${TOKEN}` };
  const silent = await Promise.all(Array.from({ length: 100 }, () => connectPeer(t, port)));
  const admin = new Admin(port);
  for (let at = 0; at < 3; at++) {
    assert.equal((await admin.call({ path: '/v1/ready', fields: authorized })).status, 200, proxy.err);
    silent.push(await connectPeer(t, port));
  }
  const slow = await connectPeer(t, port);
  slow.send('GET /v1/ready HTTP/1.1\r\nHost: a\r\n');
  for (const peer of [...silent, slow]) await peer.until(() => peer.ended || peer.closed, 'its end');
  const refused = await connectPeer(t, port);
  refused.send(`GET /v1/ready HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`);
  assert.match(await refused.receiveAll(), /^HTTP\/1\.1 401 /);
});

test('with its address and token an admin listener takes along whoever has connected and not asked yet', async (t) => {
  const [before, after] = [await freePort(), await freePort()];
  const { proxy, configure } = await start(t, `{ bind: "127.0.0.1:${before}", token: ${TOKEN} }`);
  const head = (line: string): string =>
    `${line} HTTP/1.1\r\nHost: 127.0.0.1:${before}\r\nAuthorization: Bearer ${TOKEN}\r\n`;
  const change = `${head('POST /v1/reload')}Content-Type: application/json\r\nContent-Length: 2\r\n\r\n`;
  const [silent, slow, upload, reload] = await Promise.all([0, 1, 2, 3].map(() => connectPeer(t, before)));
  slow!.send(head('GET /v1/ready'));
  upload!.send(`${change}{`);
  // The last one says that the ones before have arrived.
  const admin = new Admin(before);
  assert.equal((await admin.call({ path: '/v1/ready', fields: { authorization: `Bearer ${TOKEN}` } })).status, 200);
  configure(`{ bind: "127.0.0.1:${after}", token: another-${TOKEN} }`);
  reload!.send(`${change}{}`);
  assert.match(await reload!.receiveAll(), /^HTTP\/1\.1 200 [\s\S]*\r\nConnection: close\r\n/i, proxy.err);
  silent!.send(`${head('GET /v1/ready')}\r\n`);
  slow!.send('\r\n');
  upload!.send('}');
  for (const peer of [silent, slow, upload]) assert.equal(await peer!.receiveAll(), '');
});

/** A proxy with this admin listener, or another from the next reload or upgrade on. */
async function start(t: TestContext, admin: string): Promise<{ proxy: Millrace; configure(admin: string): void }> {
  const file = join(temporaryFolder(t), 'millrace.yaml');
  const configure = (options: string): void =>
    writeFileSync(
      file,
      `
workers: 0
admin: ${options}
listeners: { web: { bind: "127.0.0.1:0", routes: [{ respond: { status: 200, body: hi } }] } }
`,
    );
  configure(admin);
  const proxy = startMillrace(t, ['run', '-c', file]);
  await proxy.until(({ err }) => err.includes('"capacity"'), 'its start');
  return { proxy, configure };
}

/** Lets the proxy start its successor; resolves once that serves. */
async function upgraded(t: TestContext, proxy: Millrace, admin: string): Promise<void> {
  const upgrade = startMillrace(t, ['upgrade', '--admin', admin], { MILLRACE_ADMIN_TOKEN: TOKEN });
  assert.equal(await upgrade.ended, 0, upgrade.err + proxy.err);
  proxy.successors.push(Number(/^process (\d+)/.exec(upgrade.out)![1]));
}
