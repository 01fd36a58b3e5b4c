// Where the proxy's CPU time goes: runs it under wrk before the benchmark's origin for a few seconds and keeps a V8
// profile, or lets a clinic tool watch it. Figures to compare come from bench.ts, not from here: being watched costs.

import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { parseArgs } from 'node:util';
import { SCENARIOS } from './catalogue.ts';
import { runLoad } from './load.ts';
import { allowedCores, type Cores, divideCores, findProgram } from './machine.ts';
import { startOrigin } from './origin/origin.ts';
import { accepting, freePort, lastWords } from './peer.ts';
import { millrace } from './peers/millrace/peer.ts';
import type { Scenario } from './scenario.ts';
import { Scope } from './scope.ts';

const ROOT = join(import.meta.dirname, '..');
const CLINIC = join(ROOT, '.profile/clinic/node_modules/.bin/clinic');
/** bubbleprof is left out: it never ends. */
const CLINIC_TOOLS = ['doctor', 'flame', 'heapprofiler'];
const MOST_ROWS = 25;
const USAGE = `profile.ts [SCENARIO] [--seconds N] [--clinic ${CLINIC_TOOLS.join('|')}]
scenarios: ${SCENARIOS.map(({ name }) => name).join(', ')}
`;

process.exitCode = await main(process.argv.slice(2));

/** Exit code: 0 profiled, 1 could not, 2 wrong usage. */
async function main(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...args],
    strict: false,
    allowPositionals: true,
    options: { seconds: { type: 'string' }, clinic: { type: 'string' } },
  });
  const scenario = SCENARIOS.find(({ name }) => name === (positionals[0] ?? 'http-small'));
  const seconds = Number(values['seconds'] ?? 5);
  const tool = values['clinic'];
  const knowsTool = tool === undefined || CLINIC_TOOLS.includes(String(tool));
  if (scenario === undefined || !Number.isInteger(seconds) || seconds < 1 || !knowsTool || values['help']) {
    process.stderr.write(USAGE);
    return values['help'] ? 0 : 2;
  }
  const wrk = findProgram('wrk');
  if (wrk === null) {
    process.stderr.write('the load generator wrk is not installed (make bench-tools)\n');
    return 1;
  }
  const scope = new Scope({ taskset: findProgram('taskset'), setpriv: findProgram('setpriv') });
  try {
    const cores = divideCores(allowedCores());
    const port = await freePort();
    const originPort = await startOrigin(scope, cores.origin);
    const site = { folder: scope.folder(), protocol: scenario.protocol, port, originPort };
    const folder = join(ROOT, '.profile', `${scenario.name}-${stamp(new Date())}`);
    mkdirSync(folder, { recursive: true });
    const run: Run = { scenario, wrk, seconds, cores, port, folder, program: millrace.prepare(site).args };
    if (tool === undefined) await profileByNode(scope, run);
    else await profileByClinic(scope, run, String(tool));
    process.stdout.write(`written to ${relative('.', folder)}/\n`);
    return 0;
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    return 1;
  } finally {
    await scope.close();
  }
}

interface Run {
  readonly scenario: Scenario;
  readonly wrk: string;
  readonly seconds: number;
  readonly cores: Cores;
  readonly port: number;
  /** Where the results go. */
  readonly folder: string;
  /** The proxy's own arguments to Node. */
  readonly program: readonly string[];
}

async function profileByNode(scope: Scope, run: Run): Promise<void> {
  const { cores, folder, port, seconds, wrk } = run;
  const child = scope.start('millrace', {
    command: process.execPath,
    args: ['--cpu-prof', `--cpu-prof-dir=${folder}`, ...run.program],
    cores: cores.proxy,
  });
  if (!(await accepting(child, port))) throw new Error(`did not start: ${lastWords(child)}`);
  const result = await runLoad(scope, run.scenario.load, { wrk, cores: cores.load, port, seconds });
  // The profile is written when the proxy has drained.
  await scope.stop(child);
  process.stdout.write(`${Math.round(result.requests / result.seconds)} requests per second while watched\n`);
  for (const file of readdirSync(folder)) {
    const profile = JSON.parse(readFileSync(join(folder, file), 'utf8')) as Profile;
    process.stdout.write(describeProfile(profile));
  }
}

/** clinic waits for the port, runs the load itself, ends the proxy and then works on what it has gathered. */
async function profileByClinic(scope: Scope, run: Run, tool: string): Promise<void> {
  const { load } = run.scenario;
  const scripts = join(import.meta.dirname, 'wrk');
  const wrk = `${run.wrk} -t 1 -c ${load.connections} -d ${run.seconds}s -s ${scripts}/${load.script}.lua http://127.0.0.1:${run.port}${load.path}`;
  const child = scope.start('clinic', {
    command: process.execPath,
    args: [
      ...[CLINIC, tool, '--open=false', '--dest', run.folder, '--on-port', wrk],
      ...['--', process.execPath, ...run.program],
    ],
    cores: run.cores.proxy,
    env: { NO_INSIGHT: '1', LUA_PATH: `${scripts}/?.lua` },
  });
  await child.exited;
  process.stdout.write(child.stdout);
  if (!readdirSync(run.folder).some((file) => file.endsWith('.html'))) {
    throw new Error(`clinic ${tool} wrote nothing: ${lastWords(child)}`);
  }
}

/** What is used of V8's profile format: a tree of frames, and which of them was on top at each sample. */
interface Profile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number };
  }[];
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

/** The functions that took most time themselves, as a share of the time that was not idle. */
function describeProfile({ nodes, samples, timeDeltas }: Profile): string {
  const names = new Map(
    nodes.map(({ id, callFrame: { functionName, url, lineNumber } }) => {
      const place = url === '' ? '' : `  ${relative(ROOT, url.replace('file://', ''))}:${lineNumber + 1}`;
      return [id, `${functionName || '(anonymous)'}${place}`];
    }),
  );
  const times = new Map<string, number>();
  let total = 0;
  samples.forEach((node, index) => {
    const name = names.get(node) ?? '';
    const micros = timeDeltas[index] ?? 0;
    if (name === '(idle)') return;
    total += micros;
    times.set(name, (times.get(name) ?? 0) + micros);
  });
  const rows = [...times].sort(([, a], [, b]) => b - a).slice(0, MOST_ROWS);
  return rows.map(([name, micros]) => `${((micros / total) * 100).toFixed(1).padStart(5)} %  ${name}\n`).join('');
}

function stamp(now: Date): string {
  return now.toISOString().replace(/\D/g, '').slice(0, 14);
}
