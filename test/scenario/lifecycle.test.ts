// How a running proxy ends, is replaced, and gets over the loss of an event loop: what its clients notice, and what it says.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { WebSocket, WebSocketServer } from 'ws';
import { Admin } from '../support/admin.ts';
import { ask as askHttp2, http2Client } from '../support/http2.ts';
import { Load } from '../support/load.ts';
import { connectPeer, type Peer } from '../support/peer.ts';
import {
  eventually,
  Millrace,
  type Program,
  ROOT,
  startMillrace,
  startProgram,
  temporaryFolder,
} from '../support/process.ts';

test('a proxy that is told to end under load answers all that it has accepted, says Connection: close, and ends with 0', async (t) => {
  const origin = await startHttp(t, 5);
  const { proxy } = start(t, documentFor(origin.port));
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

test('during drainDelay the proxy is not ready and serves all the same; then HTTP/2 gets GOAWAY and its streams finish', async (t) => {
  const origin = await startHttp(t, 0);
  const { proxy } = start(t, `drainDelay: 1500ms\n${documentFor(origin.port)}`);
  const port = await proxy.port('web');
  const admin = await Admin.of(proxy);
  const client = http2Client(t, port);
  const kept = await connectPeer(t, port);
  assert.equal((await askHttp2(client, { ':path': '/first' })).body.toString(), '/first');
  assert.deepEqual([(await admin.call({ path: '/v1/ready' })).status, (await admin.status()).state], [200, 'serving']);
  const slow = askHttp2(client, { ':path': '/slow?ms=2500' });
  let goaway = false;
  client.on('goaway', (code) => {
    assert.equal(code, 0);
    goaway = true;
  });
  proxy.kill('SIGTERM');
  await proxy.until(({ err }) => err.includes('not ready any more, draining soon'), 'its word');
  assert.deepEqual([(await admin.call({ path: '/v1/ready' })).status, (await admin.status()).state], [503, 'draining']);
  // Whoever has not noticed yet is served as ever.
  const late = await connectPeer(t, port);
  late.send('GET /late HTTP/1.1\r\nHost: a\r\n\r\n');
  assert.match(await late.receive('/late'), /^HTTP\/1\.1 200 OK\r\n/);
  assert.doesNotMatch(late.text, /connection: close/i);
  assert.equal(goaway, false);
  kept.send('GET /slow?ms=2500 HTTP/1.1\r\nHost: a\r\n\r\n');
  const { status, body } = await slow;
  assert.deepEqual([status, body.toString()], [200, '/slow?ms=2500']);
  assert.equal(goaway, true);
  // Idle connections are closed, those in use with the reply.
  assert.match(await late.receiveAll(), /\/late$/);
  assert.match(await kept.receiveAll(), /\r\nConnection: close\r\n[\s\S]*\/slow\?ms=2500$/i);
  await assert.rejects(connectPeer(t, port), { code: 'ECONNREFUSED' });
  assert.equal(await proxy.ended, 0, proxy.err);
});

test('tunnels get drainTimeout; those that are cut off are counted in the log, and the exit code is 3', async (t) => {
  const echo = await startEcho(t);
  const { proxy } = start(
    t,
    `
workers: 2
drainTimeout: 700ms
admin: { bind: "127.0.0.1:0" }
listeners:
  web: { bind: "127.0.0.1:0", cluster: sockets }
  raw: { bind: "127.0.0.1:0", protocol: tcp, cluster: raw }
clusters:
  sockets: { endpoints: ["127.0.0.1:${await startWebSockets(t)}"] }
  raw: { endpoints: ["127.0.0.1:${echo}"] }
`,
  );
  const tunnels = await Promise.all(Array.from({ length: 3 }, async () => connectPeer(t, await proxy.port('raw'))));
  for (const tunnel of tunnels) tunnel.send('hello');
  for (const tunnel of tunnels) await tunnel.receive('hello');
  const socket = new WebSocket(`ws://127.0.0.1:${await proxy.port('web')}/`);
  socket.on('error', () => {});
  t.after(() => socket.terminate());
  await once(socket, 'open');
  const drain = startMillrace(t, ['drain', '--admin', adminAddress(proxy)]);
  assert.deepEqual([await drain.ended, drain.out], [0, 'draining\n']);
  // They go on until then, and one that ends by itself is not cut.
  tunnels[0]!.send('still here');
  await tunnels[0]!.receive('still here');
  tunnels[0]!.end();
  assert.equal(await proxy.ended, 3);
  assert.match(proxy.err, /drain timeout: connections were cut off","cut":3,/);
  for (const tunnel of tunnels) await tunnel.until(() => tunnel.closed || tunnel.ended, 'its end');
  assert.equal(tunnels[0]!.error, null);
  if (socket.readyState !== WebSocket.CLOSED) await once(socket, 'close');
});

test('millrace drain ends an idle proxy with 0, and tells when there is nobody to drain', async (t) => {
  const origin = await startHttp(t, 0);
  const { proxy } = start(t, documentFor(origin.port));
  await proxy.port('web');
  const drain = startMillrace(t, ['drain', '--admin', adminAddress(proxy)]);
  assert.deepEqual([await drain.ended, drain.out], [0, 'draining\n']);
  assert.equal(await proxy.ended, 0);
  const again = startMillrace(t, ['drain', '--admin', adminAddress(proxy)]);
  assert.equal(await again.ended, 1);
  assert.match(again.err, /nobody listens there/);
});

test('an event loop that ends takes its own exchanges with it and no others, and another takes its place', async (t) => {
  const origin = await startHttp(t, 5);
  const proxy = startSupervised(t, documentFor(origin.port));
  const port = await proxy.port('web');
  const admin = await Admin.of(proxy);
  const kept = new Load(t, { to: port, kept: 12 });
  const waiting = await Promise.all(Array.from({ length: 12 }, () => connectPeer(t, port)));
  for (const peer of waiting) {
    peer.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    await peer.receive(/\r\n\r\n\//);
  }
  await kept.further(50);
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
  const lostOfCrowd = crowd.faults.length;
  await crowd.further(100);
  await kept.further(100);
  await Promise.all([crowd.stop(), kept.stop()]);
  const lost = waiting.filter(({ closed, ended }) => closed || ended).length;
  // One more may have been opened and lost by a client while it was being counted.
  const reconnected = kept.connections - 12;
  assert.equal(lost + reconnected, before.workers[0]!.connections, 'all of its connections, and no other');
  assert.ok(kept.faults.length <= reconnected, kept.faults.join('\n'));
  assert.ok(crowd.faults.length <= 6, crowd.faults.join('\n'));
  assert.equal(crowd.faults.length, lostOfCrowd, 'nothing fails any more');
  assert.doesNotMatch(crowd.faults.join('\n'), /ECONNREFUSED/);
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

test('an event loop whose heap is full, and one that stands still, are replaced like one that has ended', async (t) => {
  const origin = await startHttp(t, 0);
  const proxy = startSupervised(t, `workerMemory: 64MiB\n${documentFor(origin.port)}`, 1000);
  const port = await proxy.port('web');
  const admin = await Admin.of(proxy);
  for (const [thread, what, cause] of [
    [1, 'grow', 'out of memory'],
    [0, 'block', 'does not turn'],
  ] as const) {
    proxy.process.stdin!.write(`${what} ${thread}\n`);
    await proxy.until(
      ({ err }) => new RegExp(`"event loop replaced","worker":${thread},`).test(err),
      `the replacement of one that is to ${what}`,
    );
    assert.match(proxy.err, new RegExp(`lost with its connections","worker":${thread},"cause":"${cause}"`));
    const tookMs = new RegExp(`"event loop replaced","worker":${thread},"tookMs":(\\d+)`).exec(proxy.err)![1];
    t.diagnostic(`${cause}: replaced after ${tookMs} ms`);
  }
  const load = new Load(t, { to: port, kept: 8, fresh: 4 });
  await load.further(100);
  await load.stop();
  assert.deepEqual(load.faults, []);
  assert.deepEqual(
    (await admin.status()).workers.map(({ state, restarts }) => [state, restarts]),
    [
      ['serving', 1],
      ['serving', 1],
    ],
  );
  assert.equal(await proxy.end('SIGTERM'), 0);
});

test('a limit of connections holds over all event loops, and what one held when it ended is free again', async (t) => {
  const origin = await startHttp(t, 0);
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
  const lost = served.filter(({ closed, ended }) => closed || ended);
  assert.equal(lost.length, workers[1]!.connections);
  assert.equal((await fill()).served.length, lost.length);
});

test('an event loop that holds a socket which was handed over ends the proxy with it, so that it can be handed over again', async (t) => {
  const { server, port } = await listening(t);
  const origin = await startHttp(t, 0);
  const proxy = startSupervised(
    t,
    documentFor(origin.port).replace('"127.0.0.1:0", routes', '"fd:3", routes'),
    10_000,
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
  const origin = await startHttp(t, 5);
  const folder = temporaryFolder(t);
  const [path, control] = [join(folder, 'web.sock'), join(folder, 'admin.sock')];
  const { proxy, configure } = start(t, upgradable(origin.port, path, control));
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
  assert.match(proxy.err, /nonsense|must be a map/);
  assert.match(proxy.err, /the successor did not start, this process goes on/);
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
  const { proxy } = start(
    t,
    `
workers: 2
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

/** `millrace run` of a document that can be replaced. */
function start(t: TestContext, document: string): { proxy: Millrace; configure(document: string): void } {
  const file = join(temporaryFolder(t), 'millrace.yaml');
  const configure = (text: string): void => writeFileSync(file, text);
  configure(document);
  return { proxy: startMillrace(t, ['run', '-c', file]), configure };
}

/** A proxy whose event loops can be harmed. */
function startSupervised(
  t: TestContext,
  document: string,
  standstillMs = 10_000,
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

function adminAddress({ err }: Program): string {
  return /"admin API","address":"([^"]+)"/.exec(err)![1]!;
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

/** Answers with the path that it was asked for; notes what it has seen. */
async function startHttp(t: TestContext, delayMs: number): Promise<{ port: number; seen: Set<string> }> {
  const seen = new Set<string>();
  const server = createServer((request, response) => {
    request.resume();
    seen.add(request.url!);
    const ms = Number(/ms=(\d+)/.exec(request.url!)?.[1] ?? delayMs);
    if (ms === 0) response.end(request.url);
    else setTimeout(() => response.end(request.url), ms);
  });
  server.keepAliveTimeout = 60_000;
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close().closeAllConnections());
  return { port: (server.address() as AddressInfo).port, seen };
}

async function startWebSockets(t: TestContext): Promise<number> {
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0 });
  server.on('connection', (socket) => socket.on('error', () => {}));
  await once(server, 'listening');
  t.after(() => {
    for (const socket of server.clients) socket.terminate();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

async function startEcho(t: TestContext): Promise<number> {
  const server = createTcpServer((socket) => {
    socket.on('error', () => {});
    t.after(() => socket.destroy());
    socket.pipe(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  return (server.address() as AddressInfo).port;
}
