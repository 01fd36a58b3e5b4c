// When a cluster makes its choice anew, what holds until it has, and what a change of its endpoints leaves as it was.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Originator } from '../../lib/tls/originator.ts';
import { Cluster } from '../../lib/upstream/cluster.ts';
import type { Endpoint } from '../../lib/upstream/endpoint.ts';
import type { ClusterOptions, EndpointOptions, Policy } from '../../lib/upstream/options.ts';
import { Sticky } from '../../lib/upstream/sticky.ts';
import { clusterOptions } from '../support/cluster.ts';

const EJECTION = { failures: 1, rate: 0, latency: 0, forMs: 60_000, longestMs: 60_000, max: 0.5 };
const POLICIES: readonly Policy[] = ['round-robin', 'least-requests', 'random', 'hash', 'first', 'latency'];

function options(place: number, more: Partial<EndpointOptions> = {}): EndpointOptions {
  return { address: { kind: 'tcp', host: `10.0.0.${place}`, port: 80, path: '', fd: -1 }, weight: 1, ...more };
}

function clusterOf(count: number, more: Partial<ClusterOptions> = {}): Cluster {
  const endpoints = Array.from({ length: count }, (_, place) => options(place));
  return new Cluster('c', clusterOptions({ endpoints, ejection: EJECTION, ...more }));
}

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('no choice is made anew while an exchange is under way, and one for all changes of a turn', async () => {
  const cluster = clusterOf(6);
  const [a, b, c] = cluster.endpoints as [Endpoint, Endpoint, Endpoint];
  const before = cluster.published;
  cluster.failed(a, 'x');
  cluster.failed(b, 'x');
  cluster.succeeded(b, 1);
  cluster.found(c, 'down', 'x');
  cluster.hearHealth(c.name, 'up');
  assert.equal(cluster.published, before);
  await nextTurn();
  assert.equal(cluster.published, before + 1);
  await nextTurn();
  assert.equal(cluster.published, before + 1, 'without any change');
});

test('who has just failed too often, or is found to be down, is not chosen in the same turn', () => {
  for (const balance of POLICIES) {
    for (const strike of ['failed', 'found'] as const) {
      const cluster = clusterOf(4, { balance });
      const [struck, ...others] = cluster.endpoints as [Endpoint, ...Endpoint[]];
      if (strike === 'failed') cluster.failed(struck, 'x');
      else cluster.found(struck, 'down', 'x');
      for (let turn = 0; turn < 40; turn++) {
        const hash = Math.imul(turn, 0x9e3779b1) >>> 0;
        assert.ok(others.includes(cluster.pick([], hash)!), `${balance} ${strike}`);
        assert.ok(others.includes(cluster.pickAvailable([others[0]!], hash)!), `${balance} ${strike}`);
      }
    }
  }
});

test('the backup is chosen in the very turn in which the only primary is put aside', () => {
  const endpoints = [options(0), options(1, { backup: true })];
  const cluster = new Cluster('c', clusterOptions({ endpoints, ejection: EJECTION }));
  const [primary, backup] = cluster.endpoints;
  assert.equal(cluster.pick([], 0), primary);
  cluster.failed(primary!, 'x');
  assert.equal(cluster.pick([], 0), backup);
});

test('the first that is found to be up is chosen in the same turn', () => {
  const cluster = clusterOf(2, { panic: 0 });
  for (const { standing } of cluster.endpoints) standing.health = 'down';
  cluster.publish();
  assert.equal(cluster.pick([], 0), null);
  cluster.found(cluster.endpoints[1]!, 'up', '');
  assert.equal(cluster.pick([], 0), cluster.endpoints[1]);
});

test('a list that says the same in another order changes nothing, and one that says otherwise keeps who stays', () => {
  const cluster = clusterOf(0, {
    discovery: { kind: 'file', file: 'x' },
    sticky: { cookie: 'c', maxAgeMs: 0, secret: 's' },
  });
  const names = (): string[] => cluster.endpoints.map(({ name, weight }) => `${name} ${weight}`);
  cluster.find([options(1), options(2), options(3, { host: 'h' })]);
  const known = new Map(cluster.endpoints.map((endpoint) => [endpoint.name, endpoint]));
  const lines = new Map(cluster.endpoints.map((endpoint) => [endpoint.name, cluster.sticky!.line(endpoint, false)]));
  const { published } = cluster;
  cluster.find([options(3, { host: 'h' }), options(1), options(2)]);
  assert.equal(cluster.published, published);
  for (const list of [
    [options(1, { weight: 5 }), options(2), options(3, { host: 'h' })],
    [options(1, { weight: 5 }), options(2, { zone: 'z' }), options(3, { host: 'h' })],
    [options(1, { weight: 5 }), options(2, { zone: 'z' }), options(3)],
    [options(1, { weight: 5 }), options(3), options(4)],
  ]) {
    const earlier = cluster.published;
    cluster.find(list);
    assert.equal(cluster.published, earlier + 1, JSON.stringify(list));
    assert.deepEqual(
      names(),
      list.map(({ address, weight }) => `${address.host}:80 ${weight}`),
    );
  }
  assert.equal(cluster.endpoints[0], known.get('10.0.0.1:80'));
  const cookieIn = (line: string): string => /c=([^;]+)/.exec(line)![1]!;
  for (const endpoint of cluster.endpoints) {
    const line = cluster.sticky!.line(endpoint, false);
    if (lines.has(endpoint.name)) assert.equal(line, lines.get(endpoint.name));
    assert.equal(cluster.sticky!.find(cookieIn(line)), endpoint);
  }
  assert.equal(cluster.sticky!.find(cookieIn(lines.get('10.0.0.2:80')!)), null, 'who has gone is not found');
  assert.equal(cluster.sticky!.line(known.get('10.0.0.2:80')!, false), '');
});

test('a cookie of before is understood although nobody has been sent one yet', () => {
  const places = Array.from({ length: 50 }, (_, place) => ({ name: `10.0.0.${place}:80` }));
  const sender = new Sticky<{ name: string }>({ cookie: 'c', maxAgeMs: 60_000, secret: 's' });
  sender.update(places);
  const line = sender.line(places[33]!, true);
  assert.match(line, /^Set-Cookie: c=[\w-]{22}; Path=\/; Max-Age=60; HttpOnly; SameSite=Lax; Secure\r\n$/);
  const later = new Sticky<{ name: string }>({ cookie: 'c', maxAgeMs: 60_000, secret: 's' });
  later.update(places);
  assert.equal(later.find(/c=([^;]+)/.exec(line)![1]!), places[33]);
  assert.equal(later.find('made up'), null);
});

test('an endpoint that is found by another name is verified by that from then on, on connections of its own', () => {
  const secured = {} as Originator;
  const cluster = new Cluster('c', clusterOptions({ discovery: { kind: 'file', file: 'x' } }), secured);
  cluster.find([options(1, { host: 'old.test' }), options(2)]);
  const [moved, other] = cluster.endpoints as [Endpoint, Endpoint];
  assert.deepEqual([moved.host, other.host], ['old.test', '10.0.0.2']);
  let retired = 0;
  for (const { pool } of [moved, other]) {
    pool.opened();
    pool.give({ retire: () => retired++ });
  }
  cluster.find([options(1, { host: 'new.test' }), options(2)]);
  assert.deepEqual([cluster.endpoints[0], moved.host, other.host], [moved, 'new.test', '10.0.0.2']);
  assert.deepEqual([moved.pool.idle, other.pool.idle, retired], [0, 1, 1]);
});

test('where the first serves, a configuration in another order is heard, and who is added by hand comes last', () => {
  for (const balance of ['first', 'round-robin'] as const) {
    const both = [options(1), options(2)];
    const cluster = clusterOf(0, { balance, endpoints: both });
    const names = () => cluster.endpoints.map(({ address }) => address.host);
    assert.equal(cluster.change({ kind: 'add', endpoint: options(3) }), null);
    assert.deepEqual(names(), ['10.0.0.1', '10.0.0.2', '10.0.0.3']);
    const known = new Set(cluster.endpoints);
    cluster.configure(clusterOptions({ balance, endpoints: both.toReversed() }));
    assert.ok(
      cluster.endpoints.every((endpoint) => known.has(endpoint)),
      'who stays is made anew',
    );
    if (balance !== 'first') continue;
    assert.deepEqual(names(), ['10.0.0.2', '10.0.0.1', '10.0.0.3']);
    assert.equal(cluster.pick([], 0), cluster.endpoints[0]);
    const { published } = cluster;
    cluster.hearMembers([options(2), options(1), options(3)]);
    assert.equal(cluster.published, published, 'the same order is news');
    // What an operator has added keeps what he said of it when it is configured too.
    cluster.configure(clusterOptions({ balance, endpoints: [options(3, { weight: 5 }), options(1)] }));
    assert.deepEqual([names(), cluster.endpoints[0]!.weight], [['10.0.0.3', '10.0.0.1'], 1]);
  }
});

test('where the first serves, the order of what a source finds is nothing', () => {
  const cluster = clusterOf(0, { balance: 'first', discovery: { kind: 'file', file: 'x' } });
  cluster.find([options(1), options(2)]);
  const first = cluster.pick([], 0);
  cluster.find([options(2), options(1)]);
  assert.equal(cluster.pick([], 0), first);
});
