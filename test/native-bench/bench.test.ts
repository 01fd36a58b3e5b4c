// The harness from the command line, over real processes: every scenario once, for a second, with loads small enough for a
// test; peers that fail; revisions; interruption. What the figures are is not judged here.

import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { SCENARIOS } from '../../native-bench/catalogue.ts';
import { processTree } from '../../native-bench/host/accounting.ts';
import { currentRevision } from '../../native-bench/host/revision.ts';
import { readReport } from '../../native-bench/report/json.ts';
import type { Report, ScenarioReport } from '../../native-bench/report/report.ts';

const MAIN = join(import.meta.dirname, '../../lib/cli/main.ts');
const SMALL = ['--quick', '--seconds', '1', '--connections', '8', '--peers', 'millrace'];

test('every scenario runs for a second, or says which feature it waits for', async (t) => {
  const folder = ownFolder(t);
  const json = join(folder, 'report.json');
  const { code, out, err } = await bench(t, [...SMALL, '--json', json]);
  assert.equal(code, 0, err);
  const report = readBack(json);
  assert.deepEqual(
    report.scenarios.map(({ name }) => name),
    SCENARIOS.map(({ name }) => name),
  );
  for (const scenario of report.scenarios) {
    const { unbuilt } = SCENARIOS.find(({ name }) => name === scenario.name)!;
    assert.equal(scenario.omitted, unbuilt, scenario.name);
    assert.ok(out.includes(scenario.name));
    if (unbuilt !== null) assert.ok(out.includes(unbuilt), scenario.name);
    else assertMeasured(scenario);
  }
});

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

test('unknown names are answered with the nearest one, and exit code 2', async (t) => {
  const cases: [string[], RegExp][] = [
    [['http-smal'], /unknown scenario "http-smal"; did you mean "http-small"\?/],
    [['--peers', 'ngnix'], /unknown peer "ngnix"; did you mean "nginx"\?/],
    [['--against', 'no-such-branch'], /no revision is named no-such-branch|checkout with git/],
    [['--against=--output=x'], /no revision is named --output=x|checkout with git/],
    [['--round', '1'], /unknown option "--round"; did you mean "--rounds"\?/],
  ];
  for (const [line, wanted] of cases) {
    const { code, err } = await bench(t, line);
    assert.equal(code, 2);
    assert.match(err, wanted);
  }
});

test('an interrupted run leaves neither process nor folder', async (t) => {
  const folder = ownFolder(t);
  const child = start(t, ['http-small', '--seconds', '30', '--peers', 'millrace'], { TMPDIR: folder });
  const said = collect(child);
  // Proxy, origin and generator are up: the peer is being warmed up or measured.
  while (child.exitCode === null && processTree(child.pid!).length < 4) await pause();
  const tree = processTree(child.pid!);
  child.kill('SIGINT');
  assert.deepEqual(await once(child, 'exit'), [130, null], said.err);
  assert.deepEqual(tree.filter(living), []);
  assert.deepEqual(readdirSync(folder), []);
});

function assertMeasured({ name, headline, rows, rounds, remarks }: ScenarioReport): void {
  const row = rows.find(({ peer }) => peer === 'millrace');
  assert.ok(row !== undefined, `${name}: ${remarks.join(' ')}`);
  assert.ok(Number.isFinite(row.figures[headline]?.median), `${name} has no ${headline}`);
  assert.ok(rounds[0]!.requests > 0, name);
  const unanswered = name === 'overload' ? 0 : row.errors;
  assert.equal(unanswered, 0, `${name} had errors: ${JSON.stringify(rounds[0])}`);
}

interface Outcome {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

async function bench(t: TestContext, args: readonly string[], env: Record<string, string> = {}): Promise<Outcome> {
  const child = start(t, args, env);
  const said = collect(child);
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, ...said };
}

function start(t: TestContext, args: readonly string[], env: Record<string, string>): ChildProcess {
  const child = spawn(process.execPath, [MAIN, 'bench', ...args], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  t.after(() => child.kill('SIGKILL'));
  return child;
}

function collect(child: ChildProcess): { out: string; err: string } {
  const said = { out: '', err: '' };
  child.stdout?.setEncoding('utf8').on('data', (text) => (said.out += text));
  child.stderr?.setEncoding('utf8').on('data', (text) => (said.err += text));
  return said;
}

function readBack(file: string): Report {
  const report = readReport(readFileSync(file, 'utf8'));
  assert.ok(typeof report !== 'string', String(report));
  return report;
}

function ownFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-test-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Whether a process runs; one that has ended and waits to be collected does not. */
function living(pid: number): boolean {
  try {
    return !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}

function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 10));
}
