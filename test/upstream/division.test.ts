// Limits of a cluster over several event loops.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { divideCluster } from '../../lib/upstream/division.ts';
import { clusterOptions } from '../support/cluster.ts';

test('parts add up to the whole, no part is less than one, and what has no limit has none', () => {
  const pool = { ...clusterOptions({}).pool, idle: 10, max: 7, queue: 3, warm: 0 };
  const options = clusterOptions({ requests: 100, pool });
  for (const count of [1, 2, 3, 7]) {
    const parts = Array.from({ length: count }, (_, place) => divideCluster(options, place, count));
    const sum = (of: (part: (typeof parts)[number]) => number): number =>
      parts.reduce((all, part) => all + of(part), 0);
    assert.equal(
      sum(({ requests }) => requests),
      100,
    );
    assert.equal(
      sum(({ pool: { max } }) => max),
      7,
    );
    assert.equal(
      sum(({ pool: { warm } }) => warm),
      0,
    );
    assert.equal(
      sum(({ pool: { queue } }) => queue),
      Math.max(3, count),
    );
    assert.ok(parts.every((part) => part.pool.queue >= 1));
  }
  assert.equal(divideCluster(clusterOptions({}), 1, 4).requests, 0);
});
