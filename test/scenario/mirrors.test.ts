// Copies of requests: what their answers, and the lack of them, say about the endpoints of the shadow.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type RequestListener, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import type { Poolable } from '../../lib/upstream/pool.ts';
import { eventually } from '../support/process.ts';
import { startProxy } from '../support/proxy.ts';

async function serve(t: TestContext, handle: RequestListener): Promise<number> {
  const server = createServer(handle).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

/** Requests for `ask` are answered at once and copied to the shadow; those for `direct` go there themselves. */
async function start(t: TestContext, shadows: readonly number[], options: string) {
  const port = await serve(t, (_request, response) => response.end('real'));
  const proxy = await startProxy(
    t,
    `
listeners:
  web: { bind: "127.0.0.1:0", routes: [{ cluster: real, mirror: { cluster: shadow } }] }
  direct: { bind: "127.0.0.1:0", cluster: shadow }
clusters:
  real: { endpoints: ["127.0.0.1:${port}"] }
  shadow: { endpoints: [${shadows.map((shadow) => `"127.0.0.1:${shadow}"`)}], ${options} }
`,
  );
  const get = (listener: string) => async (path: string) =>
    (await fetch(`http://127.0.0.1:${proxy.port(listener)}${path}`)).text();
  const cluster = proxy.snapshot.clusters.get('shadow')!;
  return { cluster, endpoint: cluster.endpoints[0]!, log: proxy.log, ask: get('web'), direct: get('direct') };
}

test('a shadow that answers with errors alone is put aside', async (t) => {
  const ill = await serve(t, (_request, response) => response.writeHead(503).end());
  const well = await serve(t, (_request, response) => response.end());
  const { endpoint, ask } = await start(t, [ill, well], 'ejection: { failures: 3 }');
  for (let i = 0; i < 8; i++) assert.equal(await ask('/'), 'real');
  await eventually(() => endpoint.standing.ejected, 'its ejection');
});

test('what copies take is measured like everything else', async (t) => {
  const port = await serve(t, (_request, response) => setTimeout(() => response.end(), 20));
  const { endpoint, cluster, ask } = await start(t, [port], 'balance: latency, ejection: { latency: 5 }');
  await ask('/');
  await eventually(() => endpoint.standing.took === 1 && cluster.active === 0, 'the answer of the copy');
  assert.ok(endpoint.standing.tookMs > 5, String(endpoint.standing.tookMs));
  assert.ok(endpoint.pace.at(performance.now()) > 0);
});

test('a connection that the shadow has closed meanwhile is not held against it', async (t) => {
  let asked = 0;
  const port = await serve(t, (request, response) => {
    if (++asked === 2) request.socket.destroy();
    else response.end();
  });
  const { endpoint, ask } = await start(t, [port], 'ejection: { failures: 3 }');
  await ask('/1');
  await eventually(() => endpoint.pool.idle === 1, 'a connection that is kept');
  await ask('/2');
  await eventually(() => endpoint.stats.failures === 1, 'its end');
  assert.equal(endpoint.standing.failures, 0);
});

test('a copy that ends makes room for who waits under a cap', async (t) => {
  const held: { readonly path: string; readonly response: ServerResponse }[] = [];
  const port = await serve(t, (request, response) => held.push({ path: request.url!, response }));
  const { cluster, ask, direct } = await start(t, [port], 'requests: 1, pool: { queueTimeout: 60s }');
  await ask('/copy');
  await eventually(() => held.length === 1, 'the copy');
  const waiting = direct('/waiting');
  await eventually(() => cluster.waiting === 1, 'the other to wait');
  // A connection that is kept would call the next one by itself.
  held.shift()!.response.writeHead(200, { Connection: 'close' }).end();
  await eventually(() => held.length === 1, 'its turn');
  assert.equal(held[0]!.path, '/waiting');
  held[0]!.response.end('done');
  assert.equal(await waiting, 'done');
});

test('a copy that cannot be sent for a fault of ours leaves nothing under way, nor a trial', async (t) => {
  const port = await serve(t, (_request, response) => response.end());
  const { cluster, endpoint, log, ask } = await start(t, [port], 'ejection: { failures: 3 }');
  let abandoned = 0;
  const broken = {
    retire() {},
    begin() {
      throw new Error('broken');
    },
    abandon() {
      abandoned++;
    },
  };
  endpoint.pool.opened();
  endpoint.pool.give(broken as Poolable);
  endpoint.standing.trial = 'wanted';
  cluster.publish();
  assert.equal(await ask('/'), 'real');
  await eventually(() => log.some(({ message }) => message === 'copy of a request not sent'), 'the fault');
  assert.deepEqual([cluster.active, endpoint.active, endpoint.standing.trial, abandoned], [0, 0, 'wanted', 1]);
});

test('copies go to the endpoint of the shadow that their key belongs to', async (t) => {
  const seen = new Map<string, Set<number>>();
  const ports: number[] = [];
  for (let place = 0; place < 4; place++) {
    const handle: RequestListener = (request, response) => {
      const places = seen.get(request.url!) ?? new Set<number>();
      seen.set(request.url!, places.add(place));
      response.end();
    };
    ports.push(await serve(t, handle));
  }
  const { cluster, ask } = await start(t, ports, 'balance: hash, hash: { on: path }');
  for (let i = 0; i < 80; i++) await ask(`/${i % 40}`);
  const answered = () => cluster.stats.copies === 80 && cluster.active === 0;
  await eventually(answered, 'the answers of all');
  assert.equal(cluster.stats.copiesFailed, 0);
  assert.deepEqual([...new Set([...seen.values()].map(({ size }) => size))], [1], 'a key at two endpoints');
  assert.ok(new Set([...seen.values()].flatMap((places) => [...places])).size > 1, 'all at one endpoint');
});
