// The machine that is measured on: its cores and how they are divided, and which programs it has.

import { execFileSync } from 'node:child_process';
import { accessSync, constants, readFileSync } from 'node:fs';
import { cpus, loadavg, totalmem } from 'node:os';
import { delimiter, join } from 'node:path';

/** What a reader must know to judge a figure. */
export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryBytes: number;
  readonly kernel: string;
  readonly runtime: string;
  readonly date: string;
  readonly loadAverage: number;
}

/** Which cores each part runs on, as the kernel numbers them. The proxy has one alone, unless there is only one. */
export interface Cores {
  readonly proxy: readonly number[];
  readonly origin: readonly number[];
  readonly load: readonly number[];
  /** Whether physical cores of the proxy serve the others too, by other hardware threads. */
  readonly threaded: boolean;
}

export function describeMachine(now: Date): Machine {
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: allowedCores().length,
    memoryBytes: totalmem(),
    kernel: readFileSync('/proc/version', 'utf8').split(' ').slice(0, 3).join(' '),
    runtime: `Node ${process.version}`,
    date: now.toISOString().slice(0, 10),
    loadAverage: loadavg()[0] ?? 0,
  };
}

/** Cores that this process may run on: fewer than the machine's inside a container or under taskset. */
export function allowedCores(): number[] {
  const status = readFileSync('/proc/self/status', 'utf8');
  return parseCoreList(/^Cpus_allowed_list:\s*(\S*)$/m.exec(status)?.[1] ?? '0');
}

/** Reads the kernel's list form, such as `0-3,8`. */
export function parseCoreList(list: string): number[] {
  const cores: number[] = [];
  for (const range of list.split(',')) {
    const [first = Number.NaN, last = first] = range.split('-').map(Number);
    for (let core = first; core <= last; core++) cores.push(core);
  }
  return cores;
}

/**
 * The cores of `allowed` that are hardware threads of one physical core, together. `siblings` tells of a core with which
 * others it shares one, in the kernel's list form; null where the kernel does not tell: then it stands alone.
 */
export function physicalCores(allowed = allowedCores(), siblings = siblingsOf): number[][] {
  const physical = new Map<number, number[]>();
  for (const core of allowed) {
    const first = parseCoreList(siblings(core) ?? String(core))[0] ?? core;
    physical.set(first, [...(physical.get(first) ?? []), core]);
  }
  return [...physical.values()];
}

/**
 * The last cores for the proxy, one for each of its `workers` (the first ones tend to serve interrupts); the others halved
 * between origin and load generator, both bounded so that neither has more than the proxy could ever keep busy. Nobody
 * gets a thread of a physical core that the proxy is on where there are others. With too few cores parts share them: all
 * of them when the proxy is to have as many workers as there are cores.
 */
export function divideCores(physical: readonly (readonly number[])[], workers = 1): Cores {
  const allowed = physical.flat();
  if (workers >= allowed.length) return { proxy: allowed, origin: allowed, load: allowed, threaded: false };
  const own = workers;
  // A physical core for each worker if that leaves one, else all threads of as few as possible.
  const proxy = (physical.length > own ? physical.map((threads) => threads.at(-1)!) : allowed).slice(-own);
  const free = physical.filter((threads) => !threads.some((thread) => proxy.includes(thread))).flat();
  const others = free.length > 0 ? free : allowed.filter((core) => !proxy.includes(core));
  const threaded = free.length === 0 && others.length > 0;
  if (others.length === 1) return { proxy, origin: others, load: others, threaded };
  const half = Math.min(others.length >> 1, 4 * workers);
  return { proxy, origin: others.slice(0, half), load: others.slice(half, half * 2), threaded };
}

/** In plain words how the cores were divided, for the head of a report. */
export function describeCores(cores: Cores): string {
  return `${describeParts(cores)}${cores.threaded ? THREADED : ''}`;
}

/**
 * The path of a program, also where Debian keeps servers (not in every user's PATH). Null when there is none.
 * MILLRACE_BENCH_PROGRAMS names the only folders to look in, so that a run without this or that can be had on any machine.
 */
export function findProgram(name: string): string | null {
  const only = process.env['MILLRACE_BENCH_PROGRAMS'];
  const usual = `${process.env['PATH'] ?? ''}${delimiter}${SERVER_FOLDERS}`;
  const folders = (only ?? usual).split(delimiter);
  for (const folder of folders) {
    if (folder === '') continue;
    const path = join(folder, name);
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // Not in this one.
    }
  }
  return null;
}

/** Keeps the harness itself off the proxy's core. Without taskset it stays where it is. */
export function pinSelf(taskset: string | null, cores: readonly number[]): void {
  if (taskset === null) return;
  execFileSync(taskset, ['-acp', cores.join(','), String(process.pid)], { stdio: 'ignore' });
}

const SERVER_FOLDERS = ['/usr/local/sbin', '/usr/sbin', '/sbin'].join(delimiter);
const THREADED = '; a physical core of the proxy serves the others too (hyper-threads), so that they slow each other';

function siblingsOf(core: number): string | null {
  try {
    return readFileSync(`/sys/devices/system/cpu/cpu${core}/topology/thread_siblings_list`, 'utf8').trim();
  } catch {
    return null;
  }
}

function describeParts({ proxy, origin, load }: Cores): string {
  if (proxy.join() === load.join()) {
    if (proxy.length === 1) return `only core ${proxy.join()}: proxy, origin and load generator share it`;
    return `cores ${proxy.join()} shared by proxy, origin and load generator: CPU time per request is the proxy's own all the same, throughput and latency are not`;
  }
  if (proxy.join() === origin.join()) {
    return `proxy and origin share core ${proxy.join()}; load generator on core ${load.join()}, the only other one`;
  }
  if (origin.join() === load.join()) {
    return `proxy alone on core ${proxy.join()}; origin and load generator share core ${load.join()}, the only other one`;
  }
  return `proxy alone on core ${proxy.join()}; origin on ${origin.join()}; load generator on ${load.join()}`;
}
