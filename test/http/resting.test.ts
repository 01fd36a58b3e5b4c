// How long it is until somebody may be asked.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Resting } from '../../lib/http/resting.ts';
import { Cluster } from '../../lib/upstream/cluster.ts';
import { clusterOptions } from '../support/cluster.ts';

function start() {
  const address = { kind: 'tcp', host: '10.0.0.1', path: '', fd: -1 } as const;
  const endpoints = [1, 2, 3].map((port) => ({ address: { ...address, port }, weight: 1 }));
  return new Cluster('api', clusterOptions({ endpoints }));
}

test('those that are well count, else all that are not draining', () => {
  const cluster = start();
  const [a, b, c] = cluster.endpoints;
  const resting = new Resting();
  const leastMs = () => resting.leastMs(cluster.endpoints, 1000);
  assert.equal(leastMs(), 0);
  resting.add(a!, 5000);
  resting.add(b!, 3000);
  assert.deepEqual(
    [leastMs(), resting.has(a!, 4999), resting.has(a!, 5000), resting.has(c!, 0)],
    [0, true, false, false],
  );
  c!.standing.health = 'down';
  assert.equal(leastMs(), 2000);
  b!.standing.health = 'down';
  assert.equal(leastMs(), 4000);
  resting.add(a!, 2000);
  assert.equal(leastMs(), 1000);
  a!.standing.draining = true;
  assert.equal(leastMs(), 0);
  c!.standing.draining = true;
  assert.equal(leastMs(), 2000);
  resting.clear();
  assert.deepEqual([leastMs(), resting.size, resting.has(b!, 0)], [0, 0, false]);
});

test('when all have been tried, those are forgiven that have not asked to be left alone', () => {
  const { endpoints } = start();
  const [a, b, c] = endpoints;
  const resting = new Resting();
  const forgive = (...tried: (typeof endpoints)[number][]) => {
    resting.forgive(tried, endpoints, 1000);
    return tried;
  };
  assert.deepEqual(forgive(a!, b!, c!), [a, b, c]);
  resting.add(b!, 2000);
  assert.deepEqual([forgive(b!, a!), forgive(a!, b!, c!)], [[b, a], [b]]);
  c!.standing.ejected = true;
  assert.deepEqual(forgive(b!, a!), [b]);
});
