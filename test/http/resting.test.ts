// How long it is until somebody may be asked.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Resting } from '../../lib/http/resting.ts';
import { Cluster } from '../../lib/upstream/cluster.ts';
import { clusterOptions } from '../support/cluster.ts';

test('those that are well count, else all that are not draining', () => {
  const address = { kind: 'tcp', host: '10.0.0.1', path: '', fd: -1 } as const;
  const endpoints = [1, 2, 3].map((port) => ({ address: { ...address, port }, weight: 1 }));
  const cluster = new Cluster('api', clusterOptions({ endpoints }));
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
