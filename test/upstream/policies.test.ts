// What each policy promises: shares, load, keys that stay, and who is preferred.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { hashText } from '../../lib/base/hash.ts';
import { Endpoint } from '../../lib/upstream/endpoint.ts';
import type { Policy } from '../../lib/upstream/options.ts';
import { TABLE_SIZE } from '../../lib/upstream/picker/hash.ts';
import { createPicker, type Picker } from '../../lib/upstream/picker.ts';

const POOL = { idle: 1, max: 0, idleTimeoutMs: 0, queue: 0, queueTimeoutMs: 1, maxAgeMs: 0, warm: 0, maxRequests: 0 };
const POLICIES: readonly Policy[] = ['round-robin', 'least-requests', 'random', 'hash', 'first', 'latency'];

function endpoints(count: number, weight: (place: number) => number = () => 1): Endpoint[] {
  return Array.from({ length: count }, (_, place) => {
    const address = { kind: 'tcp', host: `10.0.0.${place}`, port: 80, path: '', fd: -1 } as const;
    return new Endpoint({ address, weight: weight(place) }, POOL);
  });
}

function pickerOf(policy: Policy, among: readonly Endpoint[], bound = 0): Picker {
  const candidates = among.map((endpoint) => ({ endpoint, weight: endpoint.weight }));
  return createPicker(policy, { on: 'client-ip', name: '', bound }, candidates);
}

function sharesOf(picker: Picker, among: readonly Endpoint[], count: number): number[] {
  const picks = new Map<Endpoint, number>();
  for (let i = 0; i < count; i++) {
    const endpoint = picker.pick(null, hashText(String(i)))!;
    picks.set(endpoint, (picks.get(endpoint) ?? 0) + 1);
  }
  return among.map((endpoint) => (picks.get(endpoint) ?? 0) / count);
}

for (const [policy, tolerance] of [
  ['round-robin', 0.0005],
  ['random', 0.25],
  ['hash', 0.1],
] as const) {
  test(`${policy} gives each of forty endpoints its share by weight`, () => {
    const among = endpoints(40, (place) => 1 + (place % 4));
    const shares = sharesOf(pickerOf(policy, among), among, 100_000);
    for (const [place, share] of shares.entries()) {
      const ideal = (1 + (place % 4)) / 100;
      assert.ok(Math.abs(share - ideal) <= tolerance * ideal + 0.0005, `${place}: ${share} for ${ideal}`);
    }
  });
}

test('round-robin of many spreads a heavy one in time, instead of choosing it in a row', () => {
  const among = endpoints(20, (place) => (place === 0 ? 20 : 1));
  const picker = pickerOf('round-robin', among);
  const picks = Array.from({ length: 39 }, () => picker.pick(null, 0)!);
  assert.equal(picks.filter((endpoint) => endpoint === among[0]).length, 20);
  let row = 0;
  for (const endpoint of picks) {
    row = endpoint === among[0] ? row + 1 : 0;
    // All light ones have their turn in the middle of a round.
    assert.ok(row <= 11);
  }
});

test('the busy one gets less: by comparison of all among few, of two among many', () => {
  for (const [policy, count] of [
    ['least-requests', 3],
    ['least-requests', 100],
    ['random', 3],
    ['latency', 3],
  ] as const) {
    const among = endpoints(count);
    among[0]!.active = 1000;
    for (const other of among.slice(1)) other.active = 1;
    const [busy = 1] = sharesOf(pickerOf(policy, among), among, 5000);
    assert.ok(busy <= (policy === 'least-requests' && count === 3 ? 0 : 0.5 / count), `${policy} ${count}: ${busy}`);
  }
});

test('exchanges that end in their own time leave many endpoints nearly even', () => {
  const among = endpoints(100);
  const picker = pickerOf('random', among);
  const underway: Endpoint[] = [];
  let most = 0;
  for (let i = 0; i < 20_000; i++) {
    if (underway.length >= 1000) underway.splice((i * 7919) % underway.length, 1)[0]!.active--;
    const endpoint = picker.pick(null, 0)!;
    endpoint.active++;
    underway.push(endpoint);
    if (i > 5000) most = Math.max(most, endpoint.active);
  }
  // Drawn by chance alone the fullest would have some 23.
  assert.ok(most <= 15, String(most));
});

test('a slow endpoint gets less until it is forgotten to be slow', () => {
  const among = endpoints(2);
  const now = performance.now();
  among[0]!.pace.add(200, now);
  among[1]!.pace.add(2, now);
  const [slow = 1] = sharesOf(pickerOf('latency', among), among, 1000);
  assert.equal(slow, 0);
  assert.ok(among[0]!.pace.at(now + 60_000) < 1);
  // One slow answer counts at once, one quick one does not make up for it.
  among[1]!.pace.add(500, now);
  among[1]!.pace.add(1, now + 10);
  assert.ok(among[1]!.pace.at(now + 10) > 400);
});

test('keys stay with their endpoint when one of a hundred goes or comes', () => {
  const among = endpoints(100);
  const whole = pickerOf('hash', among);
  const without = pickerOf(
    'hash',
    among.filter((_, place) => place !== 37),
  );
  const keys = Array.from({ length: 20_000 }, (_, i) => hashText(`user-${i}`));
  let moved = 0;
  for (const key of keys) if (whole.pick(null, key) !== without.pick(null, key)) moved++;
  // A hundredth must move; no more than as much again does.
  assert.ok(moved / keys.length <= 0.02, `${moved} of ${keys.length}`);
  const again = pickerOf('hash', among);
  for (const key of keys.slice(0, 100)) assert.equal(again.pick(null, key), whole.pick(null, key));
});

test('an avoided key goes to the same other endpoint each time, and many others share what it leaves', () => {
  const among = endpoints(10);
  const picker = pickerOf('hash', among);
  const others = new Set<Endpoint>();
  for (let i = 0; i < 500; i++) {
    const key = hashText(`user-${i}`);
    const first = picker.pick(null, key)!;
    const second = picker.pick(first, key)!;
    assert.notEqual(second, first);
    assert.equal(picker.pick(first, key), second);
    if (first === among[0]) others.add(second);
  }
  assert.ok(others.size >= 7, String(others.size));
});

test('with a bound a popular key spills over, and without one it does not', () => {
  for (const [bound, most] of [
    [0, 100],
    [1.25, 13],
  ] as const) {
    const among = endpoints(10);
    const picker = pickerOf('hash', among, bound);
    for (let i = 0; i < 100; i++) picker.pick(null, 42)!.enter();
    assert.equal(Math.max(...among.map(({ active }) => active)), most);
  }
});

test('a bound counts what is under way at those that may be chosen, across pickers, and nothing else', () => {
  const among = endpoints(11);
  const gone = among[10]!;
  let picker = pickerOf('hash', among, 1.25);
  for (let i = 0; i < 1000; i++) gone.enter();
  const rest = among.slice(0, 10);
  for (const endpoint of rest) for (let i = 0; i < 9; i++) endpoint.enter();
  // Those of before end while the next is in force.
  picker = pickerOf('hash', rest, 1.25);
  for (const endpoint of rest) for (let i = 0; i < 9; i++) endpoint.leave();
  for (let i = 0; i < 500; i++) gone.leave();
  for (let i = 0; i < 100; i++) picker.pick(null, 42)!.enter();
  assert.equal(Math.max(...rest.map(({ active }) => active)), 13);
  assert.equal(
    rest.reduce((sum, { active }) => sum + active, 0),
    100,
  );
});

test('the first is used as long as it may be', () => {
  const among = endpoints(3);
  assert.deepEqual(sharesOf(pickerOf('first', among), among, 10), [1, 0, 0]);
  assert.equal(pickerOf('first', among).pick(among[0]!, 0), among[1]);
});

test('every policy picks one of its candidates, never the avoided one while there is another, and null of none', () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...POLICIES),
      fc.array(fc.integer({ min: 1, max: 256 }), { maxLength: 40 }),
      fc.array(fc.nat(0xffff_ffff), { minLength: 1, maxLength: 20 }),
      (policy, weights, keys) => {
        const among = endpoints(weights.length, (place) => weights[place]!);
        const picker = pickerOf(policy, among);
        for (const key of keys) {
          const avoid = among.length === 0 ? null : among[key % among.length]!;
          const picked = picker.pick(avoid, key);
          if (among.length === 0) assert.equal(picked, null);
          else if (among.length === 1) assert.equal(picked, among[0]);
          else assert.ok(picked !== avoid && among.includes(picked!), policy);
          if (picked !== null) picked.active++;
        }
      },
    ),
    { numRuns: 150 },
  );
});

test('more endpoints than the table has slots do no harm', () => {
  const candidates = endpoints(TABLE_SIZE + 10).map((endpoint) => ({ endpoint, weight: 1 }));
  assert.ok(createPicker('hash', { on: 'path', name: '', bound: 0 }, candidates).pick(null, 7) !== null);
});
