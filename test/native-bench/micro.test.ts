// The micro-benchmarks as a program and as definitions: what is compared comes to the same, and every case runs. How long
// anything takes is not looked at.

import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { SUBJECTS } from '../../native-bench/micro/catalogue.ts';
import { BROWSER_REQUEST, LARGE_REQUEST, SMALL_REQUEST } from '../../native-bench/micro/samples.ts';
import { type Case, disagreement, type Trial } from '../../native-bench/micro/subject.ts';
import { drawNotes, drawTrial } from '../../native-bench/micro/table.ts';
import { consumed, type Timing, timeTrial } from '../../native-bench/micro/timing.ts';
import { Program } from '../support/process.ts';

/** A run is at most this many operations, so that even the slowest case has many runs in its time. */
const MOST_PER_RUN = 1_000;

function inMicro(...args: readonly string[]): Program {
  return new Program(process.execPath, ['native-bench/micro/run.ts', ...args]);
}

function counting(name: string, ours: boolean, answer: unknown): Case {
  return { name, ours, note: '', perRun: 1, run: () => 1, answer: () => answer };
}

for (const subject of SUBJECTS) {
  test(`the cases of micro-benchmark ${subject.name} come to the same, and run again and again`, () => {
    const trials = subject.prepare();
    try {
      assert.ok(trials.length > 0);
      assert.equal(new Set(trials.map(({ name }) => name)).size, trials.length);
      for (const trial of trials) {
        assert.equal(disagreement(trial), '');
        assert.ok(trial.cases.some(({ ours }) => !ours));
        for (const each of trial.cases) {
          assert.ok(each.perRun >= 1 && each.perRun <= MOST_PER_RUN, each.name);
          for (let run = 0; run < 3; run++) assert.ok(Number.isFinite(each.run()), each.name);
        }
        // Running has left everything as it was.
        assert.equal(disagreement(trial), '');
      }
    } finally {
      for (const trial of trials) trial.close?.();
    }
  });
}

test('a trial whose cases come to different results is not timed', () => {
  const trial: Trial = { name: 'sums', cases: [counting('ours', true, [1, 2]), counting('theirs', false, [1, 3])] };
  assert.equal(disagreement(trial), 'sums: "theirs" does not come to the same as "ours"');
  assert.throws(() => timeTrial(trial, 0.01), /"theirs" does not come to the same/);
});

test('a trial is compared with a case of ours', () => {
  assert.equal(disagreement({ name: 'x', cases: [counting('theirs', false, 1)] }), 'x: the first case is not ours');
  assert.equal(disagreement({ name: 'x', cases: [] }), 'x: the first case is not ours');
});

test('timing consumes what the runs come to, and compares every case with the first', () => {
  const before = consumed.sum;
  const timings = timeTrial({ name: 'x', cases: [counting('a', true, 0), counting('b', false, 0)] }, 0.01);
  assert.ok(consumed.sum >= before + 4);
  assert.deepEqual(
    timings.map(({ name, ours, ratio }) => [name, ours, ratio === null]),
    [
      ['a', true, true],
      ['b', false, false],
    ],
  );
  for (const { nanoseconds } of timings) assert.ok(nanoseconds.lowest <= nanoseconds.median);
});

test('a case that comes to no number is refused, since nothing shows that it did its work', () => {
  const sum = consumed.sum;
  const broken: Case = { ...counting('ours', true, 0), run: () => Number.NaN };
  try {
    assert.throws(() => timeTrial({ name: 'x', cases: [broken] }, 0.01), /ours comes to no number/);
  } finally {
    consumed.sum = sum;
  }
});

test('a table of timings says how often each case takes as long as ours, and every note once', () => {
  const same = { median: 12.34, lowest: 11, highest: 140 };
  const timings: Timing[] = [
    { name: 'ours', ours: true, note: '', nanoseconds: same, ratio: null },
    {
      name: 'theirs',
      ours: false,
      note: 'less: checks',
      nanoseconds: { median: 1234.5, lowest: 1000, highest: 2000 },
      ratio: { median: 2.5, lowest: 2, highest: 3 },
    },
  ];
  assert.deepEqual(drawTrial('reading', timings).split('\n'), [
    '  reading     ns     (spread)  ÷ ours',
    '    ours    12.3   (11.0-140)',
    '    theirs  1235  (1000-2000)  2.50 ×',
    '',
  ]);
  assert.equal(drawNotes([...timings, ...timings]), '  * theirs: less: checks\n');
});

test('the request samples have the sizes that their names promise', () => {
  assert.ok(SMALL_REQUEST.length < 100);
  assert.ok(Math.abs(BROWSER_REQUEST.length - 700) < 50);
  assert.ok(Math.abs(LARGE_REQUEST.length - 4096) < 64);
  assert.equal(LARGE_REQUEST.toString('latin1').split('\r\n').length - 3, 25);
});

test('the micro-benchmarks list what there is', async () => {
  const program = inMicro('--list');
  assert.equal(await program.ended, 0);
  assert.deepEqual(
    program.out
      .trimEnd()
      .split('\n')
      .map((line) => line.split(' ')[0]),
    SUBJECTS.map(({ name }) => name),
  );
});

test('an unknown micro-benchmark is named with the nearest one that there is', async () => {
  const program = inMicro('parsre');
  assert.equal(await program.ended, 2);
  assert.match(program.err, /no subject is named "parsre"; did you mean "parser"\?/);
  assert.equal(program.out, '');
});

test('times that make no sense are refused before anything is measured', async () => {
  for (const seconds of ['0', '61', 'many', '-1']) {
    const program = inMicro(`--seconds=${seconds}`);
    assert.equal(await program.ended, 2, seconds);
    assert.match(program.err, /--seconds needs a number from 0\.01 to 60/);
  }
});

test('figures are printed as tables and written for programs, and the program ends by itself', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-micro-'));
  try {
    const file = join(folder, 'micro.json');
    const program = inMicro('pool', 'wheel', '--seconds', '0.01', '--json', file);
    assert.equal(await program.ended, 0, program.err);
    assert.match(program.out, /pool: .*\n {2}one exchange at a time +ns +\(spread\) +÷ ours\n {4}millrace +\d/);
    const { subjects } = JSON.parse(readFileSync(file, 'utf8')) as {
      subjects: { name: string; trials: { name: string; cases: Timing[] }[] }[];
    };
    assert.deepEqual(
      subjects.map(({ name }) => name),
      ['pool', 'wheel'],
    );
    for (const { cases } of subjects.flatMap(({ trials }) => trials)) {
      assert.ok(cases.every(({ nanoseconds }) => nanoseconds.median > 0));
      assert.equal(cases[0]!.ratio, null);
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('a file that cannot be written ends in exit code 1', async () => {
  const program = inMicro('pool', '--seconds', '0.01', '--json', '/nowhere/micro.json');
  assert.equal(await program.ended, 1);
  assert.match(program.err, /ENOENT/);
});
