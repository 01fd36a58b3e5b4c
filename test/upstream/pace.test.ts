// What an endpoint is expected to take, as time goes by.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Pace } from '../../lib/upstream/pace.ts';

const MEMORY_MS = 10_000;

test('quick answers win trust back as slowly as memory says, however often they come', () => {
  for (const every of [10, 100, 1000, 10_000]) {
    const pace = new Pace();
    pace.add(500, 0);
    for (let now = every; now <= MEMORY_MS; now += every) pace.add(5, now);
    // After the time of memory 1/e of what was known is left, the rest is new.
    const expected = 500 / Math.E + 5 * (1 - 1 / Math.E);
    assert.ok(Math.abs(pace.at(MEMORY_MS) - expected) < 0.01, `every ${every}: ${pace.at(MEMORY_MS)} for ${expected}`);
  }
});

test('a slow answer counts at once, and without news slowness is forgotten', () => {
  const pace = new Pace();
  pace.add(5, 0);
  pace.add(500, 1);
  assert.equal(pace.at(1), 500);
  assert.ok(Math.abs(pace.at(1 + MEMORY_MS) - 500 / Math.E) < 0.01);
  assert.ok(pace.at(1 + 10 * MEMORY_MS) < 0.1);
});
