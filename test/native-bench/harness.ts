// What several of these tests need: `millrace bench` as a process and what it wrote, and what processes leave behind.

import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { type Launcher, Scope } from '../../native-bench/host/scope.ts';
import { readReport } from '../../native-bench/report/json.ts';
import type { Report, ScenarioReport } from '../../native-bench/report/report.ts';
import type { Scenario } from '../../native-bench/scenario.ts';

const MAIN = join(import.meta.dirname, '../../lib/cli/main.ts');

export function assertMeasured({ name, headline, rows, rounds, remarks }: ScenarioReport): void {
  const row = rows.find(({ peer }) => peer === 'millrace');
  assert.ok(row !== undefined, `${name}: ${remarks.join(' ')}`);
  assert.ok(Number.isFinite(row.figures[headline]?.median), `${name} has no ${headline}`);
  assert.ok(rounds[0]!.requests > 0, name);
  const unanswered = name === 'overload' ? 0 : row.errors;
  assert.equal(unanswered, 0, `${name} had errors: ${JSON.stringify(rounds[0])}`);
}

export interface Outcome {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

export async function bench(
  t: TestContext,
  args: readonly string[],
  env: Record<string, string> = {},
): Promise<Outcome> {
  const child = start(t, args, env);
  const said = collect(child);
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, ...said };
}

export function start(t: TestContext, args: readonly string[], env: Record<string, string>): ChildProcess {
  const child = spawn(process.execPath, [MAIN, 'bench', ...args], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  t.after(() => child.kill('SIGKILL'));
  return child;
}

export function collect(child: ChildProcess): { out: string; err: string } {
  const said = { out: '', err: '' };
  child.stdout?.setEncoding('utf8').on('data', (text) => (said.out += text));
  child.stderr?.setEncoding('utf8').on('data', (text) => (said.err += text));
  return said;
}

export function readBack(file: string): Report {
  const report = readReport(readFileSync(file, 'utf8'));
  assert.ok(typeof report !== 'string', String(report));
  return report;
}

export function ownFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-test-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** A scope that starts nothing under taskset or setpriv, and is closed when the test is over. */
export function openScope(t: TestContext, launcher: Launcher = { taskset: null, setpriv: null }): Scope {
  const scope = new Scope(launcher);
  t.after(() => scope.close());
  return scope;
}

/** Whether a process runs; one that has ended and waits to be collected does not. */
export function living(pid: number): boolean {
  try {
    return !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}

export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 20_000;
  while (!(await condition())) {
    assert.ok(performance.now() < deadline, 'waited too long');
    await delay(20);
  }
}

/**
 * Runs these scenarios over real processes, with loads small enough for a test, and looks at what is told. `brief`: options
 * that say for how long, and by whom.
 */
export async function assertScenariosRun(
  t: TestContext,
  scenarios: readonly Scenario[],
  brief: readonly string[],
): Promise<void> {
  const json = join(ownFolder(t), 'report.json');
  const small = ['--quick', ...brief, '--connections', '8', '--peers', 'millrace'];
  const { code, out, err } = await bench(t, [...scenarios.map(({ name }) => name), ...small, '--json', json]);
  assert.equal(code, 0, err);
  const report = readBack(json);
  assert.deepEqual(
    report.scenarios.map(({ name }) => name),
    scenarios.map(({ name }) => name),
  );
  for (const scenario of report.scenarios) {
    const { unbuilt } = scenarios.find(({ name }) => name === scenario.name)!;
    assert.equal(scenario.omitted, unbuilt, scenario.name);
    assert.ok(out.includes(scenario.name));
    if (unbuilt !== null) assert.ok(out.includes(unbuilt), scenario.name);
    else assertMeasured(scenario);
  }
}

/** Whether a scenario's clients speak TLS. */
export function isEncrypted({ name }: Scenario): boolean {
  return name.startsWith('tls-') || name.startsWith('h2-') || name.endsWith('-tls');
}
