// The verdict of the soak on figures made up for it: what may grow, and what must not. The soak itself runs by make soak.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { judge, type Sample } from '../../native-bench/soak/verdict.ts';

const MEBIBYTE = 1024 * 1024;

function sample(parts: Partial<Sample> = {}): Sample {
  return {
    phase: 'load',
    seconds: 0,
    residentBytes: 140 * MEBIBYTE,
    descriptors: 26,
    heapBytes: 20 * MEBIBYTE,
    externalBytes: 90 * MEBIBYTE,
    slabs: 2,
    parsers: 14,
    deadlines: 0,
    downstream: 0,
    upstream: 0,
    active: 0,
    waiting: 0,
    ...parts,
  };
}

test('nothing is held against a proxy whose figures only sway', () => {
  const loaded = [40, 45, 38, 44, 41, 43].map((slabs) => sample({ slabs, descriptors: slabs * 2 }));
  const after = sample({ residentBytes: 150 * MEBIBYTE, heapBytes: 19 * MEBIBYTE, descriptors: 27, parsers: 20 });
  assert.deepEqual(judge(sample(), loaded, after), []);
});

test('one slab, deadline or connection that was not given back is told', () => {
  for (const [part, word] of [
    [{ slabs: 3 }, /^slabs: 3 when quiet, 2 after/],
    [{ deadlines: 1 }, /^deadlines: 1/],
    [{ active: 1 }, /^active: 1 although/],
    [{ downstream: 1 }, /^downstream: 1/],
    [{ upstream: 2 }, /^upstream: 2/],
    [{ descriptors: 29 }, /^descriptors: 29/],
    [{ heapBytes: 24 * MEBIBYTE }, /^heap: /],
    [{ residentBytes: 170 * MEBIBYTE }, /^resident memory: /],
  ] as const) {
    const [fault, ...others] = judge(sample(), [], sample(part));
    assert.match(fault ?? '', word);
    assert.deepEqual(others, []);
  }
});

test('growth under load is told although everything is given back in the end', () => {
  const loaded = Array.from({ length: 9 }, (_, turn) => sample({ slabs: 10 + turn * 20 }));
  const faults = judge(sample(), loaded, sample());
  assert.equal(faults.length, 1);
  assert.match(faults[0]!, /^slabs under load: 150 in the last third, 30 in the first$/);
});
