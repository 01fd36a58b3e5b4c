// The kernel's own accounting of CPU time and memory, read from /proc (proc(5)). Linux only. Knows nothing of proxies.

import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';

/**
 * CPU time of some processes in clock ticks, split as the kernel splits it. On kernels that account by tick the sum is
 * exact (it is scaled to the scheduler's run time) while the split between user and kernel is sampled.
 */
export interface CpuTicks {
  readonly user: number;
  readonly kernel: number;
}

/** Fields of one /proc/PID/stat line. */
export interface ProcessStat extends CpuTicks {
  readonly parent: number;
}

/** Clock ticks in a second, the unit of /proc/PID/stat; nearly always 100. */
export function clockTicksPerSecond(): number {
  return (ticksPerSecond ??= askForTicks());
}

/**
 * Reads a /proc/PID/stat line. User and kernel time cover all threads of the process, those that have ended, and the
 * children that it has waited for. Null when the line is not of that form.
 */
export function parseProcessStat(line: string): ProcessStat | null {
  // The command name, field 2, may hold blanks and parentheses itself: the fields begin after the last one.
  const fields = line.slice(line.lastIndexOf(')') + 2).split(' ');
  const [parent, ...times] = [1, 11, 12, 13, 14].map((index) => Number(fields[index] ?? Number.NaN));
  const [utime, stime, cutime, cstime] = times;
  if (parent === undefined || ![parent, ...times].every(Number.isSafeInteger)) return null;
  return { parent, user: utime! + cutime!, kernel: stime! + cstime! };
}

/** `pid` and all its living descendants, parents first. */
export function processTree(pid: number): number[] {
  const children = new Map<number, number[]>();
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const stat = parseProcessStat(readProc(`${name}/stat`));
    if (stat === null) continue;
    const siblings = children.get(stat.parent);
    if (siblings === undefined) children.set(stat.parent, [Number(name)]);
    else siblings.push(Number(name));
  }
  const tree = [pid];
  for (const parent of tree) tree.push(...(children.get(parent) ?? []));
  return tree;
}

/** CPU time so far of `pid` and all its descendants. */
export function cpuTicks(pid: number): CpuTicks {
  let user = 0;
  let kernel = 0;
  for (const member of processTree(pid)) {
    const stat = parseProcessStat(readProc(`${member}/stat`));
    if (stat === null) continue;
    user += stat.user;
    kernel += stat.kernel;
  }
  return { user, kernel };
}

/** Memory of some processes in bytes; pages that they share are counted once for each. */
export interface Memory {
  readonly residentBytes: number;
  /** The most that each ever had, added up. */
  readonly peakBytes: number;
}

/** Memory of `pid` and all its descendants. */
export function memoryOf(pid: number): Memory {
  let residentBytes = 0;
  let peakBytes = 0;
  for (const member of processTree(pid)) {
    const status = readProc(`${member}/status`);
    residentBytes += statusField(status, 'VmRSS') * 1024;
    peakBytes += statusField(status, 'VmHWM') * 1024;
  }
  return { residentBytes, peakBytes };
}

/** Context switches so far, voluntary and not, of all living threads of `pid` and its descendants. */
export function contextSwitches(pid: number): number {
  let switches = 0;
  for (const member of processTree(pid)) {
    for (const thread of listProc(`${member}/task`)) {
      const status = readProc(`${member}/task/${thread}/status`);
      switches += statusField(status, 'voluntary_ctxt_switches') + statusField(status, 'nonvoluntary_ctxt_switches');
    }
  }
  return switches;
}

/** A number from the text of /proc/PID/status; 0 when it is not there. */
export function statusField(status: string, name: string): number {
  return Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(status)?.[1] ?? 0);
}

/** Time that `cores` were busy so far, in ticks summed over them; what a hypervisor took away (steal) counts as busy. */
export function busyTicks(cores: readonly number[]): number {
  return parseBusyTicks(readProc('stat'), cores);
}

/** The same from the text of /proc/stat. */
export function parseBusyTicks(text: string, cores: readonly number[]): number {
  let busy = 0;
  for (const core of cores) {
    const line = new RegExp(`^cpu${core} (.*)$`, 'm').exec(text)?.[1] ?? '';
    const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0, steal = 0] = line.split(' ').map(Number);
    busy += user + nice + system + irq + softirq + steal;
  }
  return busy;
}

let ticksPerSecond: number | undefined;

function askForTicks(): number {
  try {
    return Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));
  } catch {
    // USER_HZ on every architecture that Node has builds for.
    return 100;
  }
}

/** Empty when the process has ended in between. */
function readProc(path: string): string {
  try {
    return readFileSync(`/proc/${path}`, 'utf8');
  } catch {
    return '';
  }
}

function listProc(path: string): string[] {
  try {
    return readdirSync(`/proc/${path}`);
  } catch {
    return [];
  }
}
