// Layer 4: caps on tunnels, and those who wait for one to end.

import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { type TestContext, test } from 'node:test';
import { answering, type Origin, startOrigin } from '../support/origin.ts';
import { connectPeer, Peer } from '../support/peer.ts';
import { eventually } from '../support/process.ts';
import { startProxy, type TestProxy, tcpTo } from '../support/proxy.ts';

const LONG = 'queueTimeout: 60s';

function greet(peer: Peer, number: number): void {
  peer.send(`hello ${number}`);
}

function clusterOf(proxy: TestProxy) {
  return proxy.snapshot.clusters.get('api')!;
}

/** A client that waits in the queue, as the `place`th. */
async function queued(t: TestContext, proxy: TestProxy, place: number): Promise<Peer> {
  const client = await connectPeer(t, proxy.port('raw'));
  await eventually(() => clusterOf(proxy).waiting === place, `${place} waiting`);
  return client;
}

async function served(t: TestContext, proxy: TestProxy): Promise<Peer> {
  const client = await connectPeer(t, proxy.port('raw'));
  await client.receive('hello');
  return client;
}

/** Both ends of a tunnel end. */
function end(origin: Origin, client: Peer): void {
  origin.peers[Number(client.text.replace('hello ', ''))]!.end();
  client.end();
}

async function isReset(client: Peer): Promise<void> {
  await client.until(() => client.closed, 'the reset');
  assert.equal(client.error?.code, 'ECONNRESET');
}

const causes = (proxy: TestProxy) => proxy.log.map(({ cause }) => cause);

for (const [what, cap] of [
  ['a cap on what a cluster has under way', `requests: 1\npool: { ${LONG} }`],
  ['a cap on connections to each endpoint', `pool: { max: 1, ${LONG} }`],
] as const) {
  test(`${what} holds for tunnels: others wait in order, each until one before it ends`, async (t) => {
    const origin = await startOrigin(t, greet);
    const proxy = await startProxy(t, tcpTo([origin.address], '', cap));
    const first = await served(t, proxy);
    const second = await queued(t, proxy, 1);
    const third = await queued(t, proxy, 2);
    second.send('early');
    assert.equal(origin.peers.length, 1);
    end(origin, first);
    await second.receive('hello 1');
    await (await origin.peer(1)).receive('early');
    assert.deepEqual([origin.peers.length, third.text, clusterOf(proxy).active], [2, '', 1]);
    second.socket.resetAndDestroy();
    await third.receive('hello 2');
    end(origin, third);
    await eventually(() => clusterOf(proxy).endpoints[0]!.pool.open === 0, 'every connection counted out');
    assert.deepEqual([clusterOf(proxy).active, clusterOf(proxy).waiting], [0, 0]);
  });
}

test('a tunnel goes to another endpoint when the one that is chosen has no room', async (t) => {
  const one = await startOrigin(t, greet);
  const two = await startOrigin(t, greet);
  const proxy = await startProxy(t, tcpTo([one.address, two.address], '', `balance: first\npool: { max: 1, ${LONG} }`));
  await served(t, proxy);
  await served(t, proxy);
  assert.deepEqual([one.peers.length, two.peers.length], [1, 1]);
  await queued(t, proxy, 1);
});

test('a client beyond the queue is reset at once', async (t) => {
  const origin = await startOrigin(t, greet);
  const proxy = await startProxy(t, tcpTo([origin.address], '', `requests: 1\npool: { queue: 1, ${LONG} }`));
  const first = await served(t, proxy);
  const waiting = await queued(t, proxy, 1);
  // The reset may come as early as while it connects.
  const refused = new Peer(connect(proxy.port('raw'), '127.0.0.1'));
  await isReset(refused);
  assert.ok(causes(proxy).includes('queue_full'));
  end(origin, first);
  await waiting.receive('hello 1');
});

test('a client that waits too long is reset, and counts no more', async (t) => {
  const origin = await startOrigin(t, greet);
  const proxy = await startProxy(t, tcpTo([origin.address], '', 'requests: 1\npool: { queueTimeout: 100ms }'));
  const first = await served(t, proxy);
  const waiting = await connectPeer(t, proxy.port('raw'));
  await isReset(waiting);
  assert.ok(causes(proxy).includes('queue_timeout'));
  assert.equal(clusterOf(proxy).waiting, 0);
  end(origin, first);
  await eventually(() => clusterOf(proxy).active === 0, 'the end of the first');
  await served(t, proxy);
});

test('a client that is gone leaves the queue, whatever it has sent, and the next in it moves up', async (t) => {
  const origin = await startOrigin(t, greet);
  const proxy = await startProxy(t, tcpTo([origin.address], '', `requests: 1\npool: { ${LONG} }`));
  const first = await served(t, proxy);
  const gone = await queued(t, proxy, 1);
  gone.send('early');
  const next = await queued(t, proxy, 2);
  gone.socket.resetAndDestroy();
  await eventually(() => clusterOf(proxy).waiting === 1, 'one less');
  end(origin, first);
  await next.receive('hello 1');
});

test('what a client sends while it waits arrives whole and in order', async (t) => {
  const origin = await startOrigin(t);
  const proxy = await startProxy(t, tcpTo([origin.address], '', `requests: 1\npool: { ${LONG} }`));
  const first = await connectPeer(t, proxy.port('raw'));
  await origin.peer(0);
  const client = await queued(t, proxy, 1);
  let sent = '';
  for (let piece = 0; piece < 400; piece++) sent += `${piece} `.repeat(500);
  client.send(sent);
  client.end();
  first.socket.resetAndDestroy();
  assert.equal(await (await origin.peer(1)).receiveAll(), sent);
});

test('an exchange of HTTP and a tunnel that share a cluster count together, and an idle connection makes room', async (t) => {
  const origin = await startOrigin(t, answering('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'));
  const proxy = await startProxy(
    t,
    `
listeners:
  web: { bind: "127.0.0.1:0", cluster: api }
  raw: { bind: "127.0.0.1:0", protocol: tcp, cluster: api }
clusters:
  api: { endpoints: ["${origin.address}"], pool: { max: 1, ${LONG} } }
`,
  );
  const asks = await connectPeer(t, proxy.port('web'));
  asks.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  await asks.receive('ok');
  assert.equal(clusterOf(proxy).endpoints[0]!.pool.idle, 1);
  const tunnel = await connectPeer(t, proxy.port('raw'));
  await origin.peer(1);
  asks.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  await eventually(() => clusterOf(proxy).waiting === 1, 'the exchange waiting');
  tunnel.socket.resetAndDestroy();
  await asks.receive(/ok[\s\S]*ok/);
});
