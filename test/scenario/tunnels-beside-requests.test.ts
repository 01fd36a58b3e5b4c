// Clusters that tunnels and upgraded connections share with plain requests: what those leave for each other.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
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
