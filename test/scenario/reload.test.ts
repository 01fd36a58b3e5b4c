// Reloads of a running proxy: what clients notice of them, which should be nothing, and what a configuration that cannot
// be served changes, which is nothing either.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import { type TestContext, test } from 'node:test';
import { connect as connectSecurely, createServer as createTlsServer } from 'node:tls';
import { WebSocket } from 'ws';
import { Admin } from '../support/admin.ts';
import { Certificates } from '../support/certificates.ts';
import { startConfigured } from '../support/configured.ts';
import { Load } from '../support/load.ts';
import { connectPeer, type Peer, refused } from '../support/peer.ts';
import { eventually, freePort, type Millrace, startMillrace } from '../support/process.ts';
import { startEcho, startHttp, startWebSockets } from '../support/servers.ts';

const RELOADS = 30;
/** How long clients of a listener that goes get to send what may be on its way. */
const GRACE_MS = 1000;

test('many reloads under load lose no request, and clients that keep their connection get each at their next request', async (t) => {
  const origins = [await startHttp(t, 'one'), await startHttp(t, 'two')];
  const document = (n: number): string => {
    // Endpoints come and go, numbers change in place, and every fourth time the pools begin anew.
    const endpoints = [[0], [1], [0, 1]][n % 3]!.map((place) => `"127.0.0.1:${origins[place]}"`);
    return `
workers: 2
admin: { bind: "127.0.0.1:0" }
log: { level: ${n === 0 ? 'info' : 'warn'} }
listeners:
  web:
    bind: "127.0.0.1:0"
    routes:
      - { match: { path: /version }, respond: { status: 200, body: "version ${n}" } }
${n % 2 === 0 ? '' : '      - { match: { path: /extra/* }, cluster: extra }'}
      - cluster: api
${n % 2 === 0 ? '' : `  side: { bind: "127.0.0.1:0", cluster: extra }`}
clusters:
  api:
    endpoints: [${endpoints}]
    balance: ${['round-robin', 'least-requests', 'random'][n % 3]}
    timeouts: { response: ${10 + n}s }
    pool: { idle: ${100 + Math.floor(n / 4)} }
${n % 2 === 0 ? '' : `  extra: { endpoints: ["127.0.0.1:${origins[0]}"] }`}
`;
  };
  const { proxy, configure } = startConfigured(t, document(0));
  const port = await proxy.port('web');
  const admin = await Admin.of(proxy);
  const load = new Load(t, { to: port, kept: 8, fresh: 4, path: (i) => (i % 4 === 0 ? '/version' : '/') });
  const probes = await Promise.all(Array.from({ length: 6 }, () => connectPeer(t, port)));
  await load.further(50);
  let guest: Peer | null = null;
  let side = 0;
  for (let n = 1; n <= RELOADS; n++) {
    configure(document(n));
    const sinceMs = performance.now();
    const { status, body } = await admin.post('/v1/reload');
    assert.deepEqual([status, body.generation, body.errors], [200, n + 1, []]);
    // The listener is gone: who was there asks a last time within the grace, or is let go when silent.
    if (n % 2 === 0 && n % 20 > 0) await askLast(guest!, sinceMs);
    for (const probe of probes) assert.equal(await askKept(probe, '/version'), `version ${n}`);
    if (n % 2 === 1) {
      side = await portOf(admin, 'side');
      guest = await connectPeer(t, side);
      assert.equal(await askKept(guest, '/'), 'one');
      assert.equal(await askKept(probes[n % 6]!, '/extra/'), 'one');
    } else {
      // Nobody is let in any more.
      await refused(side);
      await guest!.receiveAll();
      guest!.end();
    }
    await load.further(10);
  }
  await load.stop();
  assert.deepEqual(load.faults, []);
  assert.equal(load.answered, load.asked);
  assert.equal(load.connections, 8, 'clients that kept their connection had one each');
  // What clients have closed is noticed when the event loops come to it.
  await eventually(async () => (await admin.status()).connections === probes.length, 'the probes to be alone');
  const { generation, workers } = await admin.status();
  assert.equal(generation, RELOADS + 1);
  assert.deepEqual(
    workers.map(({ state, restarts }) => [state, restarts]),
    [
      ['serving', 0],
      ['serving', 0],
    ],
  );
  assert.equal(await proxy.end('SIGTERM'), 0);
  t.diagnostic(`${RELOADS} reloads, ${load.answered} requests, none failed`);
});

test('WebSockets, streams and tunnels outlive reloads, whether their cluster stays, changes, begins anew or loses its route', async (t) => {
  const certificates = new Certificates(t);
  const sockets = await startWebSockets(t);
  const stream = await startStream(t);
  const echo = await startEcho(t);
  const secure = await startSecureEcho(t, certificates);
  const spare = await startHttp(t, 'spare');
  /** `n` is in everything that changes. */
  const document = (n: number): string => `
workers: 2
admin: { bind: "127.0.0.1:0" }
listeners:
  web:
    bind: "127.0.0.1:0"
    routes:
      - { match: { path: /version }, respond: { status: 200, body: "version ${n}" } }
      - { match: { path: /still }, cluster: still }
      - { match: { path: /numbers }, cluster: numbers }
      - { match: { path: /anew }, cluster: anew }
${n === 0 ? '      - { match: { path: /passing }, cluster: passing }' : ''}
      - { match: { path: /stream }, cluster: stream }
      - { match: { path: "/only-${n}" }, cluster: stream }
  raw: { bind: "127.0.0.1:0", protocol: tcp, cluster: raw }
  names: { bind: "127.0.0.1:0", protocol: auto, cluster: stream, passthrough: { "db.test": secure } }
  more-${n}: { bind: "127.0.0.1:0", cluster: stream }
clusters:
  still: { endpoints: ["127.0.0.1:${sockets}"] }
  numbers:
    endpoints: ["127.0.0.1:${sockets}"${n % 2 === 1 ? `, "127.0.0.1:${spare}"` : ''}]
    balance: ${n % 2 === 1 ? 'first' : 'round-robin'}
    timeouts: { response: ${10 + n}s, idle: ${600 + n}s }
  anew: { endpoints: ["127.0.0.1:${sockets}"], pool: { idle: ${10 + n} } }
${n === 0 ? `  passing: { endpoints: ["127.0.0.1:${sockets}"] }` : ''}
  stream: { endpoints: ["127.0.0.1:${stream}"] }
  raw: { endpoints: ["127.0.0.1:${echo}"], timeouts: { connect: ${1000 + n}ms } }
  secure: { endpoints: ["127.0.0.1:${secure}"] }
`;
  const { proxy, configure } = startConfigured(t, document(0));
  const [web, raw, names] = [await proxy.port('web'), await proxy.port('raw'), await proxy.port('names')];
  const admin = await Admin.of(proxy);

  const open = await Promise.all(
    // Twice each, so that both event loops are likely to have some.
    ['still', 'numbers', 'anew', 'passing', 'still', 'numbers', 'anew', 'passing'].map((name) =>
      dialWebSocket(t, web, name),
    ),
  );
  const reader = await connectPeer(t, web);
  reader.send('GET /stream HTTP/1.1\r\nHost: a\r\n\r\n');
  await reader.receive('tick');
  const tunnels = await Promise.all([connectPeer(t, raw), connectPeer(t, raw)]);
  const hidden = connectSecurely({
    host: '127.0.0.1',
    port: names,
    servername: 'db.test',
    ca: certificates.authority.cert,
  });
  t.after(() => hidden.destroy());
  await once(hidden, 'secureConnect');
  hidden.setEncoding('latin1');

  for (let n = 1; n <= 12; n++) {
    configure(document(n));
    assert.equal((await admin.post('/v1/reload')).body.generation, n + 1);
    for (const socket of open) assert.equal(await say(socket, `after ${n}`), `after ${n}`);
    await reader.receive('tick', reader.text.length);
    for (const tunnel of tunnels) {
      tunnel.send(`through ${n};`);
      await tunnel.receive(`through ${n};`);
    }
    hidden.write(`hidden ${n}`);
    assert.deepEqual(await once(hidden, 'data'), [`hidden ${n}`]);
  }
  assert.equal(
    open.every(({ readyState }) => readyState === WebSocket.OPEN),
    true,
  );
  assert.equal(reader.ended, false);
  // What is cut at last is cut because the proxy was told so.
  assert.doesNotMatch(proxy.err, /cut off|"level":"error"/);
});

test('tunnels of a listener that a reload removes get drainTimeout, and the log says that they were cut off', async (t) => {
  const echo = await startEcho(t);
  const document = (listener: string): string => `
workers: 2
drainTimeout: 300ms
admin: { bind: "127.0.0.1:0" }
listeners:
  web: { bind: "127.0.0.1:0", cluster: raw }
  ${listener}
clusters: { raw: { endpoints: ["127.0.0.1:${echo}"] } }
`;
  const { proxy, configure } = startConfigured(
    t,
    document('raw: { bind: "127.0.0.1:0", protocol: tcp, cluster: raw }'),
  );
  const tunnel = await connectPeer(t, await proxy.port('raw'));
  tunnel.send('hello');
  await tunnel.receive('hello');
  configure(document(''));
  const { body } = await (await Admin.of(proxy)).post('/v1/reload');
  assert.deepEqual(
    body.changes.map(({ kind, name, what }: Record<string, string>) => [kind, name, what]),
    [['listener', 'raw', 'removed']],
  );
  await tunnel.until(() => tunnel.closed, 'the tunnel to be cut');
  await proxy.until(
    ({ err }) => /connections of listeners that are gone were cut off","cut":1/.test(err),
    'the word of it',
  );
  assert.equal(await proxy.end('SIGTERM'), 0);
});

test('a reload of a broken document changes nothing: SIGHUP logs why, millrace reload prints it and exits with 2', async (t) => {
  const port = await startHttp(t, 'origin');
  const good = (version: string): string => `
workers: 2
admin: { bind: "127.0.0.1:0" }
listeners:
  web:
    bind: "127.0.0.1:0"
    routes:
      - { match: { path: /version }, respond: { status: 200, body: ${version} } }
      - cluster: api
clusters: { api: { endpoints: ["127.0.0.1:${port}"] } }
`;
  const { proxy, configure } = startConfigured(t, good('first'));
  const client = await connectPeer(t, await proxy.port('web'));
  const admin = await Admin.of(proxy);
  const address = await Admin.addressOf(proxy);
  const reload = (...args: string[]): Millrace => startMillrace(t, ['reload', ...args, '--admin', address]);

  configure(good('second').replace('cluster: api', 'cluster: apy').replace('workers: 2', 'wrokers: 2'));
  const refused = reload();
  assert.equal(await refused.ended, 2);
  assert.equal(refused.out, '');
  assert.match(refused.err, /millrace\.yaml:2:1: wrokers: [^\n]*workers/);
  assert.match(refused.err, /millrace\.yaml:9:18: listeners\.web\.routes\[1\]\.cluster: [^\n]*api/);
  assert.equal(await askKept(client, '/version'), 'first');
  const { generation, reloadFault } = await admin.status();
  assert.equal(generation, 1);
  assert.match(reloadFault, /wrokers/);

  configure('listeners: [');
  proxy.kill('SIGHUP');
  await eventually(() => proxy.err.split('not reloaded, nothing has changed').length === 3, 'the reason in the log');
  assert.equal(await askKept(client, '/version'), 'first');
  assert.equal(await askKept(client, '/'), 'origin');

  configure(good('second'));
  const plan = reload('--plan');
  assert.equal(await plan.ended, 0, plan.err);
  assert.match(
    plan.out,
    /^changed {2}listener web \(routes\): connections that are open stay, [^\n]*\nthis was a plan: nothing has changed yet\n$/,
  );
  assert.equal(await askKept(client, '/version'), 'first');
  const done = reload();
  assert.equal(await done.ended, 0, done.err);
  assert.match(done.out, /reloaded: configuration 2 serves\n$/);
  assert.equal(await askKept(client, '/version'), 'second');
  assert.equal((await admin.status()).reloadFault, '');
  const again = reload();
  assert.equal(await again.ended, 0);
  assert.equal(again.out, 'nothing has changed\n');
  assert.equal((await admin.status()).generation, 2);
});

for (const reusePort of [false, true]) {
  const how = reusePort ? 'shares with whoever asks' : 'has for itself';
  test(`an address that somebody else ${how} leaves everything as it was, in all event loops`, async (t) => {
    const taken = createTcpServer();
    taken.listen({ port: 0, host: '127.0.0.1', reusePort });
    await once(taken, 'listening');
    t.after(() => taken.close());
    const free = await freePort();
    const document = (version: string, more: string): string => `
workers: 2
admin: { bind: "127.0.0.1:0" }
listeners:
  web: { bind: "127.0.0.1:0", routes: [{ respond: { status: 200, body: ${version} } }] }
  ${more}
`;
    const { proxy, configure } = startConfigured(t, document('first', ''));
    const port = await proxy.port('web');
    const clients = await Promise.all(Array.from({ length: 8 }, () => connectPeer(t, port)));
    const { port: other } = taken.address() as AddressInfo;
    configure(document('second', `more: { bind: ["127.0.0.1:${free}", "127.0.0.1:${other}"], routes: [] }`));
    const reload = startMillrace(t, ['reload', '--admin', await Admin.addressOf(proxy)]);
    assert.equal(await reload.ended, 1);
    assert.match(reload.err, new RegExp(`listener more: 127\\.0\\.0\\.1:${other}: the address is in use`));
    const word = `not reloaded, nothing has changed","fault":"listener more: 127.0.0.1:${other}`;
    await proxy.until(({ err }) => err.includes(word), 'its word');
    for (const client of clients) assert.equal(await askKept(client, '/'), 'first');
    await refused(free);
    const admin = await Admin.of(proxy);
    assert.equal((await admin.status()).generation, 1);
    // Once the address is free the same document does.
    taken.close();
    await once(taken, 'close');
    assert.equal((await admin.post('/v1/reload')).status, 200);
    for (const client of clients) assert.equal(await askKept(client, '/'), 'second');
    await Promise.all(Array.from({ length: 4 }, () => connectPeer(t, free)));
  });
}

test('event loops are added under load, and none is taken away before the next process', async (t) => {
  const origin = await startHttp(t, 'origin');
  const document = (workers: number): string => `
workers: ${workers}
admin: { bind: "127.0.0.1:0" }
listeners: { web: { bind: "127.0.0.1:0", cluster: api } }
clusters: { api: { endpoints: ["127.0.0.1:${origin}"] } }
`;
  const { proxy, configure } = startConfigured(t, document(1));
  const load = new Load(t, { to: await proxy.port('web'), kept: 4, fresh: 6 });
  const admin = await Admin.of(proxy);
  await load.further(50);
  for (const [workers, there] of [
    [3, 3],
    [1, 3],
    [0, 3],
    [4, 4],
  ] as const) {
    configure(document(workers));
    assert.equal((await admin.post('/v1/reload')).status, 200);
    await load.further(60);
    assert.equal((await admin.status()).workers.length, there);
  }
  await load.stop();
  assert.deepEqual(load.faults, []);
  assert.equal(await proxy.end('SIGTERM'), 0);
});

test('run --watch reloads when its file has changed, and tells in the log when that cannot be', async (t) => {
  const document = (version: string): string =>
    `listeners: { web: { bind: "127.0.0.1:0", routes: [{ respond: { status: 200, body: ${version} } }] } }\n`;
  const { proxy, configure } = startConfigured(t, document('first'), ['--watch']);
  const client = await connectPeer(t, await proxy.port('web'));
  assert.equal(await askKept(client, '/'), 'first');
  configure('nonsense');
  await proxy.until(({ err }) => err.includes('not reloaded, nothing has changed'), 'the reason');
  configure(document('second'));
  await proxy.until(({ err }) => err.includes('"message":"reloaded"'), 'the reload');
  assert.equal(await askKept(client, '/'), 'second');
});

/** The body of the reply to a request over a connection that is kept. */
async function askKept(peer: Peer, path: string): Promise<string> {
  peer.text = '';
  peer.send(`GET ${path} HTTP/1.1\r\nHost: a.test\r\n\r\n`);
  const whole = /content-length: (\d+)[\s\S]*?\r\n\r\n([\s\S]*)$/i;
  const bodyOf = (): string | null => {
    const [, length, body] = whole.exec(peer.text) ?? [];
    return body?.length === Number(length) ? body : null;
  };
  await peer.until(() => bodyOf() !== null, 'the reply');
  return bodyOf()!;
}

/**
 * Asks a listener that a reload, asked for at `sinceMs`, has removed. What is sent in good time is answered; later the
 * connection may have been closed, and may not be but whole.
 */
async function askLast(guest: Peer, sinceMs: number): Promise<void> {
  guest.text = '';
  guest.send('GET / HTTP/1.1\r\nHost: a.test\r\n\r\n');
  const early = performance.now() - sinceMs < GRACE_MS / 2;
  await guest.receiveAll();
  if (!early && guest.text === '') return;
  assert.match(guest.text, /^HTTP\/1\.1 200 [\s\S]*\r\nConnection: close\r\n(?:[\s\S]*\r\n)?\r\none$/i);
  assert.equal(guest.error, null);
}

/** Of a listener that was bound to port 0. */
async function portOf(admin: Admin, name: string): Promise<number> {
  const { listeners } = await admin.status();
  const [address] = listeners.find((listener) => listener.name === name)!.addresses;
  return Number(address!.slice(address!.lastIndexOf(':') + 1));
}

async function dialWebSocket(t: TestContext, port: number, path: string): Promise<WebSocket> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/${path}`);
  t.after(() => socket.terminate());
  await once(socket, 'open');
  return socket;
}

async function say(socket: WebSocket, text: string): Promise<string> {
  const heard = once(socket, 'message');
  socket.send(text);
  return String((await heard)[0]);
}

/** Never ends what it says. */
async function startStream(t: TestContext): Promise<number> {
  const server = createServer((_, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    const timer = setInterval(() => response.write('tick\n'), 20);
    response.on('close', () => clearInterval(timer));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close().closeAllConnections());
  return (server.address() as AddressInfo).port;
}

async function startSecureEcho(t: TestContext, certificates: Certificates): Promise<number> {
  const { cert, key } = certificates.leaf(['db.test']);
  const server = createTlsServer({ cert, key }, (socket) => {
    socket.on('error', () => {});
    t.after(() => socket.destroy());
    socket.pipe(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  return (server.address() as AddressInfo).port;
}
