// Minutes of mixed load on a proxy in a process of its own, to see whether anything grows that should not. Samples are
// printed as they are taken; the verdict compares two moments of quiet, after the warm-up and at the end, and the first
// third of the loaded time with the last. Exit code 0: nothing grew and every client got what it should.

import { fork } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { parseDuration } from '../lib/config/units.ts';
import { Load, type Ports } from './soak/load.ts';
import { startSoakOrigin } from './soak/origin.ts';
import type { Answer, Counters, Order } from './soak/proxy.ts';
import { judge, type Sample } from './soak/verdict.ts';

const USAGE = `Usage: make soak ARGS='[--duration 3m] [--every 5s]'

--duration HOW-LONG   of load after the warm-up, which takes 40s to 1m more (default 3m)
--every HOW-OFTEN     samples are taken (default 5s)
`;

async function main(): Promise<number> {
  const options = readOptions();
  if (options === null) return 2;
  const { durationMs, everyMs } = options;
  const origin = await startSoakOrigin();
  const child = fork(join(import.meta.dirname, 'soak/proxy.ts'), {
    // Else garbage outside of the heap may reach twice the default of 16 MiB before it is collected.
    execArgv: ['--expose-gc', '--max-semi-space-size=2'],
    // Else each of the engine's compiler threads keeps what its largest job needed, which hides what the proxy keeps.
    env: { ...process.env, MALLOC_ARENA_MAX: '1' },
  });
  const ask = async (order: Order): Promise<Answer> => {
    const answered = once(child, 'message');
    child.send(order);
    return (await answered)[0] as Answer;
  };
  const ended = once(child, 'exit').then(([code, signal]) => {
    throw new Error(`the proxy has ended (${code ?? signal})`);
  });
  ended.catch(() => {});
  try {
    return await Promise.race([ended, soak(child.pid!, ask, origin, durationMs, everyMs)]);
  } catch (error) {
    process.stderr.write(`soak: ${error instanceof Error ? error.message : error}\n`);
    return 1;
  } finally {
    child.kill('SIGKILL');
    origin.close();
  }
}

type Ask = (order: Order) => Promise<Answer>;

async function soak(
  pid: number,
  ask: Ask,
  origin: { http: string; echo: string },
  durationMs: number,
  everyMs: number,
): Promise<number> {
  const started = await ask({ configuration: configure(origin.http, origin.echo) });
  if (!('ports' in started)) throw new Error(JSON.stringify(started));
  const load = new Load(started.ports as unknown as Ports);
  const begin = performance.now();
  const sample = async (phase: Sample['phase'], order: 'sample' | 'empty' = 'sample'): Promise<Sample> => {
    const counters = (await ask(order)) as Counters;
    const taken = { phase, seconds: (performance.now() - begin) / 1000, ...measure(pid), ...counters };
    print(row(taken, load));
    return taken;
  };
  print(HEADER);
  // The engine optimises what is hot for about this long, and its compiler's memory is not given back.
  const warmUpMs = Math.min(Math.max(durationMs / 4, 40_000), 60_000);
  load.start();
  for (let end = performance.now() + warmUpMs; performance.now() < end; ) {
    await pause(Math.min(everyMs, end - performance.now()));
    await sample('warm-up');
  }
  await load.stop();
  const before = await quiet(sample);
  load.start();
  const loaded: Sample[] = [];
  for (let end = performance.now() + durationMs; performance.now() < end; ) {
    await pause(Math.min(everyMs, end - performance.now()));
    loaded.push(await sample('load'));
  }
  await load.stop();
  const after = await quiet(sample);
  const faults = judge(before, loaded, after);
  print('');
  for (const [name, { done, wrong, example }] of load.tallies) {
    print(`${name.padEnd(16)} ${String(done).padStart(8)} done ${String(wrong).padStart(5)} wrong  ${example}`);
    if (wrong > 0) faults.push(`${name}: ${wrong} were wrong, the first: ${example}`);
  }
  print('');
  for (const fault of faults) print(`GREW OR BROKE  ${fault}`);
  print(faults.length === 0 ? 'Nothing grew.' : `${faults.length} faults.`);
  return faults.length === 0 ? 0 : 1;
}

/** Clients are gone: what lingers is over after a while, and what is idle is closed. */
async function quiet(sample: (phase: 'quiet', order: 'sample' | 'empty') => Promise<Sample>): Promise<Sample> {
  await pause(2500);
  await sample('quiet', 'empty');
  await pause(1000);
  return sample('quiet', 'empty');
}

function configure(http: string, echo: string): string {
  return `
log: { level: error }
listeners:
  web:
    bind: 127.0.0.1:0
    timeouts: { head: 1s, idle: 5s }
    routes: [{ cluster: web }]
  raw: { bind: "127.0.0.1:0", protocol: tcp, cluster: echo }
  all: { bind: "127.0.0.1:0", protocol: auto, fallback: echo, routes: [{ cluster: web }] }
clusters:
  web: { endpoints: ["${http}"], pool: { idle: 16, idleTimeout: 2s } }
  echo: { endpoints: ["${echo}"] }
`;
}

function measure(pid: number): { residentBytes: number; descriptors: number } {
  const status = readFileSync(`/proc/${pid}/status`, 'latin1');
  return {
    residentBytes: Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) * 1024,
    descriptors: readdirSync(`/proc/${pid}/fd`).length,
  };
}

/** Columns: the word above and how wide they are. */
const COLUMNS = {
  seconds: 7,
  phase: 8,
  'RSS MiB': 8,
  'heap MiB': 9,
  'other MiB': 10,
  descriptors: 12,
  slabs: 6,
  'idle parsers': 13,
  deadlines: 10,
  down: 5,
  up: 5,
  active: 7,
  waiting: 8,
  turns: 8,
  wrong: 6,
} as const;

const HEADER = Object.entries(COLUMNS)
  .map(([name, width]) => name.padStart(width))
  .join('');

function row(sample: Sample, load: Load): string {
  let turns = 0;
  let wrong = 0;
  for (const tally of load.tallies.values()) {
    turns += tally.done;
    wrong += tally.wrong;
  }
  const cells: Record<keyof typeof COLUMNS, number | string> = {
    seconds: sample.seconds.toFixed(0),
    phase: sample.phase,
    'RSS MiB': mebibytes(sample.residentBytes),
    'heap MiB': mebibytes(sample.heapBytes),
    'other MiB': mebibytes(sample.externalBytes),
    descriptors: sample.descriptors,
    slabs: sample.slabs,
    'idle parsers': sample.parsers,
    deadlines: sample.deadlines,
    down: sample.downstream,
    up: sample.upstream,
    active: sample.active,
    waiting: sample.waiting,
    turns,
    wrong,
  };
  return Object.entries(COLUMNS)
    .map(([name, width]) => String(cells[name as keyof typeof COLUMNS]).padStart(width))
    .join('');
}

function mebibytes(bytes: number): string {
  return (bytes / 1024 / 1024).toFixed(1);
}

function readOptions(): { durationMs: number; everyMs: number } | null {
  try {
    const { values } = parseArgs({
      options: {
        duration: { type: 'string', default: '3m' },
        every: { type: 'string', default: '5s' },
        help: { type: 'boolean' },
      },
    });
    if (values.help !== true) return { durationMs: readDuration(values.duration), everyMs: readDuration(values.every) };
  } catch (error) {
    process.stderr.write(`soak: ${error instanceof Error ? error.message : error}\n`);
  }
  process.stderr.write(USAGE);
  return null;
}

function readDuration(text: string): number {
  const read = parseDuration(text);
  if ('fault' in read || read.value === 0) throw new Error(`"${text}" must be a duration such as 90s or 3m`);
  return read.value;
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, Math.max(0, ms)));
}

// Last, because what it uses above are constants.
process.exitCode = await main();
