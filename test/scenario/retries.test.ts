// Trying again: how often, what it costs endpoints that err, and whom an answer or the lack of one is held against.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type RequestListener, type ServerResponse } from 'node:http';
import { constants } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import { ask as exchange } from '../support/http.ts';
import { startHttp2Origin } from '../support/http2.ts';
import { eventually } from '../support/process.ts';
import { httpTo, startProxy, type TestProxy } from '../support/proxy.ts';

/** An endpoint; its port. */
async function serve(t: TestContext, handle: RequestListener): Promise<number> {
  const server = createServer(handle).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

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

const api = (proxy: TestProxy) => proxy.snapshot.clusters.get('api')!;
const ask = async (proxy: TestProxy, path = '/') => {
  const reply = await fetch(`http://127.0.0.1:${proxy.port('web')}${path}`);
  return { status: reply.status, text: await reply.text() };
};

test('each try takes its own out of the budget, so that a cluster that errs is asked hardly more than without', async (t) => {
  const held: ServerResponse[] = [];
  let asked = 0;
  let holding = true;
  const port = await serve(t, (_request, response) => {
    asked++;
    if (holding) held.push(response);
    else response.writeHead(503).end();
  });
  const err = () => {
    for (const response of held.splice(0)) response.writeHead(503).end();
  };
  const proxy = await proxyTo(
    t,
    [port],
    'retries: { on: [503], attempts: 10, budget: 25%, backoff: 1ms }\nejection: { max: 0% }',
  );
  const { stats } = api(proxy);
  const all = Promise.all(Array.from({ length: 100 }, () => ask(proxy)));
  await eventually(() => held.length === 100, 'all to have asked');
  err();
  // Three are always allowed, and one for each four besides.
  await eventually(() => stats.retries + stats.retriesRefused === 100 && held.length === 28, 'the first retries');
  assert.deepEqual([stats.retries, asked], [28, 128]);
  holding = false;
  err();
  assert.deepEqual([...new Set((await all).map(({ status }) => status))], [503]);
  // Nothing is saved any more: the last three alone may go on, nine tries each.
  assert.ok(asked <= 128 + 3 * 9, `${asked} for 100`);
  assert.equal(stats.retries, asked - 100);
});

test('a stream that is broken off counts against its endpoint, and is tried again only as the policy says', async (t) => {
  const asked = new Map<unknown, number>();
  const origin = await startHttp2Origin(t, (stream) => {
    const before = asked.get(stream.session) ?? 0;
    asked.set(stream.session, before + 1);
    if (before > 0) return stream.close(constants.NGHTTP2_INTERNAL_ERROR);
    stream.respond({ ':status': 200 });
    stream.end('well');
  });
  const statuses = async (proxy: TestProxy) => {
    const got: number[] = [];
    for (let i = 0; i < 5; i++) got.push((await ask(proxy)).status);
    return got;
  };
  const never = 'protocol: h2\npool: { max: 1 }\nejection: { failures: 20 }\nretries: { attempts: 0 }';
  const once = await proxyTo(t, [origin.port], never);
  assert.deepEqual(await statuses(once), [200, 502, 502, 502, 502]);
  assert.deepEqual([...asked.values()], [5]);
  const [endpoint] = api(once).endpoints;
  assert.deepEqual([endpoint!.standing.failures, endpoint!.stats.failures, endpoint!.pool.open], [4, 4, 1]);
  asked.clear();
  const again = await proxyTo(t, [origin.port], never.replace('attempts: 0', 'attempts: 1, backoff: 1ms'));
  assert.deepEqual(await statuses(again), [200, 502, 502, 502, 502]);
  assert.deepEqual([...asked.values()], [9]);
  assert.equal(api(again).stats.retries, 4);
});

/** Holds each request until the test says what becomes of it. */
async function hold(t: TestContext) {
  const held: { readonly path: string; readonly response: ServerResponse }[] = [];
  const port = await serve(t, (request, response) => held.push({ path: request.url!, response }));
  return { port, held };
}

test('what goes on at once keeps its place under a cap', async (t) => {
  const [first, second] = [await hold(t), await hold(t)];
  const proxy = await proxyTo(
    t,
    [first.port, second.port],
    'balance: first\nrequests: 1\npool: { queue: 2, queueTimeout: 20s }\nejection: { max: 0% }',
  );
  const before = ask(proxy, '/0');
  await eventually(() => first.held.length === 1, 'a connection');
  first.held.shift()!.response.end();
  await before;
  const all = [ask(proxy, '/1')];
  await eventually(() => first.held.length === 1, 'its second use');
  all.push(ask(proxy, '/2'), ask(proxy, '/3'));
  await eventually(() => api(proxy).waiting === 2, 'a full queue');
  // As if it had been closed while the request was on its way.
  first.held.shift()!.response.destroy();
  await eventually(() => second.held.length + first.held.length > 0, 'the second endpoint');
  assert.deepEqual([second.held[0]?.path, api(proxy).active, api(proxy).waiting], ['/1', 1, 2]);
  second.held.shift()!.response.end();
  for (let left = 2; left > 0; left--) {
    await eventually(() => first.held.length > 0, 'those who waited');
    first.held.shift()!.response.end();
  }
  assert.ok((await Promise.all(all)).every(({ status }) => status === 200));
});

test('after its pause it is next, ahead of all who wait', async (t) => {
  const { port, held } = await hold(t);
  const proxy = await proxyTo(
    t,
    [port],
    `requests: 1
pool: { queueTimeout: 20s }
retries: { on: [503], backoff: 1ms }
ejection: { max: 0% }`,
  );
  const all = ['/1', '/2', '/3'].map((path) => ask(proxy, path));
  await eventually(() => held.length === 1 && api(proxy).waiting === 2, 'two to wait');
  const again = held[0]!.path;
  held.shift()!.response.writeHead(503).end();
  // Whoever waited goes on during the pause.
  await eventually(() => held.length === 1 && api(proxy).waiting === 2, 'the end of its pause');
  assert.notEqual(held[0]!.path, again);
  held.shift()!.response.end();
  await eventually(() => held.length === 1, 'its second try');
  assert.equal(held[0]!.path, again);
  held.shift()!.response.end();
  await eventually(() => held.length === 1, 'the last');
  held.shift()!.response.end();
  assert.ok((await Promise.all(all)).every(({ status }) => status === 200));
});

test('an endpoint is not late for a body that its client withholds', async (t) => {
  let asked = 0;
  const server = createServer(() => asked++).on('checkContinue', () => asked++);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  const proxy = await proxyTo(t, [port], 'timeouts: { response: 100ms }\nejection: { failures: 5 }');
  const [endpoint] = api(proxy).endpoints;
  const post = 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n';
  assert.match(await exchange(t, proxy.port('web'), post), /^HTTP\/1.1 504 /);
  assert.deepEqual([asked, endpoint!.standing.failures, endpoint!.active], [1, 0, 0]);
  // With the body it has all that it can want.
  assert.match(await exchange(t, proxy.port('web'), `${post}x`), /^HTTP\/1.1 504 /);
  assert.deepEqual([asked, endpoint!.standing.failures], [2, 1]);
});
