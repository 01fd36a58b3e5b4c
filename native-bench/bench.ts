// The benchmark: Millrace beside nginx, HAProxy and the usual Node proxies, each on the same core before the same origin,
// and what each request costs them. `millrace bench --help` says how, docs/benchmarks.md what was found. Figures go to
// stdout, progress to stderr.

import { spawnSync } from 'node:child_process';
import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '../lib/base/asset.ts';
import { describeCores, describeMachine, divideCores, findProgram, physicalCores, pinSelf } from './host/machine.ts';
import { currentRevision, findRevision, inCheckout, layOut, treeIn } from './host/revision.ts';
import { closeOnSignals, type Launcher, Scope } from './host/scope.ts';
import { chooseGenerator } from './load/run-load.ts';
import { type Given, type Options, peersFor, readOptions } from './options.ts';
import { millrace, millraceAt } from './peers/millrace/peer.ts';
import { locate, type Peer } from './peers/peer.ts';
import { secondsOfRound } from './procedure/procedure.ts';
import { describeCatalogue } from './report/catalogue.ts';
import { writeJson } from './report/json.ts';
import { spliceReadme, writeMarkdown } from './report/markdown.ts';
import { writePage } from './report/page.ts';
import { Progress } from './report/progress.ts';
import { REPORT_FORMAT, type Report, type ScenarioReport } from './report/report.ts';
import { keepResult, readResults } from './report/results.ts';
import { omit, summarise } from './report/summary.ts';
import { drawScenario, drawSetting } from './report/table.ts';
import { drawTrend } from './report/trend.ts';
import { type Bench, runScenario } from './run.ts';
import type { Scenario } from './scenario.ts';

/**
 * Runs what was asked for. Resolves to the exit code: 0 measured (whatever the figures), 1 something went wrong on the
 * way; or to what is wrong with the arguments. `command` is how it was called, for the report.
 */
export async function runBench(given: Given, command: string): Promise<number | { faults: string[] }> {
  const options = readOptions(given);
  if ('faults' in options) return options;
  const unwritable = faultsOfFiles(options);
  if (unwritable.length > 0) return { faults: unwritable };
  const against = options.against === null ? null : findRevision(options.against);
  if (typeof against === 'string') return { faults: [`--against: ${against}`] };
  if ((options.publish || options.trend) && !inCheckout()) {
    const option = options.publish ? '--publish' : '--trend';
    return {
      faults: [`${option}: runs are kept in a checkout of Millrace, and this is not one; --json FILE keeps one`],
    };
  }
  if (options.list) process.stdout.write(describeCatalogue());
  else if (options.trend) return showTrend(options);
  else return measure(options, command, against?.commit ?? null);
  return 0;
}

const RESULTS = join(ROOT, 'native-bench/results');

/** The kept runs, one line for each scenario and peer. */
function showTrend({ html }: Options): number {
  const { reports, faults } = readResults(RESULTS);
  for (const fault of faults) process.stderr.write(`${fault}\n`);
  const latest = reports.at(-1);
  if (latest === undefined) {
    process.stderr.write('no run has been kept yet: millrace bench --publish keeps one\n');
    return 1;
  }
  process.stdout.write(drawTrend(reports, styled(process.stdout)));
  if (html !== null) writeFileSync(html, writePage(latest, reports));
  return faults.length > 0 ? 1 : 0;
}

async function measure(options: Options, command: string, against: string | null): Promise<number> {
  const startedAt = new Date();
  // Before the harness is pinned: afterwards it would count only the cores left to it.
  const machine = describeMachine(startedAt);
  const launcher = { taskset: findProgram('taskset'), setpriv: findProgram('setpriv') };
  // Holds what lives longer than one scenario.
  const scope = new Scope(launcher);
  const removeHandlers = closeOnSignals();
  const progress = new Progress({
    stream: process.stderr,
    terminal: process.stderr.isTTY === true && process.env['TERM'] !== 'dumb',
    now: () => performance.now(),
    width: () => process.stderr.columns ?? 80,
  });
  try {
    const bench = prepareBench(options, launcher, progress);
    const others = against === null ? [] : [otherRevision(scope, against, progress)];
    const chosen =
      against === null ? options.peers : [millrace, ...(options.peers ?? []).filter((one) => one !== millrace)];
    const setting = {
      format: REPORT_FORMAT,
      startedAt: startedAt.toISOString(),
      machine,
      revision: currentRevision(),
      versions: versions(bench, options, chosen),
      command,
      cores: bench.pinned ? describeCores(bench.cores) : 'not pinned: taskset is missing (Debian package util-linux)',
      plan: bench.plan,
      workers: bench.workers,
    } as const;
    process.stdout.write(`${drawSetting(setting)}\n`);
    const pairs = options.scenarios.map((scenario) => [scenario, peersFor(scenario, chosen, others)] as const);
    const keep = (scenarios: readonly ScenarioReport[]): void => {
      // A run that is broken off leaves what it had.
      if (options.json !== null) writeFileSync(options.json, writeJson({ ...setting, scenarios }));
    };
    const { scenarios, failed } = await runAll(bench, pairs, progress, keep);
    const written = write(options, { ...setting, scenarios }, failed, progress);
    return failed || !written || scenarios.every(({ rounds, omitted }) => omitted === null && rounds.length === 0)
      ? 1
      : 0;
  } finally {
    progress.end();
    await scope.close();
    removeHandlers();
  }
}

async function runAll(
  bench: Bench,
  pairs: readonly (readonly [Scenario, readonly Peer[]])[],
  progress: Progress,
  keep: (scenarios: readonly ScenarioReport[]) => void,
): Promise<{ scenarios: ScenarioReport[]; failed: boolean }> {
  const scenarios: ScenarioReport[] = [];
  let failed = false;
  progress.begin(
    pairs
      .filter(([scenario]) => scenario.unbuilt === null)
      .map(([scenario, peers]) => ({
        scenario: scenario.name,
        seconds: secondsOfScenario(bench, scenario, peers.length),
      })),
  );
  for (const [scenario, peers] of pairs) {
    const report = await runOne(bench, scenario, peers);
    failed ||= report.failed;
    scenarios.push(report.scenario);
    keep(scenarios);
    const table = drawScenario(report.scenario, styled(process.stdout));
    progress.pause(() => process.stdout.write(`${table}\n`));
  }
  return { scenarios, failed };
}

/** One scenario, or why there is nothing to tell of it. */
async function runOne(
  bench: Bench,
  scenario: Scenario,
  peers: readonly Peer[],
): Promise<{ scenario: ScenarioReport; failed: boolean }> {
  if (scenario.unbuilt !== null) return { scenario: omit(scenario, scenario.unbuilt), failed: false };
  if (bench.generator === null) {
    const chosen = chooseGenerator(scenario.load, bench.ratePerSecond, bench.installed, null);
    if (typeof chosen !== 'string') return { scenario: omit(scenario, chosen.missing), failed: false };
  }
  if (peers.length === 0) return { scenario: omit(scenario, 'none of these peers can do it'), failed: false };
  try {
    const result = await runScenario(bench, scenario, peers);
    return { scenario: summarise(result), failed: result.skipped.some((one) => one.failed) };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    bench.progress.line(`${scenario.name}: ${reason}`);
    return { scenario: omit(scenario, reason), failed: true };
  }
}

/** Finds the tools, says which are missing, and divides the cores. */
function prepareBench(options: Options, launcher: Launcher, progress: Progress): Bench {
  const installed = { wrk: findProgram('wrk'), h2load: findProgram('h2load') };
  if (installed.wrk === null) {
    progress.line('wrk is not installed (Debian package wrk): the load comes from our own generator');
  }
  if (launcher.taskset === null)
    progress.line('taskset is not installed (Debian package util-linux): nothing is pinned');
  const cores = divideCores(physicalCores(), options.workers);
  pinSelf(launcher.taskset, cores.load);
  const { generator, plan, workers, ratePerSecond } = options;
  return {
    installed,
    generator,
    launcher,
    cores,
    pinned: launcher.taskset !== null,
    plan,
    workers,
    ratePerSecond,
    progress,
  };
}

/** Lays another revision of Millrace beside this one, for as long as `scope` lives. */
function otherRevision(scope: Scope, commit: string, progress: Progress): Peer {
  const folder = scope.folder();
  const distortion = layOut(commit, folder);
  if (distortion !== null) progress.line(distortion);
  return millraceAt(treeIn(folder), `millrace@${commit}`);
}

/** Warm-up of each peer, a look at the origin, and the rounds. */
function secondsOfScenario({ plan }: Bench, { procedure }: Scenario, peers: number): number {
  const round = secondsOfRound(procedure, plan.seconds);
  return (plan.warmUpSeconds + 1 + round * plan.rounds) * peers + 3;
}

/** The files asked for that cannot be written: found before anything is measured for them. */
function faultsOfFiles({ json, html, markdown }: Options): string[] {
  const faults: string[] = [];
  for (const [name, file] of Object.entries({ json, html, markdown })) {
    if (file === null) continue;
    try {
      closeSync(openSync(file, 'a'));
    } catch (error) {
      faults.push(`--${name}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  return faults;
}

/** Writes what was asked for; false when some of it could not be, which keeps nothing else from being written. */
function write(options: Options, report: Report, failed: boolean, progress: Progress): boolean {
  const reports = inCheckout() ? readResults(RESULTS).reports : [];
  const files: [string | null, () => string][] = [
    [options.json, () => writeJson(report)],
    [options.html, () => writePage(report, [...reports, report])],
    [options.markdown, () => writeMarkdown(report)],
  ];
  let whole = true;
  for (const [file, text] of files) {
    if (file === null) continue;
    try {
      writeFileSync(file, text());
    } catch (error) {
      whole = false;
      progress.line(`${file} was not written: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  if (options.publish && failed) progress.line('nothing is published: something went wrong on the way');
  else if (options.publish) publish(report, progress);
  return whole;
}

function publish(report: Report, progress: Progress): void {
  progress.line(`kept as ${keepResult(RESULTS, report)}`);
  writeFileSync(join(ROOT, 'docs/benchmarks.md'), writeMarkdown(report));
  const readme = join(ROOT, 'README.md');
  const { text, error } = spliceReadme(readFileSync(readme, 'utf8'), report);
  if (error === null) writeFileSync(readme, text);
  else progress.line(`README.md is left as it is: ${error}`);
}

/** Of everything that takes part and of what measures it. */
function versions(bench: Bench, options: Options, chosen: readonly Peer[] | null): string[] {
  const found = new Set<string>();
  for (const peer of new Set(options.scenarios.flatMap((scenario) => peersFor(scenario, chosen, [])))) {
    const located = locate(peer);
    if ('version' in located) found.add(located.version);
  }
  if (bench.installed.wrk !== null) {
    const said = spawnSync(bench.installed.wrk, ['-v'], { encoding: 'utf8' }).stdout;
    found.add(/^wrk \S+/.exec(said)?.[0] ?? 'wrk of unknown version');
  }
  return [...found];
}

function styled(stream: NodeJS.WriteStream): boolean {
  return stream.isTTY === true && process.env['TERM'] !== 'dumb' && !process.env['NO_COLOR'];
}
