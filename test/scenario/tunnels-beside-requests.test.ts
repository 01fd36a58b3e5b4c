// Clusters that tunnels and upgraded connections share with plain requests: what those leave for each other.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { ServerHttp2Stream } from 'node:http2';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { startHttp2Origin } from '../support/http2.ts';
import { startProxy, type TestProxy } from '../support/proxy.ts';
import { eventually } from '../support/wait.ts';

const UPGRADE = 'GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n';
const SWITCHING = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n';

const document = (ports: readonly number[], more: string) => `
listeners:
  web: { bind: 127.0.0.1:0, routes: [{ cluster: api }] }
  raw: { bind: 127.0.0.1:0, protocol: tcp, cluster: api }
clusters:
  api: { endpoints: [${ports.map((port) => `"127.0.0.1:${port}"`).join(', ')}], ${more} }
`;
const api = (proxy: TestProxy) => proxy.snapshot.clusters.get('api')!;
const get = async (proxy: TestProxy) => (await fetch(`http://127.0.0.1:${proxy.port('web')}/`)).text();

/** Answers requests; those to upgrade are kept for the test to answer. */
async function startSwitching(t: TestContext): Promise<{ port: number; asked: Socket[]; sockets: Set<Socket> }> {
  const asked: Socket[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((_, response) => response.end('ok'));
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
  });
  server.on('upgrade', (_, socket: Socket) => asked.push(socket));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return { port: (server.address() as AddressInfo).port, asked, sockets };
}

function client(t: TestContext, port: number, first: string): Socket {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => {});
  t.after(() => socket.destroy());
  socket.write(first);
  return socket;
}

test('tunnels and upgraded connections do not count for a cap that is found by latency', async (t) => {
  const origin = await startSwitching(t);
  const proxy = await startProxy(
    t,
    document([origin.port], 'adaptive: { min: 1, max: 1 }, pool: { queueTimeout: 1h }'),
  );
  const cluster = api(proxy);
  const tunnels = Array.from({ length: 3 }, () => client(t, proxy.port('raw'), 'GET / HT'));
  await eventually(() => cluster.active === 3 && origin.sockets.size === 3, 'the tunnels');
  assert.equal(await get(proxy), 'ok');
  const upgrade = client(t, proxy.port('web'), UPGRADE);
  await eventually(() => origin.asked.length === 1, 'the request to upgrade');
  const waits = get(proxy);
  await eventually(() => cluster.waiting === 1, 'one that waits');
  // From here on it is no exchange any more: there is room for one.
  origin.asked[0]!.write(SWITCHING);
  assert.equal(await waits, 'ok');
  assert.equal(cluster.active, 4);
  for (const socket of [...tunnels, upgrade, ...origin.sockets]) socket.destroy();
  await eventually(() => cluster.active === 0, 'the end of all');
  // Each has been counted out once: one is under way, and the next waits.
  client(t, proxy.port('web'), UPGRADE);
  await eventually(() => origin.asked.length === 2, 'another request to upgrade');
  assert.equal(cluster.full, true);
});

/** An endpoint of HTTP/2 whose streams end when the test says so. */
async function startHolding(t: TestContext) {
  const held: ServerHttp2Stream[] = [];
  const origin = await startHttp2Origin(t, (stream) => {
    stream.respond({ ':status': 200 });
    held.push(stream);
  });
  return { ...origin, held };
}

test('a tunnel goes where a connection of its own may be opened, and waits for that only when there is none', async (t) => {
  const busy = await startHolding(t);
  const other = await startHolding(t);
  const proxy = await startProxy(
    t,
    document([busy.port, other.port], 'balance: first, protocol: h2, pool: { max: 1, queueTimeout: 1h }'),
  );
  const cluster = api(proxy);
  const asked = get(proxy);
  await eventually(() => busy.held.length === 1, 'a stream');
  const first = client(t, proxy.port('raw'), '');
  await eventually(() => cluster.endpoints[1]!.stats.tunnels === 1, 'the tunnel');
  await once(first, 'data');
  // There is room for streams beside the first, but for no connection.
  const second = client(t, proxy.port('raw'), '');
  await eventually(() => cluster.waiting === 1, 'one that waits');
  busy.held[0]!.end('ok');
  assert.equal(await asked, 'ok');
  // The session of HTTP/2 serves nobody any more, and gives its place up.
  await once(second, 'data');
  assert.deepEqual(
    cluster.endpoints.map(({ stats }) => stats.tunnels),
    [1, 1],
  );
  await eventually(() => cluster.endpoints[0]!.pool.open === 1, 'the end of the session');
});

test('a request to upgrade does not take room on a connection that others share', async (t) => {
  const [crowded, other] = [await startSwitching(t), await startSwitching(t)];
  const proxy = await startProxy(
    t,
    document([crowded.port, other.port], 'balance: first, pool: { max: 1, queueTimeout: 1h }'),
  );
  const cluster = api(proxy);
  const { pool } = cluster.endpoints[0]!;
  let retired = 0;
  const session = {
    roomy: true,
    vacant: false,
    retire() {
      retired++;
      pool.closed(session);
    },
  };
  pool.opened();
  pool.admit(session);
  client(t, proxy.port('web'), UPGRADE);
  await eventually(() => other.asked.length === 1, 'the request to upgrade');
  client(t, proxy.port('web'), UPGRADE);
  await eventually(() => cluster.waiting === 1, 'one that waits');
  assert.equal(crowded.sockets.size, 0);
  session.vacant = true;
  cluster.wakeSoon();
  await eventually(() => crowded.asked.length === 1, 'the second request to upgrade');
  assert.deepEqual([retired, pool.open], [1, 1]);
});
