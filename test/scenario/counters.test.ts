// What the admin API tells of clusters: everything that is decided for a request or a client can be counted.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer, type RequestListener, type ServerResponse } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { ClusterStatus } from '../../lib/admin/control.ts';
import { Admin } from '../support/admin.ts';
import { Peer } from '../support/peer.ts';
import { eventually, freePort, startMillrace, temporaryFolder } from '../support/process.ts';

async function serve(t: TestContext, handle: RequestListener = (_, response) => response.end()): Promise<string> {
  const server = createServer(handle).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function start(t: TestContext, document: string) {
  const file = join(temporaryFolder(t), 'millrace.yaml');
  writeFileSync(file, `admin: { bind: "127.0.0.1:0" }\nworkers: 1\n${document}`);
  const proxy = startMillrace(t, ['run', '-c', file]);
  const admin = await Admin.of(proxy);
  const cluster = async (name: string) => (await admin.call({ path: `/v1/clusters/${name}` })).body as ClusterStatus;
  return {
    proxy,
    /** Waits until a cluster has counted this. */
    async counts(name: string, wanted: Partial<ClusterStatus>): Promise<void> {
      let seen = await cluster(name);
      const has = (): boolean => Object.entries(wanted).every(([key, value]) => seen[key as 'active'] === value);
      const look = setInterval(async () => (seen = await cluster(name).catch(() => seen)), 50);
      try {
        await eventually(has, `${JSON.stringify(wanted)} of ${name}`);
      } catch (error) {
        throw new Error(`${(error as Error).message}: ${JSON.stringify(seen)}`);
      } finally {
        clearInterval(look);
      }
    },
  };
}

test('requests of the parts of a split, and copies that are sent, left out and not answered', async (t) => {
  const well = await serve(t, (request, response) => request.resume().on('end', () => response.end()));
  const cut = await serve(t, (request) => request.socket.destroy());
  const { proxy, counts } = await start(
    t,
    `
listeners:
  web:
    bind: "127.0.0.1:0"
    routes:
      - { match: { path: /split }, split: { clusters: { most: 1, none: 0 } } }
      - { match: { path: /copy }, cluster: most, mirror: { cluster: shadow } }
      - { match: { path: /cut }, cluster: most, mirror: { cluster: broken } }
clusters:
  most: { endpoints: ["${well}"] }
  none: { endpoints: ["${well}"] }
  shadow: { endpoints: ["${well}"] }
  broken: { endpoints: ["${cut}"], ejection: { max: 0% } }
`,
  );
  const base = `http://127.0.0.1:${await proxy.port('web')}`;
  for (const path of ['split', 'split', 'copy', 'cut']) await fetch(`${base}/${path}`);
  // Longer than what is kept for copies.
  await fetch(`${base}/copy`, { method: 'POST', body: 'x'.repeat(200_000) });
  await counts('most', { requests: 5, copies: 0 });
  await counts('none', { requests: 0 });
  await counts('shadow', { requests: 0, copies: 1, copiesDropped: 1, copiesFailed: 0 });
  await counts('broken', { copies: 1, copiesDropped: 0, copiesFailed: 1 });
});

test('who finds the queue full, and who waits in it for too long, whether a request or a tunnel', async (t) => {
  const held: ServerResponse[] = [];
  const origin = await serve(t, (_request, response) => void held.push(response));
  const { proxy, counts } = await start(
    t,
    `
listeners:
  full: { bind: "127.0.0.1:0", cluster: full }
  rawFull: { bind: "127.0.0.1:0", protocol: tcp, cluster: full }
  late: { bind: "127.0.0.1:0", cluster: late }
  rawLate: { bind: "127.0.0.1:0", protocol: tcp, cluster: late }
clusters:
  full: { endpoints: ["${origin}"], requests: 1, pool: { queue: 0 } }
  late: { endpoints: ["${origin}"], requests: 1, pool: { queueTimeout: 50ms } }
`,
  );
  for (const [name, raw, counter] of [
    ['full', 'rawFull', 'queueFull'],
    ['late', 'rawLate', 'queueTimeouts'],
  ] as const) {
    const url = `http://127.0.0.1:${await proxy.port(name)}/`;
    const first = fetch(url);
    await counts(name, { active: 1 });
    assert.equal((await fetch(url)).status, 503);
    const tunnel = new Peer(connect(await proxy.port(raw), '127.0.0.1'));
    await tunnel.until(() => tunnel.closed, 'the reset');
    await counts(name, { queueFull: 0, queueTimeouts: 0, [counter]: 2, requests: 2, waiting: 0 });
    held.pop()!.end();
    await first;
  }
});

test('hedges that are answered first, and the cap that latency finds out', async (t) => {
  const slow = await serve(t, () => {});
  const quick = await serve(t);
  const { proxy, counts } = await start(
    t,
    `
listeners: { web: { bind: "127.0.0.1:0", cluster: app } }
clusters:
  app: { balance: first, endpoints: ["${slow}", "${quick}"], retries: { hedge: 20ms }, adaptive: { min: 7, max: 7 } }
`,
  );
  await fetch(`http://127.0.0.1:${await proxy.port('web')}/`);
  await counts('app', { hedges: 1, hedgesWon: 1, adaptiveLimit: 7 });
});

test('what discovery brings, and how often it fails', async (t) => {
  const file = join(temporaryFolder(t), 'endpoints.yaml');
  writeFileSync(file, `["127.0.0.1:${await freePort()}"]`);
  const { counts } = await start(
    t,
    `
listeners: { web: { bind: "127.0.0.1:0", cluster: app } }
clusters: { app: { discovery: { file: ${JSON.stringify(file)} } } }
`,
  );
  await counts('app', { discoveryUpdates: 1, discoveryFailures: 0 });
  writeFileSync(file, '[nonsense]');
  await counts('app', { discoveryUpdates: 1, discoveryFailures: 1 });
});
