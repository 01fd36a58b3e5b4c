// The harness from the command line, over real processes: what is missing, peers that fail, revisions, interruption.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { processTree } from '../../native-bench/host/accounting.ts';
import { currentRevision } from '../../native-bench/host/revision.ts';
import { assertMeasured, bench, collect, living, ownFolder, readBack, start } from './harness.ts';

test('our own generator stands in where no other is installed', async (t) => {
  const folder = ownFolder(t);
  const json = join(folder, 'report.json');
  // An empty folder is the only one to look in: no wrk, no nginx, no taskset.
  mkdirSync(join(folder, 'none'));
  const env = { MILLRACE_BENCH_PROGRAMS: join(folder, 'none') };
  const line = ['http-small', '--rounds', '1', '--seconds', '1', '--peers', 'millrace,nginx', '--json', json];
  const { code, err } = await bench(t, line, env);
  assert.equal(code, 0, err);
  assert.match(err, /wrk is not installed \(Debian package wrk\)/);
  const [scenario] = readBack(json).scenarios;
  assertMeasured(scenario!);
  const remarks = scenario!.remarks.join('\n');
  assert.match(remarks, /Load by the generator that comes with Millrace/);
  assert.match(remarks, /Without nginx: nginx is not installed \(Debian package nginx\)/);
});

test('a peer that does not start is quoted, the others go on, and the run ends with 1', async (t) => {
  const folder = ownFolder(t);
  const json = join(folder, 'report.json');
  const broken = join(folder, 'broken.mjs');
  writeFileSync(broken, "throw new Error('there is a hole in the bucket');\n");
  const line = ['http-small', '--quick', '--seconds', '1', '--connections', '4', '--peers', 'millrace,fast-proxy'];
  const { code, err } = await bench(t, [...line, '--json', json], { MILLRACE_MAIN: broken });
  assert.equal(code, 1, err);
  assert.match(err, /without millrace: did not start: .*there is a hole in the bucket/);
  const [scenario] = readBack(json).scenarios;
  assert.deepEqual(
    scenario!.rows.map(({ peer }) => peer),
    ['fast-proxy'],
  );
});

test('another revision is measured beside this one', { skip: currentRevision() === null && 'no git' }, async (t) => {
  const folder = ownFolder(t);
  const json = join(folder, 'report.json');
  const line = ['tcp-small', '--against', 'HEAD', '--quick', '--seconds', '1', '--json', json];
  const { code, err } = await bench(t, line, { TMPDIR: folder });
  assert.equal(code, 0, err);
  const [scenario] = readBack(json).scenarios;
  const commit = currentRevision()!.replace('+', '');
  assert.deepEqual(
    scenario!.rows.map(({ peer }) => peer),
    ['millrace', `millrace@${commit}`],
  );
  assert.notEqual(scenario!.rows[1]!.ratio, null);
  assert.deepEqual(readdirSync(folder), ['report.json']);
});

test('unknown names are answered with the nearest one, contradictions with what to leave out, and exit code 2', async (t) => {
  const cases: [string[], RegExp][] = [
    [['http-smal'], /unknown scenario "http-smal"; did you mean "http-small"\?/],
    [['--peers', 'ngnix'], /unknown peer "ngnix"; did you mean "nginx"\?/],
    [['--against', 'no-such-branch'], /no revision is named no-such-branch|checkout with git/],
    [['--against=--output=x'], /no revision is named --output=x|checkout with git/],
    [['http-small', '--publish'], /--publish is for whole runs: leave out the names of scenarios/],
    [['--round', '1'], /unknown option "--round"; did you mean "--rounds"\?/],
  ];
  for (const [line, wanted] of cases) {
    const { code, err } = await bench(t, line);
    assert.equal(code, 2, err);
    assert.match(err, wanted);
  }
});

test('an interrupted run leaves neither process nor folder', async (t) => {
  const folder = ownFolder(t);
  const child = start(t, ['http-small', '--seconds', '30', '--peers', 'millrace'], { TMPDIR: folder });
  const said = collect(child);
  // The proxy is up beside the origin, and a generator works on it.
  const proxied = (pid: number): boolean => /millrace\.yaml/.test(commandOf(pid));
  while (child.exitCode === null) {
    const tree = processTree(child.pid!);
    if (tree.some(proxied) && tree.some((pid) => /\bwrk\b|generator/.test(commandOf(pid)))) break;
    await pause();
  }
  const tree = processTree(child.pid!);
  child.kill('SIGINT');
  assert.deepEqual(await once(child, 'exit'), [130, null], said.err);
  assert.deepEqual(tree.filter(living), []);
  assert.deepEqual(readdirSync(folder), []);
});

function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'latin1');
  } catch {
    return '';
  }
}

function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 10));
}
