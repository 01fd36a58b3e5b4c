// Who is chosen when not everybody has room, and who goes on first when there is room again.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Queue, Queued } from '../../lib/base/queue.ts';
import { Cluster } from '../../lib/upstream/cluster.ts';
import type { Endpoint } from '../../lib/upstream/endpoint.ts';
import type { ClusterOptions, EndpointOptions, Policy } from '../../lib/upstream/options.ts';
import type { Waiter } from '../../lib/upstream/waiters.ts';
import { clusterOptions } from '../support/cluster.ts';

const POOL = { idle: 8, max: 1, idleTimeoutMs: 0, queue: 8, queueTimeoutMs: 1, maxAgeMs: 0, warm: 0, maxRequests: 0 };

function clusterOf(parts: readonly Partial<EndpointOptions>[], more: Partial<ClusterOptions> = {}): Cluster {
  const endpoints = parts.map((part, place): EndpointOptions => {
    const address = { kind: 'tcp', host: `10.0.0.${place}`, port: 80, path: '', fd: -1 } as const;
    return { address, weight: 1, ...part };
  });
  return new Cluster('c', clusterOptions({ endpoints, pool: POOL, ...more }));
}

/** Takes the only connection of an endpoint's pool. */
function fill(...endpoints: Endpoint[]): void {
  for (const { pool } of endpoints) pool.opened();
}

/** One exchange that waits, as proxies have them. */
class Waiting implements Waiter {
  queue: Queue | null = null;
  ahead: Queued | null = null;
  behind: Queued | null = null;
  readonly #cluster: Cluster;
  readonly #tried: readonly Endpoint[];
  endpoint: Endpoint | null = null;
  asked = 0;

  constructor(cluster: Cluster, tried: readonly Endpoint[] = []) {
    this.#cluster = cluster;
    this.#tried = tried;
  }

  proceed(): void {
    this.asked++;
    const endpoint = this.#cluster.pickAvailable(this.#tried, 0);
    if (endpoint === null) return void assert.equal(this.#cluster.wait(this), null);
    this.#cluster.leave(this);
    this.endpoint = endpoint;
    fill(endpoint);
    endpoint.enter();
  }

  crashed(error: unknown): void {
    throw error;
  }

  end(): void {
    this.endpoint!.leave();
    this.endpoint!.pool.open--;
    this.endpoint = null;
    this.#cluster.wake();
  }
}

test('those who wait under a cap go on although every endpoint is said to be down', () => {
  const cluster = clusterOf([{}], { requests: 1, pool: { ...POOL, max: 0 } });
  cluster.found(cluster.endpoints[0]!, 'down', 'x');
  const three = Array.from({ length: 3 }, () => new Waiting(cluster));
  for (const one of three) one.proceed();
  assert.deepEqual([cluster.active, cluster.waiting], [1, 2]);
  three[0]!.end();
  assert.ok(three[1]!.endpoint !== null, 'the second does not go on');
  three[1]!.end();
  assert.ok(three[2]!.endpoint !== null, 'the third does not go on');
  assert.equal(cluster.waiting, 0);
});

test('a primary that is only busy does not send requests to the backup, nor to another priority or zone', () => {
  for (const aside of [{ backup: true }, { priority: 1 }, { zone: 'far' }]) {
    const cluster = clusterOf([{ zone: 'near' }, aside], { zone: 'near' });
    fill(cluster.endpoints[0]!);
    assert.equal(cluster.pickAvailable([], 0), null, JSON.stringify(aside));
    const waiting = new Waiting(cluster);
    waiting.proceed();
    cluster.endpoints[0]!.pool.open--;
    cluster.wake();
    assert.equal(waiting.endpoint, cluster.endpoints[0]);
  }
});

test('who was tried is not chosen again because another is full', () => {
  for (const balance of POLICIES) {
    const cluster = clusterOf([{}, {}, {}], { balance });
    const [a, b, c] = cluster.endpoints as [Endpoint, Endpoint, Endpoint];
    fill(b);
    for (let turn = 0; turn < 6; turn++) assert.equal(cluster.pickAvailable([a], turn), c, balance);
    fill(c);
    for (let turn = 0; turn < 6; turn++) assert.equal(cluster.pickAvailable([a], turn), null, balance);
  }
  const spare = clusterOf([{}, { backup: true }]);
  fill(spare.endpoints[0]!);
  assert.equal(spare.pickAvailable([spare.endpoints[1]!], 0), null);
});

test('when all have been tried one with room is as good as any', () => {
  for (const balance of POLICIES) {
    const cluster = clusterOf([{}, {}], { balance });
    const [a, b] = cluster.endpoints as [Endpoint, Endpoint];
    fill(a);
    for (let turn = 0; turn < 6; turn++) {
      assert.equal(cluster.pickAvailable([a, b], turn), b, balance);
      assert.equal(cluster.pickAvailable([b, a], turn), b, balance);
    }
    fill(b);
    assert.equal(cluster.pickAvailable([a, b], 0), null, balance);
  }
});

const POLICIES: readonly Policy[] = ['round-robin', 'least-requests', 'random', 'hash', 'first', 'latency'];

test('the keys of a full endpoint are spread over all others, and each goes to the same one', () => {
  const cluster = clusterOf(Array(10).fill({}), { balance: 'hash', hash: { on: 'path', name: '', bound: 0 } });
  const [full] = cluster.endpoints;
  const keys = Array.from({ length: 2000 }, (_, i) => Math.imul(i, 0x9e3779b1) >>> 0);
  const own = keys.filter((key) => cluster.pickAvailable([], key) === full);
  fill(full!);
  const places = own.map((key) => cluster.pickAvailable([], key)!);
  assert.ok(!places.includes(full!));
  for (const one of cluster.endpoints.slice(1)) {
    const share = places.filter((place) => place === one).length / own.length;
    assert.ok(share > 0.03 && share < 0.25, `${one.name} ${share}`);
  }
  assert.deepEqual(
    own.map((key) => cluster.pickAvailable([], key)),
    places,
  );
});

test('the rest of a full endpoint goes to those with room by weight and load, and with first in order', () => {
  const idle = clusterOf([{}, {}, { weight: 4 }], { balance: 'least-requests', pool: { ...POOL, max: 9 } });
  const [a, b, c] = idle.endpoints as [Endpoint, Endpoint, Endpoint];
  for (let i = 0; i < 9; i++) fill(c);
  a.active = 2;
  assert.equal(idle.pickAvailable([], 0), b);
  const first = clusterOf([{}, {}, {}], { balance: 'first' });
  fill(first.endpoints[0]!);
  assert.equal(first.pickAvailable([], 0), first.endpoints[1]);
});

test('who is woken in vain keeps its place, and those behind it go on meanwhile', () => {
  const cluster = clusterOf([{}, {}]);
  const [a, b] = cluster.endpoints as [Endpoint, Endpoint];
  fill(a, b);
  const picky = new Waiting(cluster, [a]);
  const others = [new Waiting(cluster), new Waiting(cluster)];
  for (const one of [picky, ...others]) one.proceed();
  a.pool.open--;
  cluster.wake();
  assert.deepEqual([picky.endpoint, others[0]!.endpoint, others[1]!.endpoint], [null, a, null]);
  b.pool.open--;
  cluster.wake();
  assert.deepEqual([picky.endpoint, others[1]!.endpoint, cluster.waiting], [b, null, 1]);
});

test('room at an endpoint on trial is for one, and the others wait in their order', () => {
  const ejection = { failures: 1, rate: 0, latency: 0, forMs: 1, longestMs: 1, max: 0.5 };
  const cluster = clusterOf([{}, {}], { ejection });
  const [a, b] = cluster.endpoints as [Endpoint, Endpoint];
  fill(b);
  a.standing.trial = 'wanted';
  cluster.publish();
  assert.equal(cluster.pickAvailable([], 0), a);
  assert.equal(a.standing.trial, 'underway');
  const [one, two] = [new Waiting(cluster), new Waiting(cluster)];
  one.proceed();
  two.proceed();
  cluster.wake();
  cluster.wake();
  assert.deepEqual([one.endpoint, two.endpoint, two.asked], [null, null, 1], 'asked in vain');
  b.pool.open--;
  cluster.wake();
  assert.deepEqual([one.endpoint, two.endpoint], [b, null]);
});

test('room for many is for all who wait, though it is told of once', () => {
  const cluster = clusterOf([{}, {}]);
  fill(...cluster.endpoints);
  const all = Array.from({ length: 5 }, () => new Waiting(cluster));
  for (const one of all) one.proceed();
  assert.equal(cluster.waiting, 5);
  // A dial that the others may wait for.
  cluster.endpoints[1]!.pool.gathering = { roomy: true };
  cluster.wake();
  assert.deepEqual(new Set(all.map(({ endpoint }) => endpoint)), new Set([cluster.endpoints[1]]));
  assert.deepEqual(
    all.map(({ asked }) => asked),
    Array(5).fill(2),
    'asked in vain',
  );
});

test('who is woken and gives up leaves the room to the next', () => {
  const cluster = clusterOf([{}]);
  const [only] = cluster.endpoints as [Endpoint];
  fill(only);
  const [quitter, next] = [new Waiting(cluster), new Waiting(cluster)];
  for (const one of [quitter, next]) one.proceed();
  quitter.proceed = () => cluster.leave(quitter);
  only.pool.open--;
  cluster.wake();
  assert.deepEqual([quitter.endpoint, next.endpoint, cluster.waiting], [null, only, 0]);
});

test('an exception of one that is woken is its own affair', () => {
  const cluster = clusterOf([{}]);
  const [only] = cluster.endpoints as [Endpoint];
  fill(only);
  const [faulty, next] = [new Waiting(cluster), new Waiting(cluster)];
  for (const one of [faulty, next]) one.proceed();
  const told: unknown[] = [];
  faulty.proceed = () => {
    throw new Error('ours');
  };
  faulty.crashed = (error) => told.push(error);
  only.pool.open--;
  cluster.wake();
  assert.deepEqual([told.map(String), faulty.queue, next.endpoint], [['Error: ours'], null, only]);
});

test('nobody waits where nobody may be chosen until something changes', () => {
  const draining = clusterOf([{ draining: true }]);
  assert.equal(draining.wait(new Waiting(draining)), 'no_endpoint');
  const strict = clusterOf([{}], { panic: 0 });
  strict.found(strict.endpoints[0]!, 'down', 'x');
  assert.equal(strict.wait(new Waiting(strict)), null, 'a choice is due');
  strict.publish();
  assert.equal(strict.wait(new Waiting(strict)), 'no_endpoint');
  strict.found(strict.endpoints[0]!, 'up', 'x');
  assert.equal(strict.wait(new Waiting(strict)), null, 'one is back');
});

test('with panic at 0 % who was tried is rather asked again than one that is said to be ill or put aside', () => {
  for (const panic of [0, 0.5]) {
    const cluster = clusterOf([{}, {}, {}], { panic });
    const [a, down, aside] = cluster.endpoints as [Endpoint, Endpoint, Endpoint];
    cluster.found(down, 'down', 'x');
    aside.standing.ejected = true;
    a.standing.health = 'up';
    cluster.publish();
    for (const pick of ['pick', 'pickAvailable'] as const) {
      const again = cluster[pick]([a], 0);
      if (panic === 0) assert.equal(again, a);
      else assert.notEqual(again, a);
    }
  }
});
