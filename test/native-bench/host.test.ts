// What the harness reads of the machine: the kernel's accounting, cores, and what a process said before it ended.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseBusyTicks, parseProcessStat, statusField } from '../../native-bench/host/accounting.ts';
import { describeCores, divideCores, parseCoreList, physicalCores } from '../../native-bench/host/machine.ts';
import { lastWords } from '../../native-bench/peers/peer.ts';
import { fillTemplate } from '../../native-bench/peers/template.ts';

test('process times are read past a command name with blanks and parentheses', () => {
  const line = '42 (a) b (c) S 7 42 42 0 -1 4194304 100 0 0 0 110 220 3 4 20 0 1 0 5000 1000 200';
  assert.deepEqual(parseProcessStat(line), { parent: 7, user: 113, kernel: 224 });
  assert.equal(parseProcessStat(''), null);
  assert.equal(parseProcessStat('42 (short) S 7'), null);
});

test('busy time of a core counts all but idle and waiting', () => {
  const text =
    'cpu  9 9 9 9 9 9 9 9 9 9\ncpu0 1 2 4 1000 500 8 16 32 0 0\ncpu1 5 0 0 7 0 0 0 0 0 0\ncpu10 70 0 0 0 0 0 0 0 0 0\n';
  assert.equal(parseBusyTicks(text, [0]), 63);
  assert.equal(parseBusyTicks(text, [1]), 5);
  assert.equal(parseBusyTicks(text, [0, 1]), 68);
  assert.equal(parseBusyTicks(text, []), 0);
});

test('memory and context switches are read by the name of their line', () => {
  const status =
    'VmHWM:\t  2048 kB\nVmRSS:\t    1024 kB\nvoluntary_ctxt_switches:\t7\nnonvoluntary_ctxt_switches:\t3\n';
  assert.equal(statusField(status, 'VmRSS'), 1024);
  assert.equal(statusField(status, 'voluntary_ctxt_switches'), 7);
  assert.equal(statusField(status, 'nonvoluntary_ctxt_switches'), 3);
  assert.equal(statusField('', 'VmRSS'), 0);
});

test('the proxy has a core alone as long as there are two', () => {
  assert.deepEqual(parseCoreList('0-2,5'), [0, 1, 2, 5]);
  const divide = (cores: number[], workers = 1) =>
    divideCores(
      physicalCores(cores, () => null),
      workers,
    );
  const threaded = false;
  assert.deepEqual(divide([3]), { proxy: [3], origin: [3], load: [3], threaded });
  assert.deepEqual(divide([0, 1]), { proxy: [1], origin: [0], load: [0], threaded });
  assert.deepEqual(divide([0, 1, 2]), { proxy: [2], origin: [0], load: [1], threaded });
  assert.deepEqual(divide([0, 1, 2, 3, 4]), { proxy: [4], origin: [0, 1], load: [2, 3], threaded });
  assert.deepEqual(divide([0, 1, 2, 3], 2), { proxy: [2, 3], origin: [0], load: [1], threaded });
  // A worker for each core: everybody shares all of them.
  for (const workers of [2, 4]) {
    assert.deepEqual(divide([0, 1], workers), { proxy: [0, 1], origin: [0, 1], load: [0, 1], threaded });
  }
  assert.match(describeCores(divide([0, 1], 2)), /cores 0,1 shared by proxy, origin and load generator/);
  assert.match(describeCores(divide([0, 1])), /share core 0, the only other one$/);
  assert.match(describeCores(divide([0])), /only core 0/);
  assert.match(describeCores({ proxy: [1], origin: [1], load: [0], threaded }), /proxy and origin share core 1/);
  assert.match(describeCores(divide([0, 1, 2])), /core 2; origin on 0; load generator on 1$/);
});

test('hardware threads of the core that the proxy is on go to others only when there is nothing else, and that is told', () => {
  // As Linux numbers them: first a thread of each physical core, then the others.
  const halves = (count: number) =>
    physicalCores(
      Array.from({ length: count * 2 }, (_, core) => core),
      (core) => `${core % count},${(core % count) + count}`,
    );
  assert.deepEqual(halves(2), [
    [0, 2],
    [1, 3],
  ]);
  assert.deepEqual(
    physicalCores([0, 1, 2, 3], (core) => (core < 2 ? '0-1' : '2-3')),
    [
      [0, 1],
      [2, 3],
    ],
  );
  assert.deepEqual(divideCores(halves(2)), { proxy: [3], origin: [0], load: [2], threaded: false });
  assert.deepEqual(divideCores(halves(4)), { proxy: [7], origin: [0, 4, 1], load: [5, 2, 6], threaded: false });
  assert.deepEqual(divideCores(halves(4), 2), { proxy: [6, 7], origin: [0, 4], load: [1, 5], threaded: false });
  // Two workers beside two physical cores are both threads of one.
  assert.deepEqual(divideCores(halves(2), 2), { proxy: [1, 3], origin: [0], load: [2], threaded: false });
  const crowded = divideCores(halves(1));
  assert.deepEqual(crowded, { proxy: [1], origin: [0], load: [0], threaded: true });
  assert.match(describeCores(crowded), /a physical core of the proxy serves the others too/);
  assert.ok(physicalCores().flat().length > 0);
});

test('a template with a name without value, or a value without use, is an error', () => {
  assert.equal(fillTemplate('listen @PORT@; # @PORT@ a@b', { PORT: 80 }), 'listen 80; # 80 a@b');
  assert.throws(() => fillTemplate('listen @PORT@', {}), /asks for @PORT@/);
  assert.throws(() => fillTemplate('listen 80', { PORT: 80 }), /never asks for @PORT@/);
});

test('a peer that ends is quoted with its error rather than its stack', () => {
  const stderr =
    'node:internal/x:1\n    throw new E()\n\nError [E_GONE]: Cannot find it\n    at a\n    at b\n\nNode.js v24\n';
  assert.equal(lastWords({ stderr, stdout: '' }), 'Error [E_GONE]: Cannot find it');
  assert.equal(lastWords({ stderr: '', stdout: 'a\nb\n' }), 'a | b');
  assert.equal(lastWords({ stderr: '', stdout: '' }), 'it said nothing');
});
