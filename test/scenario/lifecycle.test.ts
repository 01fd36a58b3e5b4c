// How a running proxy ends, is replaced, and gets over the loss of an event loop: what its clients notice, and what it says.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { WebSocket } from 'ws';
import { Admin } from '../support/admin.ts';
import { startConfigured } from '../support/configured.ts';
import { ask as askHttp2, http2Client } from '../support/http2.ts';
import { Load } from '../support/load.ts';
import { connectPeer, type Peer, refused } from '../support/peer.ts';
import {
  eventually,
  Millrace,
  type Program,
  ROOT,
  startMillrace,
  startProgram,
  temporaryFolder,
} from '../support/process.ts';
import { startEcho, startHttp, startWebSockets } from '../support/servers.ts';

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

test('tunnels that outlast drainTimeout are cut off and counted in the log, and the exit code is 1', async (t) => {
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
  assert.equal(await proxy.ended, 1);
  assert.match(proxy.err, /drain timeout: connections were cut off","cut":3/);
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

test('an event loop that ends takes its own exchanges with it and no others, and another takes its place', async (t) => {
  const origin = await startRecording(t, 5);
  const proxy = startSupervised(t, documentFor(origin.port));
  const port = await proxy.port('web');
  const admin = await Admin.of(proxy);
  const waiting = await Promise.all(Array.from({ length: 12 }, () => connectPeer(t, port)));
  for (const peer of waiting) {
    peer.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    await peer.receive(/\r\n\r\n\//);
  }
  const [waitingOfFirst] = (await admin.status()).workers.map(({ connections }) => connections);
  const kept = new Load(t, { to: port, kept: 12 });
  await kept.round();
  const before = await admin.status();
  assert.equal(before.connections, 24);
  assert.equal(before.workers[0]!.connections + before.workers[1]!.connections, 24, 'event loops add up');
  assert.equal(before.listeners[0]!.connections, 24);
  assert.equal(before.listeners[0]!.accepted, 24);

  const crowd = new Load(t, { to: port, fresh: 6, pauseMs: 1 });
  await crowd.further(50);
  proxy.process.stdin!.write('end 0\n');
  await proxy.until(({ err }) => err.includes('"event loop replaced"'), 'the replacement');
  t.diagnostic(`replaced after ${/"event loop replaced",.*"tookMs":(\d+)/.exec(proxy.err)![1]} ms`);
  assert.match(proxy.err, /"event loop is lost with its connections","worker":0,"cause":"ended"/);
  const lost = (): number => waiting.filter(({ closed, ended }) => closed || ended).length;
  await eventually(() => lost() === waitingOfFirst, 'the end of those that waited there');
  // Whoever lost a request there has noticed by the time of the next answer.
  await Promise.all([crowd.round(), kept.round()]);
  const faults = [...crowd.faults, ...kept.faults];
  await crowd.further(100);
  await kept.further(100);
  await Promise.all([crowd.stop(), kept.stop()]);
  assert.equal(lost(), waitingOfFirst, 'all of its connections, and no other');
  assert.equal(kept.interrupted, before.workers[0]!.connections - waitingOfFirst!, 'and of those that were in use');
  assert.deepEqual([...crowd.faults, ...kept.faults], faults, 'nothing fails any more');
  // What it had, and what had been put into its queue; nobody was turned away.
  for (const fault of faults) assert.match(fault, /: (closed without an answer|\w+: (ECONNRESET|EPIPE))$/);
  const { workers } = await admin.status();
  assert.deepEqual(
    workers.map(({ worker, state, restarts }) => [worker, state, restarts]),
    [
      [0, 'serving', 1],
      [1, 'serving', 0],
    ],
  );
  for (const peer of waiting) peer.end();
  assert.equal(await proxy.end('SIGTERM'), 0);
});

test('an event loop whose heap is full is replaced like one that has ended', async (t) => {
  const origin = await startRecording(t, 0);
  const proxy = startSupervised(t, `workerMemory: 64MiB\n${documentFor(origin.port)}`);
  const port = await proxy.port('web');
  const admin = await Admin.of(proxy);
  proxy.process.stdin!.write('grow 1\n');
  await replaced(t, proxy, 1, 'out of memory');
  const load = new Load(t, { to: port, kept: 8, fresh: 4 });
  await load.further(100);
  await load.stop();
  assert.deepEqual(load.faults, []);
  assert.deepEqual(
    (await admin.status()).workers.map(({ state, restarts }) => [state, restarts]),
    [
      ['serving', 0],
      ['serving', 1],
    ],
  );
  assert.equal(await proxy.end('SIGTERM'), 0);
});

test('an event loop that stands still is replaced like one that has ended', async (t) => {
  const origin = await startRecording(t, 0);
  // On a machine that is starved the other may stand still for so long as well, and is then replaced too.
  const proxy = startSupervised(t, documentFor(origin.port), 2000);
  const port = await proxy.port('web');
  const admin = await Admin.of(proxy);
  proxy.process.stdin!.write('block 0\n');
  await replaced(t, proxy, 0, 'does not turn');
  const load = new Load(t, { to: port, kept: 8, fresh: 4 });
  await load.round();
  await load.stop();
  await eventually(
    async () => (await admin.status()).workers.every(({ state }) => state === 'serving'),
    'all event loops to serve',
  );
  assert.ok((await admin.status()).workers[0]!.restarts >= 1);
  assert.equal(await proxy.end('SIGTERM'), 0);
});

test('a limit of connections holds over all event loops, and what one held when it ended is free again', async (t) => {
  const origin = await startRecording(t, 0);
  const proxy = startSupervised(t, documentFor(origin.port, 'limits: { connections: 8 }'));
  const port = await proxy.port('web');
  const admin = await Admin.of(proxy);
  const fill = async (): Promise<{ served: Peer[]; refused: number }> => {
    const served: Peer[] = [];
    for (let refused = 0; ; ) {
      const peer = await connectPeer(t, port);
      peer.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
      await peer.receive(/\r\n\r\n[\s\S]/);
      if (peer.text.startsWith('HTTP/1.1 200')) served.push(peer);
      else if (!peer.text.startsWith('HTTP/1.1 503')) assert.fail(peer.text);
      // Both event loops are asked, whichever the kernel chooses.
      else if (++refused === 8) return { served, refused };
    }
  };
  const { served, refused } = await fill();
  assert.equal(served.length, 8);
  const { workers, listeners } = await admin.status();
  assert.deepEqual([listeners[0]!.connections, listeners[0]!.refused], [8, refused]);
  proxy.process.stdin!.write('end 1\n');
  await proxy.until(({ err }) => err.includes('"event loop replaced"'), 'the replacement');
  const lost = (): number => served.filter(({ closed, ended }) => closed || ended).length;
  await eventually(() => lost() === workers[1]!.connections, 'the end of those that it had');
  assert.equal((await fill()).served.length, lost());
});

test('an event loop that holds a socket which was handed over ends the proxy with it, so that it can be handed over again', async (t) => {
  const { server, port } = await listening(t);
  const origin = await startRecording(t, 0);
  const proxy = startSupervised(
    t,
    documentFor(origin.port).replace('"127.0.0.1:0", routes', '"fd:3", routes'),
    STANDSTILL_MS,
    [descriptorOf(server)],
  );
  server.close();
  await proxy.until(({ err }) => err.includes('"listening"'), 'its listener');
  const client = await connectPeer(t, port);
  client.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  await client.receive(/\r\n\r\n\//);
  proxy.process.stdin!.write('end 0\n');
  assert.equal(await proxy.ended, 1);
  assert.match(proxy.err, /a socket that was handed over is lost with its event loop/);
});

test('an upgrade under load refuses and resets nobody: the old process ends with 0, the new one serves and is asked', async (t) => {
  const origin = await startRecording(t, 5);
  const folder = temporaryFolder(t);
  const [path, control] = [join(folder, 'web.sock'), join(folder, 'admin.sock')];
  const { proxy, configure } = startConfigured(t, upgradable(origin.port, path, control));
  const port = await proxy.port('web');
  const admin = new Admin(control);
  assert.equal((await admin.status()).pid, proxy.pid);
  const loads = [
    new Load(t, { to: port, kept: 6, fresh: 4, path: (i) => `/${i}` }),
    new Load(t, { to: path, kept: 2, fresh: 2, path: (i) => `/${i}` }),
  ];
  for (const load of loads) await load.further(50);

  // What cannot start leaves all as it was.
  configure('nonsense');
  const vain = startMillrace(t, ['upgrade', '--admin', `unix:${control}`]);
  assert.equal(await vain.ended, 1);
  assert.match(vain.err, /it ended with 2; its log says why/);
  await proxy.until(({ err }) => /nonsense|must be a map/.test(err), 'why');
  await proxy.until(({ err }) => err.includes('the successor did not start, this process goes on'), 'its word');
  assert.deepEqual([(await admin.status()).pid, (await admin.call({ path: '/v1/ready' })).status], [proxy.pid, 200]);
  for (const load of loads) await load.further(50);
  for (const load of loads) assert.deepEqual(load.faults, []);

  let pid = proxy.pid;
  let gone = once(proxy.process, 'exit');
  for (let round = 1; round <= 2; round++) {
    configure(`${upgradable(origin.port, path, control)}# ${round}\n`);
    const upgrade = startMillrace(t, ['upgrade', '--admin', `unix:${control}`]);
    assert.equal(await upgrade.ended, 0, upgrade.err + proxy.err);
    const next = Number(/^process (\d+) serves; the one before drains\n$/.exec(upgrade.out)![1]);
    proxy.successors.push(next);
    assert.notEqual(next, pid);
    if (round === 1) assert.deepEqual(await gone, [0, null], proxy.err);
    else await eventually(() => !existsSync(`/proc/${pid}`), 'the one before to end');
    const { pid: serving, state, workers } = await admin.status();
    assert.deepEqual([serving, state, workers.length], [next, 'serving', 2]);
    for (const load of loads) await load.further(80);
    pid = next;
    gone = Promise.resolve([]) as never;
  }
  for (const load of loads) {
    await load.stop();
    assert.deepEqual(load.faults, []);
    assert.equal(load.answered, load.asked);
  }
  assert.equal(existsSync(path), true);
  process.kill(pid, 'SIGTERM');
  await eventually(() => !existsSync(path) && !existsSync(control), 'the last one to take its sockets with it');
  assert.equal(await proxy.ended, 0);
});

test('a proxy that ends takes its sockets with it, however long the file system lets others wait', async (t) => {
  const folder = temporaryFolder(t);
  const [file, path, control] = ['millrace.yaml', 'web.sock', 'admin.sock'].map((name) => join(folder, name));
  writeFileSync(file!, upgradable(1, path!, control!));
  const busy = join(ROOT, 'test/support/busy.ts');
  const proxy = startMillrace(t, ['run', '-c', file!], { NODE_OPTIONS: `--import ${busy}`, UV_THREADPOOL_SIZE: '1' });
  await proxy.until(({ err }) => err.includes('"capacity"'), 'its start');
  assert.deepEqual([existsSync(path!), existsSync(control!)], [true, true]);
  proxy.kill('SIGTERM');
  assert.equal(await proxy.ended, 0, proxy.err);
  assert.deepEqual([existsSync(path!), existsSync(control!)], [false, false]);
});

test('tunnels stay with the process that they began in while its successor serves', async (t) => {
  const echo = await startEcho(t);
  const { proxy } = startConfigured(
    t,
    `
workers: 2
drainTimeout: 10m
admin: { bind: "127.0.0.1:0" }
listeners: { raw: { bind: "127.0.0.1:0", protocol: tcp, cluster: raw } }
clusters: { raw: { endpoints: ["127.0.0.1:${echo}"] } }
`,
  );
  const port = await proxy.port('raw');
  const old = await connectPeer(t, port);
  old.send('before');
  await old.receive('before');
  const exited = once(proxy.process, 'exit');
  const admin = await Admin.of(proxy);
  const { status, body } = await admin.post('/v1/upgrade');
  assert.equal(status, 200, JSON.stringify(body));
  proxy.successors.push(body.pid);
  old.send('after');
  await old.receive('after');
  const young = await connectPeer(t, port);
  young.send('hello');
  await young.receive('hello');
  assert.equal((await admin.status()).connections, 1);
  assert.equal(proxy.process.exitCode, null);
  old.end();
  assert.deepEqual(await exited, [0, null]);
  process.kill(body.pid, 'SIGKILL');
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

/** Resolves once the log tells of an event loop's loss and of its replacement. */
async function replaced(t: TestContext, proxy: Program, worker: number, cause: string): Promise<void> {
  const lost = new RegExp(
    `lost with its connections","worker":${worker},"cause":"${cause}"[\\s\\S]*"event loop replaced","worker":${worker},"tookMs":(\\d+)`,
  );
  await proxy.until(({ err }) => lost.test(err), `the replacement of one that ${cause}`);
  t.diagnostic(`${cause}: replaced after ${lost.exec(proxy.err)![1]} ms`);
}

/** Longer than an event loop stands still on any machine. */
const STANDSTILL_MS = 10 * 60_000;

/** A proxy whose event loops can be harmed. */
function startSupervised(
  t: TestContext,
  document: string,
  standstillMs = STANDSTILL_MS,
  descriptors: readonly number[] = [],
): Program & Pick<Millrace, 'port' | 'address'> {
  const file = join(temporaryFolder(t), 'millrace.yaml');
  writeFileSync(file, document);
  const support = join(ROOT, 'test/support');
  const args = ['--import', join(support, 'torment.ts'), join(support, 'supervised.ts'), file, String(standstillMs)];
  const program = startProgram(t, process.execPath, args, {}, descriptors);
  return Object.assign(program, { port: Millrace.prototype.port, address: Millrace.prototype.address });
}

function documentFor(origin: number, listener = ''): string {
  return `
workers: 2
admin: { bind: "127.0.0.1:0" }
listeners: { web: { bind: "127.0.0.1:0", routes: [{ cluster: api }], ${listener} } }
clusters: { api: { endpoints: ["127.0.0.1:${origin}"] } }
`;
}

function upgradable(origin: number, path: string, control: string): string {
  return `
workers: 2
admin: { bind: "unix:${control}" }
listeners: { web: { bind: ["127.0.0.1:0", "unix:${path}"], cluster: api } }
clusters: { api: { endpoints: ["127.0.0.1:${origin}"] } }
`;
}

/** A listening socket to hand over: to be closed here once that is done. */
async function listening(t: TestContext): Promise<{ server: ReturnType<typeof createTcpServer>; port: number }> {
  const server = createTcpServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => void server.close());
  return { server, port: (server.address() as AddressInfo).port };
}

function descriptorOf(server: ReturnType<typeof createTcpServer>): number {
  return (server as unknown as { _handle: { fd: number } })._handle.fd;
}

interface Recording {
  readonly port: number;
  /** Paths that it was asked for. */
  readonly seen: Set<string>;
  /** Answers what waits at `/held`, and from now on at once. */
  release(): void;
}

/** Answers with the path that it was asked for; those that begin with `/held` wait. */
async function startRecording(t: TestContext, delayMs: number): Promise<Recording> {
  const seen = new Set<string>();
  const held: (() => void)[] = [];
  let released = false;
  const port = await startHttp(t, ({ url = '' }, response) => {
    seen.add(url);
    const answer = (): void => void response.end(url);
    if (url.startsWith('/held') && !released) held.push(answer);
    else if (delayMs > 0) setTimeout(answer, delayMs);
    else answer();
  });
  const release = (): void => {
    released = true;
    for (const answer of held.splice(0)) answer();
  };
  return { port, seen, release };
}
