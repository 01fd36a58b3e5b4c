// Who may be chosen: what checks, failures, levels, zones and time make of the endpoints of a cluster.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Cluster } from '../../lib/upstream/cluster.ts';
import { Concurrency } from '../../lib/upstream/concurrency.ts';
import { Ejection } from '../../lib/upstream/ejection.ts';
import { Endpoint } from '../../lib/upstream/endpoint.ts';
import type { ClusterOptions, EjectionOptions, EndpointOptions, Policy } from '../../lib/upstream/options.ts';
import type { Poolable } from '../../lib/upstream/pool.ts';
import { select } from '../../lib/upstream/selection.ts';
import { WINDOW_S } from '../../lib/upstream/standing.ts';
import { clusterOptions } from '../support/cluster.ts';

const POOL = { idle: 1, max: 0, idleTimeoutMs: 0, queue: 0, queueTimeoutMs: 1, maxAgeMs: 0, warm: 0, maxRequests: 0 };
const SELECTION = { panic: 0.5, zone: '', slowStartMs: 0 };

function options(place: number, more: Partial<EndpointOptions> = {}): EndpointOptions {
  const address = { kind: 'tcp', host: `10.0.0.${place}`, port: 80, path: '', fd: -1 } as const;
  return { address, weight: 1, ...more };
}

function endpoints(...parts: Partial<EndpointOptions>[]): Endpoint[] {
  return parts.map((more, place) => new Endpoint(options(place, more), POOL));
}

/** Weights by place, rounded; those that may not be chosen are 0. */
function weights(among: readonly Endpoint[], more: Partial<typeof SELECTION> = {}, now = 1_000_000): number[] {
  const { candidates } = select(among, { ...SELECTION, ...more }, now);
  return among.map((one) => {
    const found = candidates.find(({ endpoint }) => endpoint === one);
    return Math.round((found?.weight ?? 0) * 100) / 100;
  });
}

test('those that are down, put aside or draining are not chosen', () => {
  const among = endpoints({}, {}, {}, {}, {}, {}, {});
  among[0]!.standing.health = 'down';
  among[1]!.standing.ejected = true;
  among[2]!.standing.draining = true;
  assert.deepEqual(weights(among), [0, 0, 0, 1, 1, 1, 1]);
});

test('a level that cannot take all gives the rest to the next, backups come last, and with none left all are used', () => {
  const among = endpoints({}, {}, { priority: 1 }, { priority: 1 }, { backup: true });
  const down = (...places: number[]): void =>
    among.forEach(({ standing }, place) => {
      standing.health = places.includes(place) ? 'down' : 'up';
    });
  assert.deepEqual(weights(among), [1, 1, 0, 0, 0]);
  // Half of the first can take 70 %, as long as there is somebody for the rest.
  down(0);
  assert.deepEqual(weights(among), [0, 0.7, 0.15, 0.15, 0]);
  down(0, 2);
  assert.deepEqual(weights(among), [0, 0.7, 0, 0.3, 0]);
  down(0, 2, 3);
  assert.deepEqual(weights(among), [0, 1, 0, 0, 0]);
  down(0, 1);
  assert.deepEqual(weights(among), [0, 0, 1, 1, 0]);
  down(0, 1, 3);
  assert.deepEqual(weights(among), [0, 0, 1, 0, 0]);
  down(0, 1, 2, 3);
  assert.deepEqual(weights(among), [0, 0, 0, 0, 1]);
  down(0, 1, 2, 3, 4);
  assert.deepEqual(weights(among), [1, 1, 0, 0, 0]);
  assert.equal(select(among, SELECTION, 0).panicking, true);
  assert.deepEqual(weights(among, { panic: 0 }), [0, 0, 0, 0, 0]);
});

test('levels of which each is mostly ill are used together while they can take all, and the backup when they cannot', () => {
  const five = (more: Partial<EndpointOptions>) => Array(5).fill(more) as Partial<EndpointOptions>[];
  const among = endpoints(...five({}), ...five({ priority: 1 }), { backup: true });
  // Two of five in each level can take 56 %.
  for (const place of [0, 1, 2, 5, 6, 7]) among[place]!.standing.health = 'down';
  assert.deepEqual(weights(among), [0, 0, 0, 0.28, 0.28, 0, 0, 0, 0.22, 0.22, 0]);
  among[8]!.standing.health = 'down';
  assert.deepEqual(weights(among), [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
});

test('when most of the only level are said to be down, all of it are used', () => {
  const among = endpoints({}, {}, {}, {}, {});
  for (const { standing } of among.slice(0, 3)) standing.health = 'down';
  assert.deepEqual(weights(among), [1, 1, 1, 1, 1]);
  assert.deepEqual(weights(among, { panic: 0.4 }), [0, 0, 0, 1, 1]);
});

test('our own zone is preferred as far as it can take the load, and the rest goes to others', () => {
  const near = { zone: 'a' };
  const among = endpoints(near, near, near, near, { zone: 'b' }, { zone: 'c' });
  assert.deepEqual(weights(among, { zone: 'a' }), [1, 1, 1, 1, 0, 0]);
  assert.deepEqual(weights(among, { zone: 'x' }), [1, 1, 1, 1, 1, 1]);
  // Three quarters can take it with what is spare, half of them cannot.
  among[0]!.standing.health = 'down';
  assert.deepEqual(weights(among, { zone: 'a' }), [0, 1, 1, 1, 0, 0]);
  among[1]!.standing.health = 'down';
  assert.deepEqual(weights(among, { zone: 'a' }), [0, 0, 0.35, 0.35, 0.15, 0.15]);
});

test('who comes back begins with a tenth of its weight and has all of it in time', () => {
  const among = endpoints({ weight: 10 }, { weight: 10 });
  among[0]!.standing.rampFromMs = 1000;
  const at = (now: number) => weights(among, { slowStartMs: 10_000 }, now)[0];
  assert.deepEqual([at(1000), at(6000), at(11_000), at(20_000)], [1, 5.5, 10, 10]);
});

const EJECTION: EjectionOptions = { failures: 3, rate: 0, latency: 0, forMs: 1000, longestMs: 5000, max: 0.5 };

function ejecting(count: number, more: Partial<EjectionOptions> = {}) {
  const among = endpoints(...Array.from({ length: count }, () => ({})));
  const reasons: string[] = [];
  const ejection = new Ejection(
    { ...EJECTION, ...more },
    () => among,
    (_endpoint, reason) => reasons.push(reason),
  );
  return { among, reasons, ejection, first: among[0]! };
}

test('failures in a row put an endpoint aside, a success between them does not', () => {
  const { ejection, first } = ejecting(4);
  ejection.failed(first, 'x', 0);
  ejection.failed(first, 'x', 1);
  ejection.succeeded(first, 0, 2);
  ejection.failed(first, 'x', 3);
  ejection.failed(first, 'x', 4);
  assert.equal(first.standing.ejected, false);
  ejection.failed(first, 'x', 5);
  assert.equal(first.standing.ejected, true);
});

test('each time in a row is longer up to the longest, one trial brings it back, and good conduct is remembered', () => {
  const { ejection, first } = ejecting(4);
  for (let i = 0; i < 3; i++) ejection.failed(first, 'x', 0);
  const lengths = [first.standing.ejectedUntilMs];
  let now = 0;
  for (let round = 0; round < 4; round++) {
    now = first.standing.ejectedUntilMs;
    ejection.tick(now - 1);
    assert.equal(first.standing.ejected, true);
    ejection.tick(now);
    assert.deepEqual([first.standing.ejected, first.standing.trial], [false, 'wanted']);
    ejection.failed(first, 'x', now);
    lengths.push(first.standing.ejectedUntilMs - now);
  }
  assert.deepEqual(lengths, [1000, 2000, 4000, 5000, 5000]);
  now = first.standing.ejectedUntilMs;
  ejection.tick(now);
  ejection.succeeded(first, 0, now + 1);
  assert.deepEqual([first.standing.trial, first.standing.ejections], ['none', 5]);
  for (let s = 1; s < 60; s++) ejection.tick(now + s * 1000);
  assert.equal(first.standing.ejections, 0);
});

test('no more than the allowed share is put aside, and an only endpoint never', () => {
  const { ejection, among } = ejecting(5);
  for (const endpoint of among) for (let i = 0; i < 3; i++) ejection.failed(endpoint, 'x', 0);
  assert.equal(among.filter(({ standing }) => standing.ejected).length, 2);
  const alone = ejecting(1);
  for (let i = 0; i < 9; i++) alone.ejection.failed(alone.first, 'x', 0);
  assert.equal(alone.first.standing.ejected, false);
});

test('a share of failures counts once there is enough to count, and only within the window', () => {
  const { ejection, first } = ejecting(4, { failures: 0, rate: 0.5 });
  for (let i = 0; i < 9; i++) {
    ejection.failed(first, 'x', i);
    ejection.succeeded(first, 0, i);
  }
  assert.equal(first.standing.ejected, false);
  const later = WINDOW_S * 1000 + 500;
  for (let i = 0; i < 9; i++) ejection.failed(first, 'x', later);
  assert.equal(first.standing.ejected, false, 'what was before is over');
  for (let i = 0; i < 9; i++) ejection.succeeded(first, 0, later);
  for (let i = 0; i < 2; i++) ejection.failed(first, 'x', later + 900);
  assert.equal(first.standing.ejected, true);
});

test('one that takes many times as long as the others is put aside, but not for some milliseconds', () => {
  for (const [slowMs, quickMs, ejected] of [
    [500, 20, true],
    [15, 1, false],
    [500, 400, false],
  ] as const) {
    const { ejection, among, first, reasons } = ejecting(4, { latency: 5 });
    for (const endpoint of among) {
      for (let i = 0; i < 30; i++) ejection.succeeded(endpoint, endpoint === first ? slowMs : quickMs, i);
    }
    ejection.tick(1000);
    assert.equal(first.standing.ejected, ejected, `${slowMs} ${reasons}`);
  }
});

const POLICIES: readonly Policy[] = ['round-robin', 'least-requests', 'random', 'hash', 'first', 'latency'];

/** A connection that can be kept, by the rules of pools. */
class Lease implements Poolable {
  readonly endpoint: Endpoint;
  constructor(endpoint: Endpoint) {
    this.endpoint = endpoint;
    endpoint.pool.opened();
  }
  retire(): void {
    this.endpoint.pool.closed(this);
  }
}

const WHAT = ['pick', 'end', 'fail', 'succeed', 'outrun', 'down', 'up', 'trial', 'publish', 'retry', 'endRetry'];
const CHANGES = ['find', 'add', 'remove', 'drain', 'use', 'weigh'];

test('no sequence of changes, faults and exchanges yields an endpoint that is gone, a negative count or a lost lease', () => {
  const step = fc.record({ what: fc.constantFrom(...WHAT, ...CHANGES), at: fc.nat(1000) });
  fc.assert(
    fc.property(fc.constantFrom(...POLICIES), fc.array(step, { minLength: 20, maxLength: 150 }), (balance, steps) => {
      const cluster = new Cluster('c', sampleOptions(balance));
      const everSeen = new Set<Endpoint>();
      const open: Lease[] = [];
      // What the operator has said last, of those that are still there.
      const said = new Map<string, { weight?: number; draining?: boolean }>();
      let retries = 0;
      const finish = (at: number, what: string): void => {
        const [lease] = open.splice(at % Math.max(1, open.length), 1);
        if (lease === undefined) return;
        const { endpoint } = lease;
        if (what === 'fail') cluster.failed(endpoint, 'x');
        else if (what === 'succeed') cluster.succeeded(endpoint, at % 100);
        else if (what === 'outrun') cluster.outrun(endpoint, at % 100);
        else cluster.undecided(endpoint);
        endpoint.leave();
        if (what === 'fail') endpoint.pool.closed(lease);
        else endpoint.pool.give(lease);
      };
      for (const { what, at } of steps) {
        const member = cluster.endpoints[at % Math.max(1, cluster.endpoints.length)];
        if (what === 'pick') {
          const tried = open.slice(0, at % 3).map(({ endpoint }) => endpoint);
          const endpoint = cluster.pickAvailable(tried, at);
          if (endpoint === null) continue;
          assert.ok(cluster.endpoints.includes(endpoint), 'an endpoint that is gone');
          assert.ok(!endpoint.standing.draining, 'an endpoint that is draining');
          endpoint.enter();
          open.push((endpoint.pool.take() as Lease | null) ?? new Lease(endpoint));
        } else if (what === 'down' || what === 'up') {
          if (member !== undefined) cluster.found(member, what, 'x');
        } else if (what === 'trial') {
          // As time brings it.
          const aside = cluster.endpoints.find(({ standing }) => standing.ejected);
          if (aside === undefined) continue;
          aside.standing.ejected = false;
          aside.standing.trial = 'wanted';
          cluster.publish();
        } else if (what === 'publish') cluster.publish();
        else if (what === 'retry') retries += cluster.beginRetry() ? 1 : 0;
        else if (what === 'endRetry') {
          if (retries === 0) continue;
          cluster.endRetry();
          retries--;
        } else if (CHANGES.includes(what)) {
          change(cluster, said, what, at, member);
        } else finish(at, what);
        for (const endpoint of cluster.endpoints) everSeen.add(endpoint);
        assert.equal(cluster.active, open.length);
        for (const endpoint of everSeen) {
          const held = open.filter((one) => one.endpoint === endpoint).length;
          assert.equal(endpoint.active, held);
          assert.equal(endpoint.pool.open, held + endpoint.pool.idle);
          assert.ok(endpoint.standing.trial !== 'underway' || held > 0, 'a trial that nobody makes');
          if (!cluster.endpoints.includes(endpoint)) assert.equal(endpoint.pool.idle, 0, 'kept for nobody');
        }
      }
      while (open.length > 0) finish(0, 'succeed');
      for (const endpoint of everSeen) {
        const kept = cluster.endpoints.includes(endpoint) ? endpoint.pool.idle : 0;
        assert.deepEqual([endpoint.active, endpoint.pool.open], [0, kept]);
      }
      assert.equal(cluster.active, 0);
    }),
    { numRuns: 400 },
  );
});

/** A source finds endpoints, or an operator says something; what he said holds as long as the endpoint is there. */
function change(
  cluster: Cluster,
  said: Map<string, { weight?: number; draining?: boolean }>,
  what: string,
  at: number,
  member: Endpoint | undefined,
): void {
  const named = (name: string) => cluster.endpoints.find((endpoint) => endpoint.name === name);
  const before = new Set(cluster.endpoints);
  if (what === 'find') cluster.find(Array.from({ length: at % 5 }, (_, place) => options(4 + ((at + place) % 7))));
  else if (what === 'add') {
    const endpoint = options(at % 12);
    const name = `10.0.0.${at % 12}:80`;
    const known = named(name) !== undefined;
    assert.equal(cluster.change({ kind: 'add', endpoint }), known ? 'known already' : null);
    assert.ok(named(name) !== undefined);
  } else if (what === 'remove') {
    const name = member?.name ?? 'nobody:1';
    assert.equal(cluster.change({ kind: 'remove', name }), member === undefined ? 'not known' : null);
    assert.equal(named(name), undefined, 'it is still there');
  } else if (member !== undefined) {
    const { name } = member;
    const now = what === 'weigh' ? { weight: 1 + (at % 256) } : { draining: what === 'drain' };
    assert.equal(cluster.change({ kind: 'set', name, ...now }), null);
    said.set(name, { ...said.get(name), ...now });
  }
  for (const name of said.keys()) if (named(name) === undefined) said.delete(name);
  for (const { name, weight, standing } of cluster.endpoints) {
    const { weight: wanted = 1, draining = false } = said.get(name) ?? {};
    assert.deepEqual([weight, standing.draining], [wanted, draining], name);
  }
  // Those that stay are the same, with all that they hold.
  for (const endpoint of before) assert.ok(named(endpoint.name) === undefined || named(endpoint.name) === endpoint);
}

function sampleOptions(balance: Policy): ClusterOptions {
  const hash = { on: 'path', name: '', bound: 1.5 } as const;
  return clusterOptions({
    balance,
    hash,
    endpoints: [options(1), options(2), options(3)],
    ejection: { ...EJECTION, failures: 1 },
    slowStartMs: 5,
    pool: { ...POOL, idle: 2, max: 3 },
  });
}

/** A server behind us that answers in `baseMs` while it has up to `room` under way, and queues the rest. */
function limitAfter(room: number, looks: number): number {
  const concurrency = new Concurrency({ min: 4, max: 1000 });
  for (let i = 0; i < looks * 32; i++) {
    // Clients always want more than they get.
    const active = concurrency.limit;
    concurrency.add(10 * Math.max(1, active / room), active);
  }
  return concurrency.limit;
}

test('the cap that is found out settles above what a server has room for, and far below what would drown it', () => {
  for (const room of [20, 100]) {
    const limit = limitAfter(room, 300);
    assert.ok(limit >= room && limit <= room * 4, `${limit} for ${room}`);
  }
});

test('the cap stays while nobody asks for more, and falls with failures, within its bounds', () => {
  const concurrency = new Concurrency({ min: 4, max: 30 });
  const before = concurrency.limit;
  for (let i = 0; i < 3200; i++) concurrency.add(10, 1);
  assert.equal(concurrency.limit, before);
  for (let i = 0; i < 3200; i++) concurrency.add(10, 1000);
  assert.equal(concurrency.limit, 30);
  for (let i = 0; i < 100; i++) concurrency.failed();
  assert.equal(concurrency.limit, 4);
});
