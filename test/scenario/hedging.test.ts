// Reads that are slow to be answered are asked of a second endpoint too: who answers, what becomes of the other, and that
// nothing is left behind.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type RequestListener, type ServerResponse } from 'node:http';
import { createServer as createSecureServer, type ServerOptions } from 'node:https';
import { type AddressInfo, connect, createServer as createTcpServer, type Socket } from 'node:net';
import { mock, type TestContext, test } from 'node:test';
import { Certificates } from '../support/certificates.ts';
import { startHttp2Origin } from '../support/http2.ts';
import { httpTo, startProxy, type TestProxy } from '../support/proxy.ts';
import { eventually } from '../support/wait.ts';

interface Origin {
  readonly port: number;
  /** Those that have yet to be answered, where that is left to the test. */
  readonly held: ServerResponse[];
  /** Requests that came, as `METHOD PATH`. */
  readonly asked: string[];
  /** Requests whose client went away before they were answered. */
  abandoned: number;
}

/** Without `handle` requests are held; over TLS with a certificate. */
async function serve(
  t: TestContext,
  handle: RequestListener | null,
  secure: ServerOptions | null = null,
): Promise<Origin> {
  const origin = { port: 0, held: [] as ServerResponse[], asked: [] as string[], abandoned: 0 };
  const server = secure === null ? createServer() : createSecureServer({ cert: secure.cert, key: secure.key });
  server.on('request', (request, response) => {
    origin.asked.push(`${request.method} ${request.url}`);
    response.on('close', () => {
      if (!response.writableFinished) origin.abandoned++;
    });
    if (handle === null) origin.held.push(response);
    else handle(request, response);
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

/** Where the test says when an answer is late: what waits for this long in this process waits until `due` is called. */
const LATE_MS = 7_654_321;
const late = new Map<NodeJS.Timeout, () => void>();
const { setTimeout: setReal, clearTimeout: clearReal } = globalThis;
mock.method(globalThis, 'setTimeout', (callback: () => void, ms: number, ...given: []) => {
  const timer = setReal(callback, ms, ...given);
  if (ms === LATE_MS) late.set(timer, callback);
  return timer;
});
mock.method(globalThis, 'clearTimeout', (timer: NodeJS.Timeout) => {
  late.delete(timer);
  clearReal(timer);
});
function due(): void {
  for (const [timer, callback] of [...late]) {
    globalThis.clearTimeout(timer);
    callback();
  }
}

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
  const slow = await serve(t, null);
  const slower = await serve(t, silent);
  const proxy = await hedging(t, [slow.port, slower.port], 'hedge: 20ms');
  const answer = get(proxy);
  await eventually(() => slower.asked.length === 1, 'the second to be asked');
  slow.held[0]!.end('first');
  assert.equal(await (await answer).text(), 'first');
  assert.deepEqual(slower.asked, ['GET /']);
  await eventually(() => slower.abandoned === 1, 'the second to be given up');
  await settled(proxy);
  // The connection that answered is kept.
  assert.equal(api(proxy).endpoints[0]!.pool.idle, 1);
});

test('an answer in time is the only one that is asked for', async (t) => {
  const first = await serve(t, null);
  const other = await serve(t, says('second'));
  const proxy = await hedging(t, [first.port, other.port], `hedge: ${LATE_MS}ms`);
  for (let i = 0; i < 3; i++) {
    const answer = get(proxy);
    await eventually(() => first.held.length === 1, 'the request');
    assert.equal(late.size, 1);
    const response = first.held.pop()!;
    // A body that goes on for longer than that is no reason either.
    response.write('fir');
    const reply = await answer;
    assert.equal(late.size, 0, 'it is not late any more');
    response.end('st');
    assert.equal(await reply.text(), 'first');
  }
  assert.deepEqual(other.asked, []);
  assert.equal(api(proxy).stats.hedges, 0);
  await settled(proxy);
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
  const sticky = await hedging(t, [slow.port], 'attempts: 0', 'sticky: { cookie: seat }');
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
  const slow = await serve(t, null);
  const other = await serve(t, says('second'));
  const none = await hedging(t, [slow.port, other.port], 'hedge: 20ms, attempts: 1');
  assert.equal(await (await get(none)).text(), 'second');
  await eventually(() => slow.abandoned === 1, 'the first to be given up');
  const alone = await hedging(t, [slow.port], `hedge: ${LATE_MS}ms`);
  const answer = get(alone);
  await eventually(() => slow.held.length === 2, 'the request');
  due();
  slow.held[1]!.end('first');
  assert.equal(await (await answer).text(), 'first');
  assert.deepEqual([slow.asked.length, api(alone).stats.hedges], [2, 0]);
});

/** Asks; resolves once both endpoints are asked, with how the first and then the hedge is ended, and what came of it. */
async function askBoth(t: TestContext, retries: string) {
  const origins = [await serve(t, null), await serve(t, null)];
  const ports = origins.map(({ port }) => port);
  const proxy = await hedging(t, ports, `hedge: 30ms, attempts: 1, ${retries}`);
  const answer = get(proxy).then(async (reply) => `${reply.status} ${await reply.text()}`);
  await eventually(() => origins.every(({ held }) => held.length === 1), 'both to be asked');
  const [first, hedge] = origins.map(({ held }) => held[0]!);
  return {
    first: first!,
    hedge: hedge!,
    answer,
    /** Resolves once the proxy has noticed the end of one of them, 0 the first. */
    lost: (place: number) => eventually(() => api(proxy).endpoints[place]!.active === 0, 'the end of one'),
    async over() {
      assert.equal(api(proxy).stats.hedges, 1);
      await settled(proxy);
    },
  };
}

test('when both fail the client gets one error, and when one fails the other is waited for', async (t) => {
  for (const order of ['first', 'hedge'] as const) {
    const both = await askBoth(t, 'on: [reset]');
    both[order].destroy();
    await both.lost(order === 'first' ? 0 : 1);
    both[order === 'first' ? 'hedge' : 'first'].destroy();
    assert.match(await both.answer, /^502 /);
    await both.over();
    const one = await askBoth(t, 'on: [reset]');
    one[order].destroy();
    await one.lost(order === 'first' ? 0 : 1);
    one[order === 'first' ? 'hedge' : 'first'].end('well');
    assert.equal(await one.answer, '200 well');
    await one.over();
  }
  const mute = [await serve(t, silent), await serve(t, silent)];
  const ports = mute.map(({ port }) => port);
  const hanging = await hedging(t, ports, 'hedge: 30ms, attempts: 1', 'timeouts: { response: 400ms }');
  assert.equal((await get(hanging)).status, 504);
  assert.equal(api(hanging).stats.hedges, 1);
  await settled(hanging);
});

test('statuses that are tried again are not taken from either while the other may have a better answer', async (t) => {
  for (const order of ['first', 'hedge'] as const) {
    const other = order === 'first' ? 'hedge' : 'first';
    const both = await askBoth(t, 'on: [503]');
    both[order].writeHead(503).end('error');
    await both.lost(order === 'first' ? 0 : 1);
    both[other].writeHead(503).end('error');
    assert.match(await both.answer, /^503 /);
    await both.over();
    const one = await askBoth(t, 'on: [503]');
    one[order].writeHead(503).end('error');
    await one.lost(order === 'first' ? 0 : 1);
    one[other].end('well');
    assert.equal(await one.answer, '200 well');
    await one.over();
  }
});

test('a client that leaves takes both with it, and one that leaves early is not hedged', async (t) => {
  const first = await serve(t, silent);
  const second = await serve(t, silent);
  const proxy = await hedging(t, [first.port, second.port], `hedge: ${LATE_MS}ms`);
  const ask = () => {
    const socket = connect(proxy.port('web'), '127.0.0.1');
    socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    return socket;
  };
  const early = ask();
  await eventually(() => first.asked.length === 1, 'the first');
  assert.equal(late.size, 1);
  early.destroy();
  await eventually(() => first.abandoned === 1, 'it to be given up');
  assert.equal(late.size, 0);
  assert.equal(second.asked.length, 0);
  const patient = ask();
  await eventually(() => first.asked.length === 2, 'the first');
  due();
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
  const breaking = await serve(t, null, pair);
  const well = await serve(t, says('well'), pair);
  const proxy = await hedging(
    t,
    [breaking.port, (mute.address() as AddressInfo).port, well.port],
    'hedge: 30ms',
    `tls: { ca: ${JSON.stringify(certificates.caFile)}, handshakeTimeout: 60s }\nejection: { max: 0% }`,
  );
  const answer = get(proxy);
  await eventually(() => dialed.size === 1, 'the hedge');
  breaking.held[0]!.destroy();
  await eventually(() => api(proxy).endpoints[0]!.active === 0, 'the first to fail');
  for (const socket of dialed) socket.destroy();
  const reply = await answer;
  assert.deepEqual([reply.status, await reply.text()], [200, 'well']);
  assert.equal(api(proxy).stats.hedges, 1);
  // A client that leaves meanwhile leaves no dial behind.
  const socket = connect(proxy.port('web'), '127.0.0.1');
  socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  await eventually(() => dialed.size === 1, 'the hedge');
  assert.equal(api(proxy).stats.hedges, 2);
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
  await eventually(() => cluster.active === 0, 'the end of all');
  assert.equal(cluster.stats.hedges, 3);
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
  const slow = await serve(t, counted(silent));
  const quick = await serve(t, counted(says('second')));
  const proxy = await hedging(
    t,
    [slow.port, quick.port],
    'hedge: 20ms, budget: 100%',
    'requests: 4\npool: { queueTimeout: 60s }',
  );
  const client = async () => {
    const answers: string[] = [];
    for (let i = 0; i < 6; i++) answers.push(await (await get(proxy)).text());
    return answers;
  };
  const answers = (await Promise.all(Array.from({ length: 3 }, client))).flat();
  assert.deepEqual(
    answers,
    answers.map(() => 'second'),
  );
  assert.ok(most <= 4, String(most));
  await settled(proxy);
});

test('an endpoint that is put aside is no second one, and costs no budget', async (t) => {
  const slow = await serve(t, null);
  const aside = await serve(t, says('second'));
  const well = await serve(t, says('third'));
  const proxy = await hedging(t, [slow.port, aside.port], `hedge: ${LATE_MS}ms`);
  const [, second] = api(proxy).endpoints;
  second!.standing.ejected = true;
  second!.standing.ejectedUntilMs = performance.now() + 600_000;
  api(proxy).publish();
  const one = get(proxy);
  await eventually(() => slow.held.length === 1 && late.size === 1, 'the first');
  due();
  slow.held.shift()!.end('first');
  assert.equal(await (await one).text(), 'first');
  assert.deepEqual([aside.asked.length, api(proxy).stats.hedges, api(proxy).stats.retries], [0, 0, 0]);
  await settled(proxy);
  // With a third that is well it is asked.
  const three = await hedging(t, [slow.port, aside.port, well.port], `hedge: ${LATE_MS}ms`);
  api(three).endpoints[1]!.standing.health = 'down';
  api(three).publish();
  const other = get(three);
  await eventually(() => slow.held.length === 1 && late.size === 1, 'the first');
  due();
  assert.equal(await (await other).text(), 'third');
  await settled(three);
});
