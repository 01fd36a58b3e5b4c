// Reads that are slow to be answered are asked of a second endpoint too: who answers, what becomes of the other, and that
// nothing is left behind.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type RequestListener, type ServerResponse } from 'node:http';
import { createServer as createSecureServer, type ServerOptions } from 'node:https';
import { type AddressInfo, connect, createServer as createTcpServer, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { Certificates } from '../support/certificates.ts';
import { startHttp2Origin } from '../support/http2.ts';
import { eventually, pause } from '../support/process.ts';
import { httpTo, startProxy, type TestProxy } from '../support/proxy.ts';

interface Origin {
  readonly port: number;
  /** Requests that came, as `METHOD PATH`. */
  readonly asked: string[];
  /** Requests whose client went away before they were answered. */
  abandoned: number;
}

/** Over TLS with a certificate. */
async function serve(t: TestContext, handle: RequestListener, secure: ServerOptions | null = null): Promise<Origin> {
  const origin = { port: 0, asked: [] as string[], abandoned: 0 };
  const server = secure === null ? createServer() : createSecureServer({ cert: secure.cert, key: secure.key });
  server.on('request', (request, response) => {
    origin.asked.push(`${request.method} ${request.url}`);
    response.on('close', () => {
      if (!response.writableFinished) origin.abandoned++;
    });
    handle(request, response);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  origin.port = (server.address() as AddressInfo).port;
  return origin;
}

const silent: RequestListener = () => {};
const says =
  (text: string, status = 200): RequestListener =>
  (_request, response) =>
    response.writeHead(status).end(text);
const later =
  (ms: number, handle: RequestListener): RequestListener =>
  (request, response) =>
    setTimeout(() => handle(request, response), ms);

/** The first of the endpoints is asked first. */
function hedging(t: TestContext, ports: readonly number[], retries: string, cluster = ''): Promise<TestProxy> {
  const endpoints = ports.map((port) => `127.0.0.1:${port}`);
  return startProxy(t, httpTo(endpoints, '', `balance: first\nretries: { backoff: 1ms, ${retries} }\n${cluster}`));
}

const get = (proxy: TestProxy, path = '/', method = 'GET') =>
  fetch(`http://127.0.0.1:${proxy.port('web')}${path}`, { method });
const api = (proxy: TestProxy) => proxy.snapshot.clusters.get('api')!;

/** Nothing is under way any more, and no connection is counted that is not kept. */
async function settled(proxy: TestProxy): Promise<void> {
  const cluster = api(proxy);
  await eventually(
    () =>
      cluster.active === 0 && cluster.endpoints.every(({ active, pool }) => active === 0 && pool.open === pool.idle),
    'the end of all that was under way',
  );
}

test('a read that takes long is answered by a second endpoint, and the first is given up', async (t) => {
  const slow = await serve(t, silent);
  const quick = await serve(t, says('second'));
  const proxy = await hedging(t, [slow.port, quick.port], 'hedge: 50ms');
  for (const method of ['GET', 'HEAD']) {
    const reply = await get(proxy, '/', method);
    assert.deepEqual([reply.status, await reply.text()], [200, method === 'GET' ? 'second' : '']);
  }
  assert.deepEqual(
    [slow.asked, quick.asked],
    [
      ['GET /', 'HEAD /'],
      ['GET /', 'HEAD /'],
    ],
  );
  await eventually(() => slow.abandoned === 2, 'the first to be given up');
  assert.equal(api(proxy).stats.hedges, 2);
  await settled(proxy);
});

test('the first answer counts when it comes first after all, and the second endpoint is given up', async (t) => {
  const slow = await serve(t, later(150, says('first')));
  const slower = await serve(t, silent);
  const proxy = await hedging(t, [slow.port, slower.port], 'hedge: 20ms');
  assert.equal(await (await get(proxy)).text(), 'first');
  assert.deepEqual(slower.asked, ['GET /']);
  await eventually(() => slower.abandoned === 1, 'the second to be given up');
  await settled(proxy);
  // The connection that answered is kept.
  assert.equal(api(proxy).endpoints[0]!.pool.idle, 1);
});

test('an answer in time is the only one that is asked for', async (t) => {
  const quick = await serve(t, says('first'));
  const other = await serve(t, says('second'));
  const proxy = await hedging(t, [quick.port, other.port], 'hedge: 500ms');
  for (let i = 0; i < 5; i++) assert.equal(await (await get(proxy)).text(), 'first');
  // A body that goes on for longer than that is no reason either.
  const long = await serve(t, (_request, response) => {
    response.write('a');
    setTimeout(() => response.end('b'), 700);
  });
  const streaming = await hedging(t, [long.port, other.port], 'hedge: 500ms');
  assert.equal(await (await get(streaming)).text(), 'ab');
  await pause(100);
  assert.deepEqual(other.asked, []);
  assert.equal(api(proxy).stats.hedges + api(streaming).stats.hedges, 0);
});

test('what may do something is never asked twice, nor is a read with a body or of a client that has its endpoint', async (t) => {
  const slow = await serve(t, later(150, says('first')));
  const other = await serve(t, says('second'));
  const proxy = await hedging(t, [slow.port, other.port], 'hedge: 20ms, unsafe: true');
  const port = proxy.port('web');
  for (const method of ['POST', 'PUT', 'DELETE']) {
    const body = method === 'DELETE' ? null : 'x';
    assert.equal(await (await fetch(`http://127.0.0.1:${port}/`, { method, body })).text(), 'first');
  }
  const socket = connect(port, '127.0.0.1');
  socket.write('GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx');
  const [head] = (await once(socket, 'data')) as [Buffer];
  assert.match(head.toString(), /^HTTP\/1.1 200 /);
  socket.destroy();
  assert.deepEqual(other.asked, []);
  const sticky = await hedging(t, [slow.port, other.port], 'hedge: 300ms', 'sticky: { cookie: seat }');
  const first = await get(sticky);
  const cookie = first.headers.get('set-cookie')!.split(';')[0]!;
  const bound = await hedging(t, [slow.port, other.port], 'hedge: 20ms', 'sticky: { cookie: seat }');
  const reply = await fetch(`http://127.0.0.1:${bound.port('web')}/`, { headers: { cookie } });
  assert.equal(await reply.text(), 'first');
  assert.deepEqual(other.asked, []);
});

test('hedges are retries and stay within their budget', async (t) => {
  const held = { first: [] as ServerResponse[], second: [] as ServerResponse[] };
  const holding = await serve(t, (_request, response) => held.first.push(response));
  const other = await serve(t, (_request, response) => held.second.push(response));
  const proxy = await hedging(t, [holding.port, other.port], 'hedge: 20ms, budget: 10%');
  const all = Promise.all(Array.from({ length: 60 }, async () => (await get(proxy)).text()));
  const { stats } = api(proxy);
  await eventually(() => stats.hedges + stats.retriesRefused === 60, 'all to have been late');
  // Three are always allowed, and every tenth besides.
  assert.ok(stats.hedges >= 3 && stats.hedges <= 9, String(stats.hedges));
  await eventually(() => held.second.length === stats.hedges, 'the hedges');
  for (const response of held.second) response.end('second');
  await eventually(() => api(proxy).active === 60 - stats.hedges, 'their answers');
  for (const response of held.first) response.end('first');
  assert.equal((await all).filter((text) => text === 'second').length, stats.hedges);
  await settled(proxy);
});

test('the last try may be a hedge, and an only endpoint has nobody to hedge with', async (t) => {
  const slow = await serve(t, later(400, says('first')));
  const other = await serve(t, says('second'));
  const none = await hedging(t, [slow.port, other.port], 'hedge: 20ms, attempts: 1');
  assert.equal(await (await get(none)).text(), 'second');
  const before = slow.asked.length;
  const alone = await hedging(t, [slow.port], 'hedge: 20ms');
  assert.equal(await (await get(alone)).text(), 'first');
  assert.equal(slow.asked.length, before + 1);
});

test('when both fail the client gets one error, and when one fails the other is waited for', async (t) => {
  const cut = (ms: number) => serve(t, (request) => setTimeout(() => request.socket.destroy(), ms));
  const broken = async (...after: number[]) => Promise.all(after.map(async (ms) => (await cut(ms)).port));
  const ending = 'hedge: 30ms, attempts: 1';
  const firstLast = await hedging(t, await broken(150, 1), ending);
  assert.equal((await get(firstLast)).status, 502);
  const hedgeLast = await hedging(t, await broken(60, 150), ending);
  assert.equal((await get(hedgeLast)).status, 502);
  const mute = await serve(t, silent);
  const hanging = await hedging(t, [mute.port, (await serve(t, silent)).port], ending, 'timeouts: { response: 200ms }');
  assert.equal((await get(hanging)).status, 504);
  const well = await serve(t, later(200, says('well')));
  const firstFails = await hedging(t, [(await cut(60)).port, well.port], ending);
  assert.equal(await (await get(firstFails)).text(), 'well');
  const hedgeFails = await hedging(t, [well.port, (await cut(1)).port], ending);
  assert.equal(await (await get(hedgeFails)).text(), 'well');
  for (const proxy of [firstLast, hedgeLast, hanging, firstFails, hedgeFails]) {
    assert.equal(api(proxy).stats.hedges, 1);
    await settled(proxy);
  }
});

test('statuses that are tried again are not taken from either while the other may have a better answer', async (t) => {
  const ending = 'hedge: 30ms, on: [503], attempts: 1';
  const erring = (ms: number) => serve(t, later(ms, says('error', 503)));
  const well = await serve(t, later(200, says('well')));
  const hedgeErrs = await hedging(t, [well.port, (await erring(1)).port], ending);
  assert.equal(await (await get(hedgeErrs)).text(), 'well');
  const firstErrs = await hedging(t, [(await erring(60)).port, well.port], ending);
  assert.equal(await (await get(firstErrs)).text(), 'well');
  const bothErr = await hedging(t, [(await erring(100)).port, (await erring(1)).port], ending);
  assert.equal((await get(bothErr)).status, 503);
  const lastErrs = await hedging(t, [(await erring(60)).port, (await erring(150)).port], ending);
  assert.equal((await get(lastErrs)).status, 503);
  for (const proxy of [hedgeErrs, firstErrs, bothErr, lastErrs]) {
    assert.equal(api(proxy).stats.hedges, 1);
    await settled(proxy);
  }
});

test('a client that leaves takes both with it, and one that leaves early is not hedged', async (t) => {
  const first = await serve(t, silent);
  const second = await serve(t, silent);
  const proxy = await hedging(t, [first.port, second.port], 'hedge: 40ms');
  const ask = () => {
    const socket = connect(proxy.port('web'), '127.0.0.1');
    socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    return socket;
  };
  const early = ask();
  await eventually(() => first.asked.length === 1, 'the first');
  early.destroy();
  await pause(100);
  assert.equal(second.asked.length, 0);
  const patient = ask();
  await eventually(() => second.asked.length === 1, 'the second');
  patient.destroy();
  await eventually(() => first.abandoned === 2 && second.abandoned === 1, 'both to be given up');
  await settled(proxy);
  assert.ok(api(proxy).endpoints.every(({ standing }) => standing.failures === 0));
});

test('a hedge that is still being dialed when the first fails is waited for, and may fail over in turn', async (t) => {
  // Handshakes of the second never come to an end.
  const mute = createTcpServer().listen(0, '127.0.0.1');
  await once(mute, 'listening');
  const dialed = new Set<Socket>();
  mute.on('connection', (socket) => {
    socket.on('error', () => {});
    dialed.add(socket.resume());
    socket.on('close', () => dialed.delete(socket));
  });
  t.after(() => {
    for (const socket of dialed) socket.destroy();
    mute.close();
  });
  const certificates = new Certificates(t);
  const pair = certificates.leaf(['127.0.0.1']);
  const breaking = await serve(t, (request) => setTimeout(() => request.socket.destroy(), 120), pair);
  const well = await serve(t, says('well'), pair);
  const proxy = await hedging(
    t,
    [breaking.port, (mute.address() as AddressInfo).port, well.port],
    'hedge: 30ms',
    `tls: { ca: ${JSON.stringify(certificates.caFile)}, handshakeTimeout: 400ms }\nejection: { max: 0% }`,
  );
  const reply = await get(proxy);
  assert.deepEqual([reply.status, await reply.text()], [200, 'well']);
  assert.equal(api(proxy).stats.hedges, 1);
  // A client that leaves meanwhile leaves no dial behind.
  const socket = connect(proxy.port('web'), '127.0.0.1');
  socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  await eventually(() => api(proxy).stats.hedges === 2, 'the hedge');
  socket.destroy();
  await settled(proxy);
  await eventually(() => dialed.size === 0, 'the end of all dials');
});

test('hedges are streams of the connections that HTTP/2 endpoints have, and leave those open', async (t) => {
  const slow = await startHttp2Origin(t, (stream, fields) => {
    if (fields[':path'] === '/warm') {
      stream.respond({ ':status': 200 });
      stream.end('first');
    }
  });
  let reset = 0;
  const quick = await startHttp2Origin(t, (stream) => {
    stream.on('close', () => (reset += stream.rstCode === 8 ? 1 : 0));
    stream.respond({ ':status': 200 });
    stream.end('second');
  });
  const proxy = await hedging(t, [slow.port, quick.port], 'hedge: 40ms', 'protocol: h2');
  assert.equal(await (await get(proxy, '/warm', 'POST')).text(), 'first');
  for (let i = 0; i < 3; i++) assert.equal(await (await get(proxy, `/${i}`)).text(), 'second');
  assert.deepEqual([slow.sessions(), quick.sessions(), reset], [1, 1, 0]);
  assert.equal(await (await get(proxy, '/warm', 'POST')).text(), 'first');
  const cluster = api(proxy);
  assert.deepEqual([cluster.active, cluster.stats.hedges], [0, 3]);
  assert.ok(cluster.endpoints.every(({ pool }) => pool.open === 1));
});

test('hedges count for a cap, wait for room below it, and make room when they end', async (t) => {
  let most = 0;
  let open = 0;
  const counted =
    (handle: RequestListener): RequestListener =>
    (request, response) => {
      most = Math.max(most, ++open);
      response.on('close', () => open--);
      handle(request, response);
    };
  const slow = await serve(t, counted(later(300, says('first'))));
  const quick = await serve(t, counted(says('second')));
  const proxy = await hedging(
    t,
    [slow.port, quick.port],
    'hedge: 20ms, budget: 100%',
    'requests: 4\npool: { queueTimeout: 5s }',
  );
  const client = async () => {
    const answers: string[] = [];
    for (let i = 0; i < 6; i++) answers.push(await (await get(proxy)).text());
    return answers;
  };
  const answers = (await Promise.all(Array.from({ length: 3 }, client))).flat();
  assert.ok(answers.every((answer) => answer === 'first' || answer === 'second'));
  assert.ok(answers.filter((answer) => answer === 'second').length > 6, answers.join(' '));
  assert.ok(most <= 4, String(most));
  await settled(proxy);
});

test('an endpoint that is put aside is no second one, and costs no budget', async (t) => {
  const held: ServerResponse[] = [];
  const slow = await serve(t, (_request, response) => held.push(response));
  const aside = await serve(t, says('second'));
  const well = await serve(t, says('third'));
  const proxy = await hedging(t, [slow.port, aside.port], 'hedge: 1ms');
  const [, second] = api(proxy).endpoints;
  second!.standing.ejected = true;
  second!.standing.ejectedUntilMs = performance.now() + 600_000;
  api(proxy).publish();
  const one = get(proxy);
  await eventually(() => held.length === 1, 'the first');
  // In the same event loop a timer that was set before, and for less, has passed first.
  await pause(20);
  held.shift()!.end('first');
  assert.equal(await (await one).text(), 'first');
  assert.deepEqual([aside.asked.length, api(proxy).stats.hedges, api(proxy).stats.retries], [0, 0, 0]);
  await settled(proxy);
  // With a third that is well it is asked.
  const three = await hedging(t, [slow.port, aside.port, well.port], 'hedge: 1ms');
  api(three).endpoints[1]!.standing.health = 'down';
  api(three).publish();
  assert.equal(await (await get(three)).text(), 'third');
  await settled(three);
});
