// What event loops report, as one.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OwnLoop } from '../../lib/process/loop.ts';
import { addStatuses } from '../../lib/process/statuses.ts';
import { quietLog, reportOf } from '../support/reports.ts';

test('every number of a cluster and its endpoints is added up over the event loops that report', async (t) => {
  const loop = new OwnLoop(quietLog, () => {});
  t.after(() => loop.stop());
  const report = await reportOf(loop);
  // Each number is its own, so that none can stand for another.
  let next = 1;
  const numbered = JSON.parse(JSON.stringify(report), (_, value) => (typeof value === 'number' ? next++ : value));
  const { clusters } = addStatuses([numbered, null, numbered], []);
  const [sum] = clusters;
  const [one] = numbered.clusters;
  assert.ok(Object.keys(one).length > 15 && sum !== undefined);
  for (const [key, value] of Object.entries(one))
    if (typeof value === 'number') assert.equal(sum[key as 'active'], 2 * value, key);
  // Checks are made once for all, and a weight is the same everywhere.
  for (const [key, value] of Object.entries(one.endpoints[0]))
    if (typeof value === 'number' && key !== 'weight' && key !== 'checks')
      assert.equal(sum.endpoints[0]![key as 'active'], 2 * value, key);
});
