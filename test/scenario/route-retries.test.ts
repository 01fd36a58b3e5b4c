// Retries that a route asks for stand in for those of its cluster.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import { eventually } from '../support/process.ts';
import { startProxy } from '../support/proxy.ts';

/** An endpoint that answers 503 always; how often each path was asked for. */
async function startErring(t: TestContext) {
  const asked = new Map<string, number>();
  const server = createServer((request, response) => {
    asked.set(request.url!, (asked.get(request.url!) ?? 0) + 1);
    response.writeHead(503).end();
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { address: `127.0.0.1:${(server.address() as AddressInfo).port}`, asked };
}

test('each route is tried again as often and for what it says itself, others as their cluster says', async (t) => {
  const { address, asked } = await startErring(t);
  const proxy = await startProxy(
    t,
    `
listeners:
  web:
    bind: "127.0.0.1:0"
    routes:
      - { match: { path: /never }, cluster: api, retries: { attempts: 0 } }
      - { match: { path: /else }, cluster: api, retries: { attempts: 5, on: [connect, "502"], backoff: 1ms } }
      - { match: { path: /often }, cluster: api, retries: { attempts: 3, on: ["503"], backoff: 1ms } }
      - { match: { path: /unsafe }, cluster: api, retries: { attempts: 2, on: ["503"], unsafe: true, backoff: 1ms } }
      - { match: { path: /split }, split: { clusters: { api: 1, other: 0 } }, retries: { attempts: 4, on: ["503"], backoff: 1ms } }
      - { cluster: api }
clusters:
  api: { endpoints: ["${address}"], retries: { attempts: 1, on: ["503"], backoff: 1ms }, ejection: { max: 0% } }
  other: { endpoints: ["${address}"] }
`,
  );
  const url = `http://127.0.0.1:${proxy.port('web')}`;
  for (const [path, method, tries] of [
    ['/never', 'GET', 1],
    ['/else', 'GET', 1],
    ['/often', 'GET', 4],
    ['/often', 'POST', 1],
    ['/unsafe', 'POST', 3],
    ['/split', 'GET', 5],
    ['/cluster', 'GET', 2],
  ] as const) {
    asked.clear();
    const { status } = await fetch(`${url}${path}`, { method });
    assert.deepEqual([path, status, asked.get(path)], [path, 503, tries]);
  }
});

test("a route's tries are given up in the time that it says, and hedged when it says", async (t) => {
  let asked = 0;
  const server = createServer((request, response) => {
    asked++;
    // The first of each path is never answered.
    if (!seen.has(request.url!)) seen.add(request.url!);
    else response.end('ok');
  }).listen(0, '127.0.0.1');
  const seen = new Set<string>();
  await once(server, 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  const proxy = await startProxy(
    t,
    `
listeners:
  web:
    bind: "127.0.0.1:0"
    routes:
      - { match: { path: /timeout }, cluster: api, retries: { on: [timeout], timeout: 500ms, backoff: 1ms } }
      - { match: { path: /hedge }, cluster: api, retries: { hedge: 50ms } }
clusters:
  api:
    endpoints: ["127.0.0.1:${port}", "localhost:${port}"]
    retries: { attempts: 0 }
    timeouts: { response: 60s }
`,
  );
  const { stats } = proxy.snapshot.clusters.get('api')!;
  const get = async (path: string) => (await fetch(`http://127.0.0.1:${proxy.port('web')}${path}`)).text();
  assert.equal(await get('/timeout'), 'ok');
  assert.deepEqual([asked, stats.retries, stats.hedges], [2, 1, 0]);
  assert.equal(await get('/hedge'), 'ok');
  assert.deepEqual([asked, stats.retries, stats.hedges, stats.hedgesWon], [4, 2, 1, 1]);
});

test("a route's requests allow as many retries as its own budget says, whatever that of the cluster is", async (t) => {
  const held: ServerResponse[] = [];
  let holding = true;
  const server = createServer((_request, response) => {
    if (holding) held.push(response);
    else response.writeHead(503).end();
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  for (const [own, others, retries] of [
    ['0%', '100%', 3],
    ['100%', '0%', 20],
  ] as const) {
    holding = true;
    const proxy = await startProxy(
      t,
      `
listeners:
  web:
    bind: "127.0.0.1:0"
    routes: [{ cluster: api, retries: { attempts: 1, on: ["503"], backoff: 1ms, budget: ${own} } }]
clusters:
  api: { endpoints: ["127.0.0.1:${port}"], retries: { budget: ${others} }, ejection: { max: 0% } }
`,
    );
    const url = `http://127.0.0.1:${proxy.port('web')}/`;
    const all = Array.from({ length: 20 }, () => fetch(url));
    await eventually(() => held.length === 20, 'all to have asked');
    const { stats } = proxy.snapshot.clusters.get('api')!;
    // Those that are tried again are held, so that all of them count at once.
    for (const response of held.splice(0)) response.writeHead(503).end();
    await eventually(() => stats.retries + stats.retriesRefused === 20 && held.length === stats.retries, 'the retries');
    assert.equal(stats.retries, retries, `${own} of ${others}`);
    holding = false;
    for (const response of held.splice(0)) response.writeHead(503).end();
    await Promise.all(all);
  }
});
