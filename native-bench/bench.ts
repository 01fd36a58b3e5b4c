// The benchmark: Millrace beside nginx, HAProxy and the usual Node proxies, each on the same core before the same
// origin, and what each request costs them. `node native-bench/bench.ts --help` says how, docs/benchmarks.md
// what was found. Figures go to stdout, progress to stderr.

import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { allowedCores, describeMachine, divideCores, findProgram, pinSelf } from './machine.ts';
import { describeCatalogue, type Options, peersFor, readOptions, USAGE } from './options.ts';
import { locateNginx } from './peers/nginx/peer.ts';
import { drawScenario, drawSetting, type Setting, writeJson, writeMarkdown } from './report.ts';
import { type Bench, runScenario, type ScenarioResult } from './run.ts';

process.exitCode = await main(process.argv.slice(2));

/** Exit code: 0 measured (whatever the figures), 1 could not measure, 2 wrong usage. */
async function main(args: readonly string[]): Promise<number> {
  const options = readOptions(args);
  if (typeof options === 'string') {
    process.stderr.write(`${options}\n\n${USAGE}`);
    return 2;
  }
  if (options.help || options.list) {
    process.stdout.write(options.help ? USAGE : describeCatalogue());
    return 0;
  }
  // Before the harness is pinned: afterwards it would count only the cores left to it.
  const machine = describeMachine(new Date());
  const bench = prepare(options);
  if (bench === null) return 1;
  const setting: Setting = {
    machine,
    versions: versions(bench, options),
    command: ['node native-bench/bench.ts', ...args].join(' '),
  };
  return run(bench, options, setting);
}

async function run(bench: Bench, options: Options, setting: Setting): Promise<number> {
  process.stdout.write(`${drawSetting(setting, bench)}\n`);
  const results: ScenarioResult[] = [];
  let failed = false;
  for (const scenario of options.scenarios) {
    try {
      const result = await runScenario(bench, scenario, peersFor(scenario, options.peers));
      results.push(result);
      process.stdout.write(`${drawScenario(result)}\n`);
    } catch (error) {
      failed = true;
      process.stderr.write(`${scenario.name}: ${error instanceof Error ? error.message : String(error)}\n`);
    }
  }
  if (options.json !== null) writeFileSync(options.json, writeJson(setting, bench, results));
  if (options.markdown !== null) writeFileSync(options.markdown, writeMarkdown(setting, bench, results));
  return failed || results.every(({ rounds }) => rounds.length === 0) ? 1 : 0;
}

/** Finds the tools. Null, with the reason told, when one is missing without which nothing can be measured. */
function prepare(options: Options): Bench | null {
  const wrk = findProgram('wrk');
  const nginx = locateNginx();
  if (wrk === null) process.stderr.write('the load generator wrk is not installed (Debian package wrk)\n');
  if ('missing' in nginx) process.stderr.write(`the origin is missing: ${nginx.missing}\n`);
  if (wrk === null || 'missing' in nginx) return null;

  const taskset = findProgram('taskset');
  if (taskset === null)
    process.stderr.write('taskset is not installed (Debian package util-linux): nothing is pinned\n');
  const cores = divideCores(allowedCores());
  pinSelf(taskset, cores.load);
  return {
    wrk,
    launcher: { taskset, setpriv: findProgram('setpriv') },
    cores,
    pinned: taskset !== null,
    plan: options.plan,
    progress: (line) => process.stderr.write(`${line}\n`),
  };
}

function versions(bench: Bench, options: Options): string[] {
  const peers = new Set(options.scenarios.flatMap((scenario) => peersFor(scenario, options.peers)));
  const found = new Set<string>();
  for (const peer of peers) {
    const located = peer.locate();
    if ('version' in located) found.add(located.version);
  }
  const origin = locateNginx();
  if ('version' in origin) found.add(`origin ${origin.version}`);
  const said = spawnSync(bench.wrk, ['-v'], { encoding: 'utf8' }).stdout;
  found.add(/^wrk \S+/.exec(said)?.[0] ?? 'wrk of unknown version');
  return [...found];
}
