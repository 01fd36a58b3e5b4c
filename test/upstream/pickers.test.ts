// Distribution of the balancing policies: turns, weights spread in time, the fewest under way, and whom to avoid.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Endpoint } from '../../lib/upstream/endpoint.ts';
import type { Policy } from '../../lib/upstream/options.ts';
import { createPicker, type Picker } from '../../lib/upstream/picker.ts';

const POOL = { idle: 1, max: 0, idleTimeoutMs: 0, queue: 0, queueTimeoutMs: 1, maxAgeMs: 0, warm: 0, maxRequests: 0 };

function endpoints(...weights: number[]): Endpoint[] {
  return weights.map(
    (weight, number) =>
      new Endpoint({ address: { kind: 'tcp', host: 'h', port: number + 1, path: '', fd: -1 }, weight }, POOL),
  );
}

function pickerOf(policy: Policy, among: readonly Endpoint[], bound = 0): Picker {
  const candidates = among.map((endpoint) => ({ endpoint, weight: endpoint.weight }));
  return createPicker(policy, { on: 'client-ip', name: '', bound }, candidates);
}

function picks(picker: Picker, among: readonly Endpoint[], count: number, avoid: Endpoint | null = null): string {
  return Array.from({ length: count }, () => 'abcdef'[among.indexOf(picker.pick(avoid, 0)!)]).join('');
}

test('round-robin takes turns', () => {
  const among = endpoints(1, 1, 1);
  assert.equal(picks(pickerOf('round-robin', among), among, 7), 'abcabca');
  const heavy = endpoints(7, 7);
  assert.equal(picks(pickerOf('round-robin', heavy), heavy, 4), 'abab');
});

test('weights are kept exactly in every round and spread in time', () => {
  const among = endpoints(5, 1, 1);
  const picker = pickerOf('round-robin', among);
  assert.equal(picks(picker, among, 7), 'aabacaa');
  assert.equal(picks(picker, among, 7), 'aabacaa');
  const wide = endpoints(256, 1);
  const round = picks(pickerOf('round-robin', wide), wide, 257);
  assert.equal(round.split('b').length, 2);
});

test('nobody is picked without endpoints, and the only one although it is to be avoided', () => {
  for (const balance of ['round-robin', 'least-connections'] as const) {
    assert.equal(pickerOf(balance, []).pick(null, 0), null);
    const among = endpoints(3);
    assert.equal(pickerOf(balance, among).pick(among[0]!, 0), among[0]);
  }
});

test('the endpoint to avoid is not picked while there is another', () => {
  for (const among of [endpoints(1, 1), endpoints(9, 1)]) {
    for (const balance of ['round-robin', 'least-connections'] as const) {
      assert.equal(picks(pickerOf(balance, among), among, 20, among[0]!), 'b'.repeat(20));
    }
  }
});

test('avoiding one for a while does not shift the shares of the others for good', () => {
  const among = endpoints(2, 1, 1);
  const picker = pickerOf('round-robin', among);
  picks(picker, among, 8, among[1]!);
  const later = picks(picker, among, 400);
  const share = (letter: string) => later.split(letter).length - 1;
  assert.ok(Math.abs(share('a') - 200) <= 8 && Math.abs(share('c') - 100) <= 8, `${share('a')} ${share('c')}`);
});

test('least-connections picks the fewest under way for their weight, and equals take turns', () => {
  const among = endpoints(1, 1, 1);
  const picker = pickerOf('least-connections', among);
  assert.equal(picks(picker, among, 4), 'abca');
  among[0]!.active = 2;
  among[1]!.active = 1;
  among[2]!.active = 2;
  assert.equal(picks(picker, among, 3), 'bbb');
  const weighted = endpoints(3, 1);
  const busy = pickerOf('least-connections', weighted);
  let order = '';
  for (let turn = 0; turn < 8; turn++) {
    const chosen = busy.pick(null, 0)!;
    chosen.active++;
    order += chosen === weighted[0] ? 'a' : 'b';
  }
  assert.deepEqual(
    weighted.map((endpoint) => endpoint.active),
    [6, 2],
    order,
  );
});
