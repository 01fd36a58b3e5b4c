// Each policy under a stream of exchanges that take their time: what share of them every endpoint gets, how much is under way
// at each, and what becomes of both when endpoints go, come, slow down and recover. Time and chance are played: every run is
// the same.

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { Cluster } from '../../lib/upstream/cluster.ts';
import type { Endpoint } from '../../lib/upstream/endpoint.ts';
import type { ClusterOptions, EndpointOptions, Policy } from '../../lib/upstream/options.ts';
import { clusterOptions } from '../support/cluster.ts';

/** What there was within a part of a run. */
interface Part {
  /** Exchanges by endpoint, as a share of all. */
  readonly shares: Map<string, number>;
  /** Most under way at an endpoint when an exchange was given to it, itself included, and the mean over all at that time. */
  readonly most: Map<string, number>;
  readonly mean: number;
}

class Simulation {
  readonly cluster: Cluster;
  /** How long an exchange takes at an endpoint, on average. */
  readonly tookMs = new Map<Endpoint, number>();
  readonly #random = randomOf(7);
  /** Exchanges under way, by when they end. */
  readonly #ends: { readonly atMs: number; readonly endpoint: Endpoint; readonly begunMs: number }[] = [];
  /** The table of hash takes its time. */
  readonly #publishEvery: number;
  #nowMs = 1_000_000;

  constructor(
    t: TestContext,
    balance: Policy,
    endpoints: readonly EndpointOptions[],
    more: Partial<ClusterOptions> = {},
  ) {
    this.#publishEvery = balance === 'hash' ? 1000 : 10;
    t.mock.method(performance, 'now', () => this.#nowMs);
    t.mock.method(Math, 'random', randomOf(11));
    const hash = { on: 'path', name: '', bound: 0 } as const;
    const discovery = { kind: 'file', file: '' } as const;
    this.cluster = new Cluster('c', clusterOptions({ balance, hash, discovery, panic: 0, ...more }));
    this.cluster.find(endpoints);
  }

  endpoint(place: number): Endpoint {
    return this.cluster.endpoints.find(({ name }) => name === `10.0.0.${place}:80`)!;
  }

  /** `perSecond` exchanges, by chance as clients come. */
  run(seconds: number, perSecond: number, each: () => void = () => {}): Part {
    const untilMs = this.#nowMs + seconds * 1000;
    const counts = new Map<string, number>();
    const most = new Map<string, number>();
    let all = 0;
    let sum = 0;
    for (;;) {
      const arrivesMs = this.#nowMs - (Math.log(1 - this.#random()) * 1000) / perSecond;
      if (arrivesMs > untilMs) break;
      this.#endBy(arrivesMs);
      this.#nowMs = arrivesMs;
      each();
      // As it is done in a turn of its own, and when nothing has changed too.
      if (all % this.#publishEvery === 0) this.cluster.publish();
      const endpoint = this.cluster.pick([], Math.floor(this.#random() * 0x1_0000_0000))!;
      endpoint.enter();
      const tookMs = (this.tookMs.get(endpoint) ?? 20) * (0.5 + this.#random());
      this.#ends.push({ atMs: arrivesMs + tookMs, endpoint, begunMs: arrivesMs });
      counts.set(endpoint.name, (counts.get(endpoint.name) ?? 0) + 1);
      most.set(endpoint.name, Math.max(most.get(endpoint.name) ?? 0, endpoint.active));
      all++;
      sum += this.cluster.active / this.cluster.endpoints.length;
    }
    this.#endBy(untilMs);
    this.#nowMs = untilMs;
    return { shares: new Map([...counts].map(([name, count]) => [name, count / all])), most, mean: sum / all };
  }

  #endBy(ms: number): void {
    const over = this.#ends.filter(({ atMs }) => atMs <= ms).sort((a, b) => a.atMs - b.atMs);
    for (const one of over) {
      this.#ends.splice(this.#ends.indexOf(one), 1);
      this.#nowMs = one.atMs;
      one.endpoint.leave();
      this.cluster.succeeded(one.endpoint, one.atMs - one.begunMs);
    }
  }
}

function options(place: number, more: Partial<EndpointOptions> = {}): EndpointOptions {
  return { address: { kind: 'tcp', host: `10.0.0.${place}`, port: 80, path: '', fd: -1 }, weight: 1, ...more };
}

function range(count: number, more: (place: number) => Partial<EndpointOptions> = () => ({})): EndpointOptions[] {
  return Array.from({ length: count }, (_, place) => options(place, more(place)));
}

/** The same numbers for the same seed (mulberry32). */
function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000;
  };
}

/** Shares of these endpoints are as their weights are, but for `off` of it. */
function assertShares(part: Part, weights: Readonly<Record<number, number>>, off: number, what: string): void {
  const total = Object.values(weights).reduce((sum, weight) => sum + weight, 0);
  const told = `${what}: ${[...part.shares].map(([name, share]) => `${name} ${share.toFixed(3)}`).join(', ')}`;
  for (const [place, weight] of Object.entries(weights)) {
    const share = part.shares.get(`10.0.0.${place}:80`) ?? 0;
    assert.ok(Math.abs(share - weight / total) <= (off * weight) / total, told);
  }
  assert.equal([...part.shares.keys()].length, Object.values(weights).filter((weight) => weight > 0).length, told);
}

/** Policies that share out, and how far from its part an endpoint may be over some thousand exchanges. */
const SHARING: readonly (readonly [policy: Policy, off: number])[] = [
  ['round-robin', 0.03],
  ['least-requests', 0.06],
  ['random', 0.1],
  ['hash', 0.12],
  ['latency', 0.15],
];

for (const [policy, off] of SHARING) {
  test(`${policy}: equal shares, none for who is down, all of it taken over evenly, and whoever comes has its share`, (t) => {
    const simulation = new Simulation(t, policy, range(4));
    const { cluster } = simulation;
    assertShares(simulation.run(20, 500), { 0: 1, 1: 1, 2: 1, 3: 1 }, off, 'all');
    cluster.found(simulation.endpoint(1), 'down', 'x');
    assertShares(simulation.run(20, 500), { 0: 1, 2: 1, 3: 1 }, off * 1.5, 'one down');
    cluster.found(simulation.endpoint(1), 'up', '');
    assertShares(simulation.run(20, 500), { 0: 1, 1: 1, 2: 1, 3: 1 }, off, 'up again');
    cluster.find(range(6).slice(1));
    assertShares(simulation.run(20, 500), { 1: 1, 2: 1, 3: 1, 4: 1, 5: 1 }, off, 'one gone, two new');
  });
}

for (const [policy, off] of SHARING) {
  // By pace alone an endpoint is as good as its latency, whatever its weight: weights are what draws go by.
  if (policy === 'latency') continue;
  test(`${policy}: shares by weight, among few and many, and others when weights change`, (t) => {
    for (const count of [4, 24]) {
      const weights = (turn: number) => Object.fromEntries(range(count).map((_, i) => [i, 1 + ((i + turn) % 3)]));
      const simulation = new Simulation(
        t,
        policy,
        range(count, (place) => ({ weight: weights(0)[place]! })),
      );
      const perSecond = 250 * count;
      // Two that are drawn and compared by load for their weight, while hardly anything is under way, tell little.
      const allowed = count === 24 && policy !== 'round-robin' ? 0.3 : off * 1.5;
      assertShares(simulation.run(8, perSecond), weights(0), allowed, `${count}`);
      simulation.cluster.find(range(count, (place) => ({ weight: weights(1)[place]! })));
      assertShares(simulation.run(8, perSecond), weights(1), allowed, `${count} with other weights`);
      t.mock.restoreAll();
    }
  });
}

test('first: all to the first that is well, the next when it goes, and back', (t) => {
  const simulation = new Simulation(t, 'first', range(3));
  const { cluster } = simulation;
  assertShares(simulation.run(2, 200), { 0: 1 }, 0, 'the first');
  cluster.found(simulation.endpoint(0), 'down', 'x');
  assertShares(simulation.run(2, 200), { 1: 1 }, 0, 'the first is down');
  cluster.find([options(1), options(2)]);
  assertShares(simulation.run(2, 200), { 1: 1 }, 0, 'it has gone');
  cluster.find(range(3));
  assertShares(simulation.run(2, 200), { 0: 1 }, 0, 'it is back');
});

test('least-requests and random: who is slow gets less, and nobody has much more under way than the others', (t) => {
  for (const [policy, count, spread] of [
    ['least-requests', 4, 2],
    ['least-requests', 40, 5],
    ['random', 40, 5],
  ] as const) {
    const simulation = new Simulation(t, policy, range(count));
    simulation.tookMs.set(simulation.endpoint(0), 100);
    const { shares, most, mean } = simulation.run(10, count * 100);
    const slow = shares.get('10.0.0.0:80')!;
    assert.ok(slow < 0.6 / count, `${policy} of ${count}: ${slow}`);
    for (const [name, peak] of most)
      assert.ok(peak <= mean * 2 + spread, `${policy} of ${count}: ${name} ${peak} ${mean}`);
    t.mock.restoreAll();
  }
});

test('least-requests and random: whoever comes with nothing under way is not overrun', (t) => {
  for (const [policy, count] of [
    ['least-requests', 4],
    ['least-requests', 40],
    ['random', 40],
  ] as const) {
    const simulation = new Simulation(t, policy, range(count));
    simulation.run(5, count * 200);
    simulation.cluster.find(range(count + 1));
    const { most, mean } = simulation.run(1, count * 200);
    const peak = most.get(`10.0.0.${count}:80`)!;
    assert.ok(peak >= 1 && peak <= mean + 7, `${policy} of ${count}: ${peak} under way, ${mean} on average`);
    t.mock.restoreAll();
  }
});

test('hash with a bound: nobody has more than so many times the average, when endpoints go too', (t) => {
  const hash = { on: 'path', name: '', bound: 1.25 } as const;
  const simulation = new Simulation(t, 'hash', range(10), { hash });
  const watch = (): void => {
    const { cluster } = simulation;
    const here = cluster.endpoints.filter(({ standing }) => standing.eligible);
    const under = here.reduce((sum, { active }) => sum + active, 0);
    for (const { active, name } of here) peaks.push([name, active, Math.ceil((1.25 * (under + 1)) / here.length)]);
  };
  let peaks: [string, number, number][] = [];
  const judge = (what: string): void => {
    // Bounds fall as exchanges end, and those that were within them stay: it is the exception.
    const beyond = peaks.filter(([, active, bound]) => active > bound + 1).length / peaks.length;
    assert.ok(beyond < 0.01, `${what}: ${beyond}`);
    peaks = [];
  };
  simulation.run(5, 5000, watch);
  judge('all');
  simulation.cluster.found(simulation.endpoint(3), 'down', 'x');
  simulation.cluster.found(simulation.endpoint(4), 'down', 'x');
  simulation.run(1, 5000);
  simulation.run(5, 5000, watch);
  judge('two down');
});

test('latency: a slow endpoint is avoided at once, asked now and then, and trusted again some seconds after it is quick', (t) => {
  const simulation = new Simulation(t, 'latency', range(3));
  const slow = simulation.endpoint(0);
  const shareOf = (part: Part): number => part.shares.get(slow.name) ?? 0;
  assertShares(simulation.run(20, 300), { 0: 1, 1: 1, 2: 1 }, 0.15, 'all quick');
  simulation.tookMs.set(slow, 400);
  simulation.run(1, 300);
  const soon = shareOf(simulation.run(5, 300));
  assert.ok(soon < 0.03, `still gets ${soon}`);
  const later = shareOf(simulation.run(60, 300));
  assert.ok(later > 0 && later < 0.03, `gets ${later}, where it has to be asked to be known`);
  simulation.tookMs.delete(slow);
  const first = shareOf(simulation.run(5, 300));
  assert.ok(first < 0.1, `trusted at once: ${first}`);
  simulation.run(60, 300);
  const trusted = shareOf(simulation.run(20, 300));
  assert.ok(Math.abs(trusted - 1 / 3) < 0.06, `not trusted again: ${trusted}`);
});

test('latency: steady differences give shares that follow them', (t) => {
  const simulation = new Simulation(t, 'latency', range(3));
  for (const [place, ms] of [10, 20, 40].entries()) simulation.tookMs.set(simulation.endpoint(place), ms);
  simulation.run(10, 600);
  const { shares } = simulation.run(20, 600);
  const [quick = 0, middle = 0, slow = 0] = [0, 1, 2].map((place) => shares.get(`10.0.0.${place}:80`));
  assert.ok(quick > middle * 1.3 && middle > slow * 1.3 && slow > 0.02, `${quick} ${middle} ${slow}`);
});
