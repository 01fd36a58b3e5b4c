// Where the proxy's CPU time goes: runs it under a scenario's load before the benchmark's origin, once for each tool that
// is to watch it: V8's own profiler, and clinic's doctor, flame and heapprofiler. Figures to compare come from
// `millrace bench`, not from here: being watched costs.

import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { parseArgs } from 'node:util';
import { ROOT } from '../lib/base/asset.ts';
import { didYouMean } from '../lib/base/nearest.ts';
import { SCENARIOS } from './catalogue.ts';
import { processTree } from './host/accounting.ts';
import { type Cores, divideCores, findProgram, physicalCores } from './host/machine.ts';
import { freePort } from './host/port.ts';
import { type Child, closeOnSignals, Scope } from './host/scope.ts';
import { chooseGenerator, runLoad } from './load/run-load.ts';
import { startOrigin } from './origin/origin.ts';
import { millrace } from './peers/millrace/peer.ts';
import { accepting, lastWords } from './peers/peer.ts';
import type { Scenario } from './scenario.ts';

const CLINIC = join(ROOT, '.profile/clinic/node_modules/.bin/clinic');
/** `cpu` is V8's profiler, the others are clinic's. Its bubbleprof is left out: it never ends. */
const TOOLS = ['cpu', 'doctor', 'flame', 'heapprofiler'];
const MOST_ROWS = 25;
const MOST_SECONDS = 60;
const USAGE = `profile.ts [SCENARIO] [--seconds N] [--tools ${TOOLS.join(',')}]
scenarios: ${SCENARIOS.map(({ name }) => name).join(', ')}
`;

process.exitCode = await main(process.argv.slice(2));

/** Exit code: 0 profiled, 1 could not, 2 wrong usage. */
async function main(args: readonly string[]): Promise<number> {
  const wish = readWish(args);
  if (typeof wish === 'string') {
    process.stderr.write(`${wish}\n\n${USAGE}`);
    return 2;
  }
  const scope = new Scope({ taskset: findProgram('taskset'), setpriv: findProgram('setpriv') });
  const removeHandlers = closeOnSignals();
  const { name, procedure } = wish.scenario;
  if (procedure !== 'load') {
    process.stdout.write(
      `${name}: profiled under its load in a closed loop, not as \`millrace bench ${name}\` measures\n`,
    );
  }
  try {
    for (const tool of wish.tools) await profile(scope, wish, tool);
    return 0;
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    return 1;
  } finally {
    await scope.close();
    removeHandlers();
  }
}

interface Wish {
  readonly scenario: Scenario;
  readonly seconds: number;
  readonly tools: readonly string[];
}

/** What was asked for, or a sentence that says what is wrong with it. */
function readWish(args: readonly string[]): Wish | string {
  const { values, positionals } = parseArgs({
    args: [...args],
    strict: false,
    allowPositionals: true,
    options: { seconds: { type: 'string' }, tools: { type: 'string' } },
  });
  const name = positionals[0] ?? 'http-small';
  const scenario = SCENARIOS.find((one) => one.name === name);
  const names = SCENARIOS.map((one) => one.name);
  if (scenario === undefined) return `unknown scenario "${name}"${didYouMean(name, names)}`;
  if (scenario.unbuilt !== null) return `${name}: ${scenario.unbuilt}`;
  const seconds = Number(values['seconds'] ?? 5);
  if (!Number.isInteger(seconds) || seconds < 1 || seconds > MOST_SECONDS) {
    return `--seconds needs a whole number from 1 to ${MOST_SECONDS}`;
  }
  const asked = values['tools'];
  const tools =
    typeof asked === 'string' ? asked.split(',') : existsSync(CLINIC) ? ['cpu', 'doctor', 'flame'] : ['cpu'];
  const stranger = tools.find((tool) => !TOOLS.includes(tool));
  if (stranger !== undefined) return `unknown tool "${stranger}"${didYouMean(stranger, TOOLS)}`;
  if (tools.some((tool) => tool !== 'cpu') && !existsSync(CLINIC))
    return 'clinic is not installed: make profile does that';
  return { scenario, seconds, tools };
}

async function profile(scope: Scope, { scenario, seconds }: Wish, tool: string): Promise<void> {
  const cores = divideCores(physicalCores());
  const kind = scenario.load.kind === 'websocket' ? 'websocket' : 'plain';
  const { port: originPort } = await startOrigin(scope, { cores: cores.origin, kind });
  const port = await freePort();
  const site = { folder: scope.folder(), setup: scenario.setup, port, originPort, workers: 1 };
  const folder = join(ROOT, '.profile', `${scenario.name}-${stamp(new Date())}-${tool}`);
  mkdirSync(folder, { recursive: true });
  const { args: program } = millrace.prepare(site);
  const watched =
    tool === 'cpu'
      ? ['--cpu-prof', `--cpu-prof-dir=${folder}`, ...program]
      : [CLINIC, tool, '--open=false', '--dest', folder, '--', process.execPath, ...program];
  const child = scope.start('millrace', {
    command: process.execPath,
    args: watched,
    cores: cores.proxy,
    // Without a terminal clinic would otherwise ask whether it may report home, and do nothing.
    env: { NO_INSIGHT: '1' },
  });
  if (!(await accepting(child, port))) throw new Error(`did not start: ${lastWords(child)}`);
  await load(scope, { scenario, seconds, port, cores });
  endProxy(child, program);
  await child.exited;
  if (readdirSync(folder).length === 0) throw new Error(`${tool} wrote nothing: ${lastWords(child)}`);
  if (tool === 'cpu') describeProfiles(folder);
  process.stdout.write(`${tool}: written to ${relative('.', folder)}/\n`);
}

async function load(
  scope: Scope,
  { scenario, seconds, port, cores }: Pick<Wish, 'scenario' | 'seconds'> & { port: number; cores: Cores },
): Promise<void> {
  const installed = { wrk: findProgram('wrk'), h2load: findProgram('h2load') };
  const generator = chooseGenerator(scenario.load, null, installed, null);
  if (typeof generator !== 'string') throw new Error(generator.missing);
  const run = { generator, cores: cores.load, port, seconds, ratePerSecond: null };
  const { requests, seconds: took } = await runLoad(scope, scenario.load, run);
  process.stdout.write(`${Math.round(requests / took)} requests per second while watched\n`);
}

/** Asks the proxy itself to drain and end, whatever program stands above it: that one then does its own part. */
function endProxy(child: Child, program: readonly string[]): void {
  const words = program.join('\0');
  for (const pid of processTree(child.pid)) {
    try {
      const line = readFileSync(`/proc/${pid}/cmdline`, 'utf8');
      if (line.includes(words) && !line.includes(CLINIC)) process.kill(pid, 'SIGTERM');
    } catch {
      // It has ended since the list was made.
    }
  }
}

function describeProfiles(folder: string): void {
  for (const file of readdirSync(folder)) {
    const profile = JSON.parse(readFileSync(join(folder, file), 'utf8')) as Profile;
    process.stdout.write(describeProfile(profile));
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
