// Policies that take turns go on where they were when their picker is made anew, as often as that may be.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Endpoint } from '../../lib/upstream/endpoint.ts';
import type { Policy } from '../../lib/upstream/options.ts';
import { type Candidate, createPicker, type Picker } from '../../lib/upstream/picker.ts';
import { clusterOptions } from '../support/cluster.ts';

function candidatesOf(weights: readonly number[]): Candidate[] {
  return weights.map((weight, place) => {
    const address = { kind: 'tcp', host: `10.0.0.${place}`, port: 80, path: '', fd: -1 } as const;
    return { endpoint: new Endpoint({ address, weight }, clusterOptions({}).pool), weight };
  });
}

/** How often each is chosen in `count` choices when `publish` makes the picker anew after each. */
function counts(
  candidates: readonly Candidate[],
  count: number,
  publish: (before: Picker | null, turn: number) => Picker,
): number[] {
  const chosen: Endpoint[] = [];
  let picker: Picker | null = null;
  for (let turn = 0; turn < count; turn++) {
    picker = publish(picker, turn);
    chosen.push(picker.pick(null, 0)!);
  }
  return candidates.map(({ endpoint }) => chosen.filter((one) => one === endpoint).length);
}

const KINDS: readonly (readonly [name: string, policy: Policy, weights: readonly number[]])[] = [
  ['turns', 'round-robin', [1, 1, 1]],
  ['turns by weight', 'round-robin', [5, 1, 2]],
  ['turns of many by weight', 'round-robin', Array.from({ length: 40 }, (_, place) => 1 + (place % 4))],
  ['turns of equals', 'least-requests', [1, 1, 1]],
];

for (const [name, policy, weights] of KINDS) {
  test(`${name}: a picker that is made anew for each choice keeps the shares exactly`, () => {
    const candidates = candidatesOf(weights);
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    const rounds = 3;
    const got = counts(candidates, total * rounds, (before) => createPicker(policy, null, candidates, before, 0.7));
    for (const [place, count] of got.entries()) {
      assert.ok(Math.abs(count - weights[place]! * rounds) <= 1, `${place}: ${count} for ${weights[place]! * rounds}`);
    }
  });

  test(`${name}: those that stay keep their shares while others come and go`, () => {
    const candidates = candidatesOf(weights);
    // The last is there every other time, and others are listed in another order each time, as names have them.
    const got = counts(candidates, 1200, (before, turn) => {
      const here = turn % 2 === 0 ? candidates : candidates.slice(0, -1);
      return createPicker(
        policy,
        null,
        [...here.slice(turn % here.length), ...here.slice(0, turn % here.length)],
        before,
      );
    });
    const stay = got.slice(0, -1);
    const of = weights.slice(0, -1).reduce((sum, weight) => sum + weight, 0);
    const all = stay.reduce((sum, count) => sum + count, 0);
    assert.ok(all > 600, String(all));
    for (const [place, count] of stay.entries()) {
      const ideal = (all * weights[place]!) / of;
      // Whose turn it is comes before the order of the list, so nobody is left out; how far shares may be off is
      // what an endpoint that is there half of the time moves.
      assert.ok(count > ideal * 0.6 && count < ideal * 1.5, `${place}: ${count} for ${ideal} of ${got}`);
    }
  });

  test(`${name}: without one before, where it begins is not the first`, () => {
    const candidates = candidatesOf(weights);
    const first = [0, 0.2, 0.4, 0.6, 0.8].map(
      (start) => createPicker(policy, null, candidates, null, start).pick(null, 0)!,
    );
    assert.ok(new Set(first).size >= 2, `always ${first[0]!.name}`);
  });
}

test('while one warms up, second by second, the others keep equal shares', () => {
  const candidates = candidatesOf([1, 1, 1, 1]);
  const got = counts(candidates, 4000, (before, turn) => {
    const ramping = candidates.map(({ endpoint }, place) => ({
      endpoint,
      weight: place === 0 ? Math.min(1, 0.1 + turn / 4000) : 1,
    }));
    return createPicker('round-robin', null, ramping, before);
  });
  const [, ...others] = got;
  for (const count of others) assert.ok(Math.abs(count - others[0]!) <= 60, String(got));
  assert.ok(got[0]! > 400 && got[0]! < others[0]! * 0.8, String(got));
});
