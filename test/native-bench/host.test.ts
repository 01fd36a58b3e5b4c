// What the harness reads of the machine: the kernel's accounting, cores, and what a process said before it ended.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseBusyTicks, parseProcessStat, statusField } from '../../native-bench/host/accounting.ts';
import { describeCores, divideCores, parseCoreList } from '../../native-bench/host/machine.ts';
import { lastWords } from '../../native-bench/peers/peer.ts';
import { fillTemplate } from '../../native-bench/peers/template.ts';
import { FORWARDING_HEADERS, missingHeaders } from '../../native-bench/probe.ts';

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
  assert.deepEqual(divideCores([3]), { proxy: [3], origin: [3], load: [3] });
  assert.deepEqual(divideCores([0, 1]), { proxy: [1], origin: [0], load: [0] });
  assert.deepEqual(divideCores([0, 1, 2]), { proxy: [2], origin: [0], load: [1] });
  assert.deepEqual(divideCores([0, 1, 2, 3, 4]), { proxy: [4], origin: [0, 1], load: [2, 3] });
  assert.match(describeCores(divideCores([0, 1])), /share core 0, the only other one/);
  assert.match(describeCores(divideCores([0])), /only core 0/);
  assert.match(describeCores({ proxy: [1], origin: [1], load: [0] }), /proxy and origin share core 1/);
  assert.deepEqual(divideCores([0, 1, 2, 3], 2), { proxy: [2, 3], origin: [0], load: [1] });
  assert.deepEqual(divideCores([0, 1], 4), { proxy: [1], origin: [0], load: [0] });
  assert.match(describeCores(divideCores([0, 1, 2])), /core 2; origin on 0; load generator on 1/);
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

test('headers that did not reach the origin are named', () => {
  assert.deepEqual(missingHeaders(FORWARDING_HEADERS.map((name) => `${name}=x`).join('\n')), []);
  assert.deepEqual(missingHeaders('x-forwarded-for=1\nx-forwarded-proto=\nx-forwarded-host=h\nvia=1.1 a\n'), [
    'x-forwarded-proto',
    'x-request-id',
  ]);
});
