// How a running proxy ends: what its clients notice, and what it says. A successor that takes its place: upgrade.test.ts.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { WebSocket } from 'ws';
import { Admin } from '../support/admin.ts';
import { startConfigured } from '../support/configured.ts';
import { ask as askHttp2, http2Client } from '../support/http2.ts';
import { Load } from '../support/load.ts';
import { connectPeer, type Peer, refused } from '../support/peer.ts';
import { eventually, type Millrace, ROOT, startMillrace, temporaryFolder } from '../support/process.ts';
import { startEcho, startRecording, startWebSockets } from '../support/servers.ts';

test('a proxy that is told to end under load answers all that it has accepted, says Connection: close, and ends with 0', async (t) => {
  const origin = await startRecording(t, 5);
  const { proxy } = startConfigured(t, documentFor(origin.port));
  const load = new Load(t, { to: await proxy.port('web'), kept: 10, fresh: 4, path: (i) => `/${i}`, pauseMs: 1 });
  await load.further(200);
  load.ending = true;
  proxy.kill('SIGTERM');
  assert.equal(await proxy.ended, 0, proxy.err);
  await load.stop();
  assert.deepEqual(load.faults, []);
  const lost = [...origin.seen].filter((path) => !load.answers.has(path));
  assert.deepEqual(lost, [], 'what an origin has been asked reaches its client');
  assert.ok(load.closing > 0, 'clients are told that their connection ends');
  assert.match(proxy.err, /"message":"drained"/);
});

test('during drainDelay the proxy is not ready and serves all the same', async (t) => {
  const origin = await startRecording(t, 0);
  const { proxy } = startConfigured(t, `drainDelay: 10m\n${documentFor(origin.port)}`);
  const port = await proxy.port('web');
  const admin = await Admin.of(proxy);
  const client = http2Client(t, port);
  client.on('goaway', () => assert.fail('it is not leaving yet'));
  assert.equal((await askHttp2(client, { ':path': '/first' })).body.toString(), '/first');
  assert.deepEqual([(await admin.call({ path: '/v1/ready' })).status, (await admin.status()).state], [200, 'serving']);
  proxy.kill('SIGTERM');
  await proxy.until(({ err }) => err.includes('not ready any more, draining soon'), 'its word');
  assert.deepEqual([(await admin.call({ path: '/v1/ready' })).status, (await admin.status()).state], [503, 'draining']);
  // Whoever has not noticed yet is served as ever.
  const late = await connectPeer(t, port);
  for (const path of ['/late', '/later']) {
    late.send(`GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`);
    await late.receive(`\r\n\r\n${path}`);
  }
  assert.match(late.text, /^HTTP\/1\.1 200 OK\r\n/);
  assert.doesNotMatch(late.text, /connection: close/i);
  assert.equal((await askHttp2(client, { ':path': '/second' })).status, 200);
});

test('after drainDelay HTTP/2 gets GOAWAY and its streams finish, and what is idle is closed', async (t) => {
  const delayMs = 300;
  const origin = await startRecording(t, 0);
  const { proxy } = startConfigured(t, `drainDelay: ${delayMs}ms\ndrainTimeout: 10m\n${documentFor(origin.port)}`);
  const port = await proxy.port('web');
  const client = http2Client(t, port);
  const idle = await connectPeer(t, port);
  idle.send('GET /idle HTTP/1.1\r\nHost: a\r\n\r\n');
  await idle.receive('\r\n\r\n/idle');
  const kept = await connectPeer(t, port);
  kept.send('GET /held/kept HTTP/1.1\r\nHost: a\r\n\r\n');
  const stream = askHttp2(client, { ':path': '/held/stream' });
  await eventually(() => origin.seen.has('/held/kept') && origin.seen.has('/held/stream'), 'what will be under way');
  const toldMs = performance.now();
  const goaway = once(client, 'goaway');
  proxy.kill('SIGTERM');
  assert.equal((await goaway)[0], 0);
  // Timers of the proxy and of this process are not cut from the same cloth.
  assert.ok(performance.now() - toldMs > delayMs - 50);
  assert.match(await idle.receiveAll(), /\/idle$/);
  await refused(port);
  assert.equal(proxy.process.exitCode, null, 'it waits for what is under way');
  origin.release();
  const { status, body } = await stream;
  assert.deepEqual([status, body.toString()], [200, '/held/stream']);
  assert.match(await kept.receiveAll(), /\r\nConnection: close\r\n[\s\S]*\/held\/kept$/i);
  for (const peer of [idle, kept]) peer.end();
  assert.equal(await proxy.ended, 0, proxy.err);
});

const tunnelsFor = (drainTimeout: string, sockets: number, echo: number): string => `
workers: 2
drainTimeout: ${drainTimeout}
admin: { bind: "127.0.0.1:0" }
listeners:
  web: { bind: "127.0.0.1:0", cluster: sockets }
  raw: { bind: "127.0.0.1:0", protocol: tcp, cluster: raw }
clusters:
  sockets: { endpoints: ["127.0.0.1:${sockets}"] }
  raw: { endpoints: ["127.0.0.1:${echo}"] }
`;

test('tunnels go on after a drain has begun, and when they end by themselves in time nothing is cut', async (t) => {
  const { proxy } = startConfigured(t, tunnelsFor('10m', await startWebSockets(t), await startEcho(t)));
  const { tunnels, socket } = await dialTunnels(t, proxy);
  const drain = startMillrace(t, ['drain', '--admin', await Admin.addressOf(proxy)]);
  assert.deepEqual([await drain.ended, drain.out], [0, 'draining\n']);
  await proxy.until(({ err }) => err.includes('"message":"draining"'), 'its word');
  await refused(await proxy.port('raw'));
  for (const tunnel of tunnels) {
    tunnel.send('still here');
    await tunnel.receive('still here');
  }
  socket.send('so am I');
  assert.equal(String((await once(socket, 'message'))[0]), 'so am I');
  assert.equal(proxy.process.exitCode, null);
  for (const tunnel of tunnels) tunnel.end();
  socket.close();
  assert.equal(await proxy.ended, 0, proxy.err);
  assert.match(proxy.err, /"message":"drained"/);
  for (const tunnel of tunnels) {
    await tunnel.receiveAll();
    assert.equal(tunnel.error, null);
  }
});

test('tunnels that outlast drainTimeout are cut off and counted in the log, and the exit code is 3', async (t) => {
  const { proxy } = startConfigured(t, tunnelsFor('500ms', await startWebSockets(t), await startEcho(t)));
  const { tunnels, socket } = await dialTunnels(t, proxy);
  // One that has ended by itself is not cut.
  const early = tunnels.pop()!;
  early.end();
  await early.receiveAll();
  const closed = once(socket, 'close');
  const admin = await Admin.of(proxy);
  await eventually(async () => (await admin.status()).connections === 3, 'the end of one');
  proxy.kill('SIGTERM');
  assert.equal(await proxy.ended, 3);
  assert.match(proxy.err, /drain timeout: connections were cut off","cut":3,/);
  for (const tunnel of tunnels) await tunnel.until(() => tunnel.closed || tunnel.ended, 'its end');
  await closed;
});

test('millrace drain ends an idle proxy with 0, and tells when there is nobody to drain', async (t) => {
  const origin = await startRecording(t, 0);
  const { proxy } = startConfigured(t, documentFor(origin.port));
  await proxy.port('web');
  const drain = startMillrace(t, ['drain', '--admin', await Admin.addressOf(proxy)]);
  assert.deepEqual([await drain.ended, drain.out], [0, 'draining\n']);
  assert.equal(await proxy.ended, 0);
  const again = startMillrace(t, ['drain', '--admin', await Admin.addressOf(proxy)]);
  assert.equal(await again.ended, 1);
  assert.match(again.err, /nobody listens there/);
});

test('a proxy that ends takes its sockets with it, however long the file system lets others wait', async (t) => {
  const folder = temporaryFolder(t);
  const [file, path, control] = ['millrace.yaml', 'web.sock', 'admin.sock'].map((name) => join(folder, name));
  const document = `
workers: 2
admin: { bind: "unix:${control}" }
listeners: { web: { bind: ["127.0.0.1:0", "unix:${path}"], routes: [] } }
`;
  writeFileSync(file!, document);
  const busy = join(ROOT, 'test/support/busy.ts');
  const proxy = startMillrace(t, ['run', '-c', file!], { NODE_OPTIONS: `--import ${busy}`, UV_THREADPOOL_SIZE: '1' });
  await proxy.until(({ err }) => err.includes('"capacity"'), 'its start');
  assert.deepEqual([existsSync(path!), existsSync(control!)], [true, true]);
  proxy.kill('SIGTERM');
  assert.equal(await proxy.ended, 0, proxy.err);
  assert.deepEqual([existsSync(path!), existsSync(control!)], [false, false]);
});

/** Three tunnels and a WebSocket that have been used. */
async function dialTunnels(t: TestContext, proxy: Millrace): Promise<{ tunnels: Peer[]; socket: WebSocket }> {
  const [raw, web] = [await proxy.port('raw'), await proxy.port('web')];
  const tunnels = await Promise.all(Array.from({ length: 3 }, () => connectPeer(t, raw)));
  for (const tunnel of tunnels) tunnel.send('hello');
  for (const tunnel of tunnels) await tunnel.receive('hello');
  const socket = new WebSocket(`ws://127.0.0.1:${web}/`);
  socket.on('error', () => {});
  t.after(() => socket.terminate());
  await once(socket, 'open');
  return { tunnels, socket };
}

function documentFor(origin: number): string {
  return `
workers: 2
admin: { bind: "127.0.0.1:0" }
listeners: { web: { bind: "127.0.0.1:0", cluster: api } }
clusters: { api: { endpoints: ["127.0.0.1:${origin}"] } }
`;
}
