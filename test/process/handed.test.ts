// Descriptors that a configuration names: those that were handed over at the start, and no others ever after.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { closeSync, fstatSync, openSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { Configuration } from '../../lib/config/configuration.ts';
import { readConfiguration } from '../../lib/config/read.ts';
import { HandedSockets } from '../../lib/process/handed.ts';
import { Admin } from '../support/admin.ts';
import { connectPeer } from '../support/peer.ts';
import { startMillrace, temporaryFolder } from '../support/process.ts';
import { supervise } from '../support/supervisor.ts';

const TOKEN = 't'.repeat(32);

test('a reload that names a descriptor of our own, or any that was not handed over, changes nothing', async (t) => {
  const proxy = await supervise(t, documentOf('web: "127.0.0.1:0"'));
  const { descriptor } = proxy.supervisor.seats[0]!.ports[0]!;
  const file = openSync('/dev/null', 'r');
  t.after(() => closeSync(file));
  for (const number of [descriptor, file, 1_000_000]) {
    const result = await proxy.tryReload(documentOf('web: "127.0.0.1:0"', `other: "fd:${number}"`));
    assert.ok('fault' in result, JSON.stringify(result));
    assert.match(result.fault, new RegExp(`listener other: fd:${number}: no such socket was handed over`));
  }
  const admin = `admin: { bind: "fd:${descriptor}", token: ${TOKEN} }\n${documentOf('web: "127.0.0.1:0"')}`;
  assert.match(JSON.stringify(await proxy.tryReload(admin)), /admin: fd:\d+: no such socket was handed over/);
  fstatSync(file);
  assert.match(await ask(t, proxy.port('web')), /web$/);
});

test('a socket that was handed over is served as long as it is named, and its number is nobody else’s later', async (t) => {
  const { port, descriptor, close } = await listening(t);
  const file = join(temporaryFolder(t), 'millrace.yaml');
  const configure = (...listeners: string[]): void =>
    writeFileSync(file, `workers: 1\nadmin: { bind: "127.0.0.1:0" }\n${documentOf(...listeners)}`);
  configure('web: "fd:3"', 'other: "127.0.0.1:0"');
  const proxy = startMillrace(t, ['run', '-c', file], {}, undefined, [descriptor]);
  close();
  await proxy.address('other');
  const admin = await Admin.of(proxy);
  const reload = async (): Promise<{ status: number; body: unknown }> => admin.post('/v1/reload');
  configure('renamed: "fd:3"', 'other: "127.0.0.1:0"');
  assert.equal((await reload()).status, 200);
  assert.match(await ask(t, port), /renamed$/);
  configure('other: "127.0.0.1:0"');
  assert.equal((await reload()).status, 200);
  await assert.rejects(connectPeer(t, port), { code: 'ECONNREFUSED' });
  configure('web: "fd:3"', 'other: "127.0.0.1:0"');
  const { status, body } = await reload();
  assert.equal(status, 409);
  assert.match(JSON.stringify(body), /listener web: fd:3: no such socket was handed over.*or it was let go/);
});

test('the admin listener keeps a socket that was handed over through an upgrade, and what is not named then is nobody’s', async (t) => {
  const [first, second] = [await listening(t), await listening(t)];
  const file = join(temporaryFolder(t), 'millrace.yaml');
  const configure = (...listeners: string[]): void =>
    writeFileSync(file, `workers: 1\nadmin: { bind: "fd:3", token: ${TOKEN} }\n${documentOf(...listeners)}`);
  configure('web: "fd:4"', 'other: "127.0.0.1:0"');
  const proxy = startMillrace(t, ['run', '-c', file], {}, undefined, [first.descriptor, second.descriptor]);
  first.close();
  second.close();
  await proxy.address('other');
  const admin = new Admin(first.port);
  const post = (path: string) =>
    admin.call({ method: 'POST', path, body: {}, fields: { authorization: `Bearer ${TOKEN}` } });
  configure('other: "127.0.0.1:0"');
  const { status, body } = await post('/v1/upgrade');
  assert.equal(status, 200, JSON.stringify(body) + proxy.err);
  proxy.successors.push(body.pid);
  configure('web: "fd:4"', 'other: "127.0.0.1:0"');
  const refused = await post('/v1/reload');
  assert.equal(refused.status, 409, JSON.stringify(refused.body));
  assert.match(JSON.stringify(refused.body), /listener web: fd:4: no such socket was handed over.*or it was let go/);
  writeFileSync(file, `admin: { bind: "127.0.0.1:0" }\n${documentOf('web: "fd:3"')}`);
  assert.match(
    JSON.stringify((await post('/v1/reload')).body),
    /listener web: fd:3: the admin listener has this socket/,
  );
});

test('a reload that fails leaves a socket that it would have taken as it was, for the next one', async (t) => {
  const [first, second] = [await listening(t), await listening(t)];
  const folder = temporaryFolder(t);
  const [file, taken] = [join(folder, 'millrace.yaml'), join(folder, 'taken.sock')];
  const other = createServer().listen(taken);
  t.after(() => void other.close());
  await once(other, 'listening');
  const configure = (...listeners: string[]): void =>
    writeFileSync(file, `workers: 1\nadmin: { bind: "127.0.0.1:0" }\n${documentOf(...listeners)}`);
  configure('web: "fd:3"');
  const proxy = startMillrace(t, ['run', '-c', file], { LISTEN_FDS: '2' }, undefined, [
    first.descriptor,
    second.descriptor,
  ]);
  first.close();
  second.close();
  await proxy.address('web');
  const admin = await Admin.of(proxy);
  configure('web: "fd:3"', 'more: "fd:4"', `path: "unix:${taken}"`);
  const failed = await admin.post('/v1/reload');
  assert.equal(failed.status, 409, JSON.stringify(failed.body));
  assert.match(JSON.stringify(failed.body), /listener path: .*the address is in use/);
  // The kernel keeps it for whoever listens next.
  const early = await connectPeer(t, second.port);
  early.send('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
  configure('web: "fd:3"', 'more: "fd:4"');
  const { status, body } = await admin.post('/v1/reload');
  assert.equal(status, 200, JSON.stringify(body));
  assert.match(await early.receiveAll(), /more$/);
  assert.match(await ask(t, first.port), /web$/);
});

test('a number stays with whoever has it, a listener or the admin listener, until it is let go', () => {
  const proxy = new HandedSockets(new Map([[3, 'nobody']]), null);
  const listener = configurationOf(documentOf('web: "fd:3"'));
  const admin = configurationOf(`admin: { bind: "fd:3", token: ${TOKEN} }\n${documentOf('web: "127.0.0.1:0"')}`);
  const neither = configurationOf(documentOf('web: "127.0.0.1:0"'));
  assert.deepEqual([proxy.judge(listener), proxy.judge(admin)], ['', '']);
  proxy.give(listener);
  proxy.settle(listener);
  assert.equal(proxy.judge(listener), '');
  assert.match(proxy.judge(admin), /^admin: fd:3: a listener has this socket/);
  proxy.settle(neither);
  for (const configuration of [listener, admin])
    assert.match(proxy.judge(configuration), /fd:3: no such socket was handed over/);
});

test('what a predecessor hands over under other names cannot be named by number', async (t) => {
  const { descriptor, close } = await listening(t);
  const file = join(temporaryFolder(t), 'millrace.yaml');
  writeFileSync(file, documentOf('web: "127.0.0.1:0"', 'other: "fd:3"'));
  const handed = { MILLRACE_SOCKETS: JSON.stringify({ 'web 0': { bound: '127.0.0.1:80', descriptors: [3] } }) };
  const proxy = startMillrace(t, ['run', '-c', file], handed, undefined, [descriptor]);
  close();
  assert.equal(await proxy.ended, 1);
  assert.match(proxy.err, /listener other: fd:3: no such socket was handed over/);
});

test('sockets that are handed over in a way that nobody understands end the start in words', async (t) => {
  const file = join(temporaryFolder(t), 'millrace.yaml');
  writeFileSync(file, documentOf('web: "127.0.0.1:0"'));
  const proxy = startMillrace(t, ['run', '-c', file], { MILLRACE_SOCKETS: '{"web 0": 3' });
  assert.equal(await proxy.ended, 1);
  assert.match(proxy.err, /"message":"MILLRACE_SOCKETS is not what a predecessor sets/);
  assert.doesNotMatch(proxy.err, / at .*\.ts:/);
});

function documentOf(...listeners: string[]): string {
  const written = listeners.map((listener) => {
    const [name, bind] = listener.split(': ');
    return `  ${name}: { bind: ${bind}, routes: [{ respond: { status: 200, body: ${name} } }] }\n`;
  });
  return `listeners:\n${written.join('')}`;
}

function configurationOf(document: string): Configuration {
  const result = readConfiguration(document, 'millrace.yaml');
  assert.ok('configuration' in result, JSON.stringify(result));
  return result.configuration;
}

/** A listening socket to hand over; to be closed here once that is done. */
async function listening(t: TestContext): Promise<{ port: number; descriptor: number; close(): void }> {
  const server: Server = createServer();
  t.after(() => server.close());
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { _handle } = server as unknown as { _handle: { fd: number } };
  return { port: (server.address() as AddressInfo).port, descriptor: _handle.fd, close: () => void server.close() };
}

async function ask(t: TestContext, port: number): Promise<string> {
  const peer = await connectPeer(t, port);
  peer.send('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
  const text = await peer.receiveAll();
  peer.end();
  return text;
}
