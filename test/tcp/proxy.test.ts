// What cannot be brought about from outside: faults of ours and a want of buffers on the way to a tunnel.

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { createLog } from '../../lib/base/log.ts';
import type { Connection } from '../../lib/io/connection.ts';
import { flush, GATHER_BYTES } from '../../lib/io/send.ts';
import { releaseSlab, slabsInUse, takeSlab } from '../../lib/io/slab.ts';
import { type PassOptions, pass } from '../../lib/tcp/proxy.ts';
import { Cluster } from '../../lib/upstream/cluster.ts';
import { clusterOptions } from '../support/cluster.ts';
import { startOrigin } from '../support/origin.ts';
import { Peer } from '../support/peer.ts';
import { loopback, pair, pool, quiet } from '../support/tunnel.ts';
import { eventually } from '../support/wait.ts';

const start = slabsInUse();

type Pair = Awaited<ReturnType<typeof pair>>;

interface Stage {
  readonly downstream: Connection;
  readonly client: Peer;
  readonly passage: PassOptions;
  readonly log: Record<string, unknown>[];
}

async function stage(t: TestContext, ports: readonly number[]): Promise<Stage> {
  const { connection: downstream, client } = await pair(t, quiet());
  const log: Record<string, unknown>[] = [];
  const endpoints = ports.map((port) => ({ address: loopback(port), weight: 1 }));
  const cluster = new Cluster('api', clusterOptions({ endpoints }));
  const passage: PassOptions = {
    cluster,
    idleMs: 0,
    source: null,
    destination: null,
    log: createLog({
      level: 'debug',
      format: 'json',
      colours: false,
      write: (line) => log.push(JSON.parse(line)),
      now: Date.now,
    }),
  };
  return { downstream, client: new Peer(client), passage, log };
}

async function isReset(client: Peer): Promise<void> {
  await client.until(() => client.closed, 'the reset');
  assert.equal(client.error?.code, 'ECONNRESET');
}

test('a cluster without endpoints resets the client', async (t) => {
  const { downstream, client, passage, log } = await stage(t, []);
  pass(downstream, null, passage);
  await isReset(client);
  assert.equal(log[0]?.['cause'], 'no_endpoint');
});

test('a fault of ours while a tunnel is made resets both sides and is logged with its stack', async (t) => {
  const origin = await startOrigin(t);
  const { downstream, client, passage, log } = await stage(t, [origin.port]);
  const broken: PassOptions = {
    ...passage,
    get source(): never {
      throw new Error('ours');
    },
  };
  pass(downstream, null, broken);
  await isReset(client);
  assert.equal(log[0]?.['cause'], 'internal');
  assert.match(String(log[0]?.['detail']), /ours[\s\S]*at /);
  await (await origin.peer(0)).receiveAll();
  assert.equal(passage.cluster.endpoints[0]!.active, 0);

  const waiting = await stage(t, [origin.port]);
  pass(waiting.downstream, null, waiting.passage);
  waiting.downstream.receiver.crashed(new Error('ours'));
  await isReset(waiting.client);
  assert.equal(waiting.passage.cluster.endpoints[0]!.active, 0);
});

test('a fault of ours says nothing of an endpoint on trial: the next connection tries it', async (t) => {
  const origin = await startOrigin(t);
  const { downstream, client, passage } = await stage(t, [origin.port]);
  const ejection = { failures: 1, rate: 0, latency: 0, forMs: 60_000, longestMs: 60_000, max: 1 };
  const endpoints = [{ address: loopback(origin.port), weight: 1 }];
  const cluster = new Cluster('api', clusterOptions({ endpoints, ejection }));
  const { standing } = cluster.endpoints[0]!;
  standing.trial = 'wanted';
  cluster.publish();
  const broken: PassOptions = {
    ...passage,
    cluster,
    get source(): never {
      assert.equal(standing.trial, 'underway');
      throw new Error('ours');
    },
  };
  pass(downstream, null, broken);
  await isReset(client);
  assert.equal(standing.trial, 'wanted');
});

test('a client that goes while its endpoint is dialed takes the dial with it', async (t) => {
  const origin = await startOrigin(t);
  const { downstream, client, passage } = await stage(t, [origin.port]);
  pass(downstream, null, passage);
  assert.equal(passage.cluster.endpoints[0]!.active, 1);
  downstream.abort(new Error('gone'));
  assert.equal(passage.cluster.endpoints[0]!.active, 0);
  await isReset(client);
});

test('without a buffer for the first bytes the next endpoint is tried, and no byte is lost on the way', async (t) => {
  const origin = await startOrigin(t);
  const other = await startOrigin(t);
  const { downstream, client, passage } = await stage(t, [origin.port, other.port]);
  const { slow, taken } = await exhaust(t, 60_000);
  const first = Buffer.from(pool.subarray(0, GATHER_BYTES));
  pass(downstream, first, passage);
  client.send('behind');
  await origin.peer(0);
  while (passage.cluster.endpoints[0]!.stats.connectFailures === 0) await new Promise(setImmediate);
  taken.forEach(releaseSlab);
  const peer = await other.peer(0);
  await peer.until(() => peer.text.length >= first.length + 6, 'the bytes');
  assert.equal(peer.text, `${first.toString('latin1')}behind`);
  await origin.peers[0]!.until(() => origin.peers[0]!.closed, 'the reset');
  slow.client.destroy();
  client.socket.destroy();
  peer.socket.destroy();
  while (slabsInUse() > start) await new Promise(setImmediate);
  assert.equal(passage.cluster.endpoints[0]!.active + passage.cluster.endpoints[1]!.active, 0);
});

test('without a buffer for the PROXY header no endpoint gets the bytes without it', async (t) => {
  for (const count of [1, 2]) {
    const origins = [await startOrigin(t), await startOrigin(t)].slice(0, count);
    const { downstream, client, passage } = await stage(
      t,
      origins.map(({ port }) => port),
    );
    const endpoints = origins.map(({ port }) => ({ address: loopback(port), weight: 1 }));
    const cluster = new Cluster('api', clusterOptions({ endpoints, proxyProtocol: 'v1' }));
    const ends = { source: { address: '203.0.113.9', port: 1 }, destination: { address: '203.0.113.1', port: 2 } };
    const { slow, taken } = await exhaust(t, GATHER_BYTES - 8);
    pass(downstream, Buffer.from('hello'), { ...passage, ...ends, cluster });
    while (cluster.endpoints[0]!.stats.connectFailures === 0 && !client.closed) await new Promise(setImmediate);
    taken.forEach(releaseSlab);
    slow.client.destroy();
    if (count === 1) await isReset(client);
    else {
      const peer = await origins[1]!.peer(0);
      await peer.until(() => peer.text.endsWith('hello'), 'the bytes');
      assert.equal(peer.text, 'PROXY TCP4 203.0.113.9 203.0.113.1 1 2\r\nhello');
      peer.socket.destroy();
    }
    client.socket.destroy();
    await eventually(() => cluster.active === 0 && slabsInUse() <= start, 'the end of all');
  }
});

/** Takes every buffer: that for gathering is held by somebody who does not read and has so much in it, and there is no other. */
async function exhaust(t: TestContext, gathered: number): Promise<{ slow: Pair; taken: number[] }> {
  const slow = await pair(t, quiet());
  slow.client.pause();
  while (slow.connection.send(pool, 0, GATHER_BYTES));
  slow.connection.send(pool, 0, gathered);
  flush();
  const taken: number[] = [];
  for (let slab = takeSlab(); slab >= 0; slab = takeSlab()) taken.push(slab);
  return { slow, taken };
}
