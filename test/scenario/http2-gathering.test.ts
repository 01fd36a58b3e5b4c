// Bursts towards endpoints of HTTP/2 that have no connection yet: those who come while one is dialed wait for it, and none
// of them is worse off when the dial comes to nothing, or to something else.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import {
  createSecureServer,
  type Http2SecureServer,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import { createServer as createHttpsServer } from 'node:https';
import { type AddressInfo, connect, createServer as createTcpServer, type Server, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { Certificates } from '../support/certificates.ts';
import { startHttp2Origin } from '../support/http2.ts';
import { httpTo, startProxy, type TestProxy } from '../support/proxy.ts';
import { eventually } from '../support/wait.ts';

const BURST = 50;

const api = (proxy: TestProxy) => proxy.snapshot.clusters.get('api')!;

function proxyTo(t: TestContext, ports: readonly number[], cluster: string): Promise<TestProxy> {
  return startProxy(
    t,
    httpTo(
      ports.map((port) => `127.0.0.1:${port}`),
      '',
      cluster,
    ),
  );
}

/** Asks so many times at once; the answers, each with how often it came. */
async function burst(proxy: TestProxy, count = BURST): Promise<Record<string, number>> {
  const answers: Record<string, number> = {};
  const ask = async (i: number) => {
    const reply = await fetch(`http://127.0.0.1:${proxy.port('web')}/${i}`);
    const answer = `${reply.status} ${reply.status === 200 ? await reply.text() : ''}`;
    answers[answer] = (answers[answer] ?? 0) + 1;
  };
  await Promise.all(Array.from({ length: count }, (_, i) => ask(i)));
  return answers;
}

async function settled(proxy: TestProxy): Promise<void> {
  await eventually(() => api(proxy).active === 0 && api(proxy).waiting === 0, 'the end of all that was under way');
  assert.ok(api(proxy).endpoints.every(({ active, pool }) => active === 0 && pool.gathering === null));
}

async function listen(t: TestContext, server: Server | Http2SecureServer): Promise<{ port: number; opened(): number }> {
  let opened = 0;
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    opened++;
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => sockets.delete(socket));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return { port: (server.address() as AddressInfo).port, opened: () => opened };
}

/** Takes connections, says nothing, and keeps what it hears. */
async function mute(t: TestContext) {
  const server = createTcpServer();
  const sockets: Socket[] = [];
  const heard: Buffer[][] = [];
  server.on('connection', (socket) => {
    const pieces: Buffer[] = [];
    heard.push(pieces);
    sockets.push(socket.on('data', (bytes) => pieces.push(bytes)));
  });
  return { ...(await listen(t, server)), sockets, seen: (at: number) => heard[at]! };
}

test('a burst to an endpoint without a connection opens one, by prior knowledge and by ALPN', async (t) => {
  const plain = await startHttp2Origin(t, (stream) => {
    stream.respond({ ':status': 200 });
    stream.end('plain');
  });
  const known = await proxyTo(t, [plain.port], 'protocol: h2');
  assert.deepEqual(await burst(known), { '200 plain': BURST });
  assert.equal(plain.sessions(), 1);
  await settled(known);
  const certificates = new Certificates(t);
  const server = createSecureServer({ ...certificates.leaf(['127.0.0.1']), allowHTTP1: true }, (_request, response) =>
    setTimeout(() => response.end('secure'), 20),
  );
  const secure = await listen(t, server);
  const tls = `tls: { ca: ${JSON.stringify(certificates.caFile)}, alpn: [h2, http/1.1] }`;
  const agreed = await proxyTo(t, [secure.port], tls);
  assert.deepEqual(await burst(agreed), { '200 secure': BURST });
  assert.equal(secure.opened(), 1);
  await settled(agreed);
});

test('a peer that takes few streams at once gets as many connections as that demands, and refuses none', async (t) => {
  let most = 0;
  // Nobody is answered before so many are under way at once.
  let wanted = BURST;
  const open: ServerHttp2Stream[] = [];
  const origin = await startHttp2Origin(
    t,
    (stream) => {
      open.push(stream);
      most = Math.max(most, open.length);
      if (open.length < wanted) return;
      wanted = 1;
      for (const one of open.splice(0)) {
        one.respond({ ':status': 200 });
        one.end('ok');
      }
    },
    { maxConcurrentStreams: 10 },
  );
  const proxy = await proxyTo(t, [origin.port], 'protocol: h2\nretries: { attempts: 0 }');
  assert.deepEqual(await burst(proxy), { '200 ok': BURST });
  assert.deepEqual([origin.sessions(), most], [5, 50]);
  assert.equal(api(proxy).endpoints[0]!.stats.failures, 0);
  await settled(proxy);
  // With a cap on connections the others wait for streams to end.
  wanted = 20;
  const capped = await proxyTo(t, [origin.port], 'protocol: h2\npool: { max: 2, queueTimeout: 60s }');
  assert.deepEqual(await burst(capped), { '200 ok': BURST });
  assert.equal(origin.sessions(), 7);
  await settled(capped);
});

test('an endpoint that turns out to speak HTTP/1.1 alone keeps nobody waiting again', async (t) => {
  const certificates = new Certificates(t);
  // Nobody is answered before all have asked: so each needs a connection of its own.
  const waiting: ServerResponse[] = [];
  const server = createHttpsServer(certificates.leaf(['127.0.0.1']), (_request, response) => {
    waiting.push(response);
    if (waiting.length === 20) for (const one of waiting) one.end('one');
  });
  const origin = await listen(t, server);
  const tls = `tls: { ca: ${JSON.stringify(certificates.caFile)}, alpn: [h2, http/1.1] }`;
  const proxy = await proxyTo(t, [origin.port], tls);
  assert.deepEqual(await burst(proxy, 20), { '200 one': 20 });
  assert.equal(origin.opened(), 20);
  await settled(proxy);
  const { pool } = api(proxy).endpoints[0]!;
  assert.equal(pool.single, true);
  // A client may have its answer a moment before the connection that it came by is idle again.
  await eventually(() => pool.idle === 20, 'all connections to be idle');
});

test('when the dial fails all who waited for it go elsewhere, or hear of it once', async (t) => {
  const deaf = await mute(t);
  const certificates = new Certificates(t);
  const server = createSecureServer(certificates.leaf(['127.0.0.1']), (_request, response) => response.end('well'));
  const well = await listen(t, server);
  const tls = (limit: string) =>
    `tls: { ca: ${JSON.stringify(certificates.caFile)}, alpn: [h2], handshakeTimeout: ${limit} }`;
  /** The dial fails once all wait for it. */
  const failing = async (proxy: TestProxy) => {
    const answers = burst(proxy);
    await eventually(() => api(proxy).active === BURST && deaf.sockets.length > 0, 'all to wait');
    deaf.sockets.pop()!.destroy();
    return answers;
  };
  const proxy = await proxyTo(t, [deaf.port, well.port], `balance: first\n${tls('60s')}`);
  assert.deepEqual(await failing(proxy), { '200 well': BURST });
  assert.deepEqual([deaf.opened(), well.opened()], [1, 1]);
  await settled(proxy);
  // It is one failure, however many have waited: no reason to put the endpoint aside.
  assert.equal(api(proxy).endpoints[0]!.stats.connectFailures, 1);
  assert.equal(api(proxy).endpoints[0]!.standing.failures, 1);
  const alone = await proxyTo(t, [deaf.port], `retries: { attempts: 0 }\n${tls('60s')}`);
  assert.deepEqual(await failing(alone), { '502 ': BURST });
  assert.equal(deaf.opened(), 2);
  assert.equal(api(alone).endpoints[0]!.pool.open, 0);
  await settled(alone);
  // It may also fail for want of an answer.
  const silent = await proxyTo(t, [deaf.port], `retries: { attempts: 0 }\n${tls('200ms')}`);
  assert.deepEqual(await burst(silent, 1), { '502 ': 1 });
  await settled(silent);
});

/** Clients 0 and 2 of five leave while what stands between us and the endpoint lets nothing through; the others are answered. */
async function leaveAtTheGate(t: TestContext, port: number, cluster: string): Promise<void> {
  const gate = await mute(t);
  const proxy = await proxyTo(t, [gate.port], cluster);
  const clients = Array.from({ length: 5 }, (_, i) => {
    const socket = connect(proxy.port('web'), '127.0.0.1');
    socket.write(`GET /${i} HTTP/1.1\r\nHost: a\r\n\r\n`);
    return { socket, answer: once(socket, 'data') as Promise<[Buffer]> };
  });
  await eventually(() => api(proxy).active === 5 && gate.seen(0)?.length > 0, 'all to wait');
  clients[0]!.socket.destroy();
  clients[2]!.socket.destroy();
  await eventually(() => api(proxy).active === 3, 'two to be gone');
  assert.equal(gate.opened(), 1);
  const [inner] = gate.sockets;
  const outer = connect(port, '127.0.0.1');
  outer.on('error', () => {});
  t.after(() => outer.destroy());
  for (const piece of gate.seen(0)) outer.write(piece);
  inner!.pipe(outer);
  outer.pipe(inner!);
  for (const i of [1, 3, 4]) {
    const [bytes] = await clients[i]!.answer;
    assert.ok(bytes.toString().startsWith('HTTP/1.1 200 ') && bytes.toString().includes(`/${i}`));
    clients[i]!.socket.destroy();
  }
  assert.equal(gate.opened(), 1);
  await settled(proxy);
}

test('whoever began the dial may leave, and so may those who wait: the others get their answers', async (t) => {
  // Without TLS the connection stands, and the settings of the peer are what is waited for.
  const plain = await startHttp2Origin(t, (stream, fields) => {
    stream.respond({ ':status': 200 });
    stream.end(String(fields[':path']));
  });
  await leaveAtTheGate(t, plain.port, 'protocol: h2');
  // With it the handshake is.
  const certificates = new Certificates(t);
  const server = createSecureServer(certificates.leaf(['127.0.0.1']), (request, response) => response.end(request.url));
  const secure = await listen(t, server);
  await leaveAtTheGate(t, secure.port, `tls: { ca: ${JSON.stringify(certificates.caFile)}, alpn: [h2] }`);
});

test('a peer that never tells its settings is given what is usual, and time runs out as for others', async (t) => {
  const deaf = await mute(t);
  const proxy = await proxyTo(
    t,
    [deaf.port],
    'protocol: h2\nretries: { attempts: 0 }\ntimeouts: { connect: 1s, response: 1s }',
  );
  assert.deepEqual(await burst(proxy, 20), { '504 ': 20 });
  assert.equal(deaf.opened(), 1);
  await settled(proxy);
  // One that breaks off instead has seen nothing of those who waited, who may go elsewhere.
  const breaking = createTcpServer((socket) => socket.end());
  const broken = await listen(t, breaking);
  const origin = await startHttp2Origin(t, (stream) => {
    stream.respond({ ':status': 200 });
    stream.end('well');
  });
  // Whoever begins a dial has sent its request, so another try is one of the budget's.
  const budget = 'retries: { budget: 100% }';
  const both = await proxyTo(t, [broken.port, origin.port], `balance: first\nprotocol: h2\n${budget}`);
  assert.deepEqual(await burst(both), { '200 well': BURST });
  await settled(both);
  const { failures, connectFailures } = api(both).endpoints[0]!.stats;
  assert.equal(failures + connectFailures, broken.opened());
});

test('an endpoint that is removed while it is dialed serves who began, and the others are served elsewhere', async (t) => {
  const certificates = new Certificates(t);
  const sessions: ServerHttp2Session[] = [];
  const start = async (name: string) => {
    const server = createSecureServer(certificates.leaf(['127.0.0.1']), (_request, response) => response.end(name));
    server.on('session', (session) => sessions.push(session));
    return listen(t, server);
  };
  const [going, staying] = [await start('going'), await start('staying')];
  const tls = `tls: { ca: ${JSON.stringify(certificates.caFile)}, alpn: [h2] }`;
  const proxy = await proxyTo(t, [going.port, staying.port], `balance: first\n${tls}`);
  const answers = burst(proxy, 10);
  await eventually(() => api(proxy).active > 0, 'the dial');
  const [endpoint] = api(proxy).endpoints;
  assert.equal(api(proxy).change({ kind: 'remove', name: `127.0.0.1:${going.port}` }), null);
  const got = await answers;
  assert.equal(
    Object.entries(got).reduce((sum, [answer, count]) => sum + (answer.startsWith('200') ? count : 0), 0),
    10,
    JSON.stringify(got),
  );
  await settled(proxy);
  await eventually(() => endpoint!.active === 0 && endpoint!.pool.open === 0, 'the end of its connection');
});

test('checks have a connection of their own, and leave none behind', async (t) => {
  const origin = await startHttp2Origin(t, (stream) => {
    stream.respond({ ':status': 200 });
    stream.end('ok');
  });
  const proxy = await proxyTo(t, [origin.port], 'protocol: h2\nhealth: { path: /, interval: 100ms, timeout: 60s }');
  api(proxy).start();
  await eventually(() => origin.sessions() >= 4, 'some checks');
  assert.deepEqual(await burst(proxy), { '200 ok': BURST });
  api(proxy).stop();
  await eventually(() => api(proxy).endpoints[0]!.pool.open === 1, 'the end of the last check');
});
