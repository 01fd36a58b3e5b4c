// Idle connections of one endpoint: order, caps and what happens when they go; and the queue of a cluster.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Queue, Queued } from '../../lib/base/queue.ts';
import { Cluster, type Waiter } from '../../lib/upstream/cluster.ts';
import { Endpoint } from '../../lib/upstream/endpoint.ts';
import { Pool, type Poolable } from '../../lib/upstream/pool.ts';
import { clusterOptions } from '../support/cluster.ts';

class Idle implements Poolable {
  retired = false;
  readonly #pool: Pool;
  constructor(pool: Pool) {
    this.#pool = pool;
    pool.opened();
  }
  retire(): void {
    this.retired = true;
    this.#pool.closed(this);
  }
}

test('the connection given last is taken first', () => {
  const pool = new Pool(8, 0);
  const [a, b, c] = [new Idle(pool), new Idle(pool), new Idle(pool)];
  for (const each of [a, b, c]) pool.give(each);
  assert.deepEqual([pool.take(), pool.take(), pool.take(), pool.take()], [c, b, a, null]);
  assert.equal(pool.open, 3);
});

test('more than the cap of idle connections are retired as they come', () => {
  const pool = new Pool(1, 0);
  const [a, b] = [new Idle(pool), new Idle(pool)];
  pool.give(a);
  pool.give(b);
  assert.deepEqual([a.retired, b.retired, pool.idle, pool.open], [false, true, 1, 1]);
  const none = new Pool(0, 0);
  const only = new Idle(none);
  none.give(only);
  assert.ok(only.retired);
});

test('a connection that dies idle is forgotten wherever it stands', () => {
  const pool = new Pool(8, 0);
  const all = [new Idle(pool), new Idle(pool), new Idle(pool)];
  for (const each of all) pool.give(each);
  pool.closed(all[1]!);
  assert.deepEqual([pool.take(), pool.take(), pool.take()], [all[2], all[0], null]);
  assert.equal(pool.open, 2);
});

test('a pool is available while something is idle or there is room', () => {
  const pool = new Pool(8, 1);
  assert.ok(pool.available);
  const one = new Idle(pool);
  assert.ok(!pool.available);
  pool.give(one);
  assert.ok(pool.available);
  pool.take();
  pool.closed(one);
  assert.ok(pool.available);
});

test('emptying retires what is idle, and for good also what comes back', () => {
  const pool = new Pool(8, 0);
  const [a, b, c] = [new Idle(pool), new Idle(pool), new Idle(pool)];
  pool.give(a);
  pool.empty(false);
  pool.give(b);
  assert.deepEqual([a.retired, b.retired], [true, false]);
  pool.empty(true);
  pool.give(c);
  assert.deepEqual([b.retired, c.retired, pool.open], [true, true, 0]);
});

test('an endpoint on a unix socket has an authority that can stand in a Host field', () => {
  const pool = { idle: 1, max: 0, idleTimeoutMs: 0, queue: 0, queueTimeoutMs: 1, maxAgeMs: 0, warm: 0, maxRequests: 0 };
  const unix = new Endpoint({ address: { kind: 'unix', host: '', port: 0, path: '/x', fd: -1 }, weight: 1 }, pool);
  assert.deepEqual([unix.name, unix.authority], ['unix:/x', 'localhost']);
  const v6 = new Endpoint({ address: { kind: 'tcp', host: '::1', port: 8, path: '', fd: -1 }, weight: 1 }, pool);
  assert.deepEqual([v6.name, v6.authority], ['[::1]:8', '[::1]:8']);
});

class Waiting implements Waiter {
  queue: Queue | null = null;
  ahead: Queued | null = null;
  behind: Queued | null = null;
  readonly #cluster: Cluster;
  readonly #proceed: () => void;
  constructor(cluster: Cluster, proceed: () => void) {
    this.#cluster = cluster;
    this.#proceed = proceed;
  }
  proceed(): void {
    if (this.#cluster.pickAvailable([], 0) === null) return;
    this.#cluster.leave(this);
    this.#proceed();
  }

  crashed(error: unknown): void {
    throw error;
  }
}

function cluster(endpoints: number, max: number, queue: number): Cluster {
  const options = clusterOptions({
    endpoints: Array.from({ length: endpoints }, (_, number) => ({
      address: { kind: 'tcp', host: 'h', port: number + 1, path: '', fd: -1 },
      weight: 1,
    })),
    pool: { idle: 8, max, idleTimeoutMs: 0, queue, queueTimeoutMs: 1, maxAgeMs: 0, warm: 0, maxRequests: 0 },
  });
  return new Cluster('c', options);
}

test('an endpoint with room is found although it is not its turn, and none when all are full', () => {
  const full = cluster(3, 1, 8);
  const [a, b, c] = full.endpoints;
  a!.pool.opened();
  c!.pool.opened();
  for (let turn = 0; turn < 3; turn++) assert.equal(full.pickAvailable([], 0), b);
  b!.pool.opened();
  assert.equal(full.pickAvailable([], 0), null);
  assert.ok(full.pick([], 0) !== null, 'tunnels do not wait for the pool');
});

test('who waits is woken in order, when there is room and not before', () => {
  const waited = cluster(1, 1, 2);
  const { pool } = waited.endpoints[0]!;
  const connection = new Idle(pool);
  const woken: string[] = [];
  const [a, b, c] = ['a', 'b', 'c'].map((name) => new Waiting(waited, () => woken.push(name)));
  assert.equal(waited.wait(a!), null);
  assert.equal(waited.wait(b!), null);
  assert.equal(waited.wait(c!), 'queue_full');
  waited.wake();
  assert.deepEqual([woken, waited.waiting], [[], 2]);
  pool.give(connection);
  waited.leave(a!);
  waited.leave(c!);
  waited.wake();
  waited.wake();
  assert.deepEqual([woken, waited.waiting], [['b'], 0]);
});

test('nobody waits for a cluster without endpoints', () => {
  const nobody = cluster(0, 1, 2);
  assert.equal(nobody.wait(new Waiting(nobody, () => {})), 'no_endpoint');
});
