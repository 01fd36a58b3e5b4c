import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { formatTotals, TapReader } from './tally.ts';

/** What tap prints for one file of tests that run on Node's own runner. */
const REPORT = `TAP version 14
1..4
# Subtest: test/a.test.ts
    ok 77 - printed by a test
    # Subtest: holds
    ok 1 - holds
      ---
      duration_ms: 1.5
      actual: |-
        not ok 2 - text that a test compared
      ...
    # Subtest: breaks
    not ok 2 - breaks
      ---
      error: |-
        one
          two
      ...
    # Subtest: waits for a tool
    ok 3 - waits for a tool # SKIP no nginx here
      ---
      duration_ms: 0.1
      ...
    # Subtest: is not done yet
    not ok 4 - is not done yet # TODO
    # Subtest: parent
        # Subtest: child one
        ok 1 - child one
        # Subtest: child two
        not ok 2 - child two
        1..2
    not ok 5 - parent
    1..5
    # tests 7
not ok 1 - test/a.test.ts # time=20.5ms
  ---
  exitCode: 1
  ...

# Subtest: test/b.test.ts
    # Subtest: suite
        # Subtest: inside
        ok 1 - inside
        1..1
    ok 1 - suite
    1..1
ok 2 - test/b.test.ts # time=3ms

# Subtest: test/crashed.test.ts
    # Subtest: was fine
    ok 1 - was fine
not ok 3 - test/crashed.test.ts # time=587ms
  ---
  exitCode: 3
  ...

# Subtest: test/empty.test.ts
    1..0 # no tests found
ok 4 - test/empty.test.ts # SKIP no tests found

not ok 5 - timeout!
  ---
  expired: test/slow.test.ts
  ...

# { total: 12, pass: 4, fail: 4, todo: 1, skip: 3 }
`;

function read(report: string): TapReader {
  const reader = new TapReader();
  for (const line of report.split('\n')) reader.read(line);
  return reader;
}

function tally(report: string, ...args: string[]) {
  const script = join(import.meta.dirname, 'tally.ts');
  return spawnSync(process.execPath, [script, ...args], { input: report, encoding: 'utf8' });
}

test('tests are counted one by one, and what holds them only where it failed by itself', () => {
  const reader = read(REPORT);
  assert.deepEqual(reader.totals(), { passed: 4, failed: 4, skipped: 2 });
  assert.deepEqual(
    reader.results.filter((one) => one.outcome === 'failed').map((one) => one.path.join(' > ')),
    ['test/a.test.ts > breaks', 'test/a.test.ts > parent > child two', 'test/crashed.test.ts', 'timeout!'],
  );
});

test('the details of a failure keep their own indentation', () => {
  const details = read(REPORT).results.find((one) => one.path.at(-1) === 'breaks')?.details;
  assert.deepEqual(details, ['error: |-', '  one', '    two']);
});

test('the last line is the count alone, and skipped tests are named only where there are some', () => {
  assert.equal(tally(REPORT, '1').stdout.trimEnd().split('\n').at(-1), '4 passed, 4 failed, 2 skipped');
  assert.match(tally(REPORT, '1').stdout, /^failed: timeout! expired: test\/slow\.test\.ts$/m);
  assert.equal(formatTotals({ passed: 3, failed: 0, skipped: 0 }), '3 passed, 0 failed');
});

test('the exit code is that of the test runner, and a failure or an empty run is never 0', () => {
  const fine = '# Subtest: test/b.test.ts\n    # Subtest: x\n    ok 1 - x\nok 1 - test/b.test.ts # time=1ms\n';
  assert.equal(tally(fine, '0').status, 0);
  assert.equal(tally(fine, '7').status, 7);
  assert.equal(tally(REPORT, '0').status, 1);
  assert.equal(tally('', '0').status, 1);
});

test('while tests run, each file gets a line and each failure its details', () => {
  const { stdout, status } = tally(REPORT, '--follow');
  assert.equal(status, 0);
  assert.match(stdout, /^FAIL {2}test\/a\.test\.ts {2}6, 2 failed$/m);
  assert.match(stdout, /^ok {4}test\/b\.test\.ts {2}1$/m);
  assert.match(stdout, /^test\/a\.test\.ts > breaks\n {4}error: \|-\n/m);
  assert.match(stdout, /expired: test\/slow\.test\.ts/);
});
