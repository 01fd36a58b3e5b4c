// What a proxy was charged for some work: the kernel's clocks and counters, and the garbage collector's where there is one,
// read before and after. Every procedure measures with this.

import { setTimeout as delay } from 'node:timers/promises';
import type { FigureName, Figures } from '../figures.ts';
import { busyTicks, clockTicksPerSecond, contextSwitches, cpuTicks, memoryOf } from '../host/accounting.ts';
import { probeSocket, watchHeap } from '../host/heap.ts';
import { countErrors, type LatencyPoint, type LoadResult, latencyAt } from '../load/load.ts';
import type { RunningPeer } from '../peers/peer.ts';
import type { Mark } from '../round.ts';

/** A load that was put on a proxy, and what that cost it. */
export interface Accounted {
  readonly result: LoadResult;
  readonly figures: Figures;
  readonly marks: readonly Mark[];
}

/**
 * Runs `work`, which keeps `running` busy for about `seconds`, and tells what it cost. `proxyCores` are those that the
 * proxy has to itself, empty when it has none.
 */
export async function account(
  running: RunningPeer,
  proxyCores: readonly number[],
  seconds: number,
  work: () => Promise<LoadResult>,
): Promise<Accounted> {
  const pid = running.child.pid;
  const heap = running.peer.node ? await watchHeap(probeSocket(running.folder)) : null;
  const before = readClocks(pid, proxyCores);
  // Memory is read while connections and buffers are in use.
  const memory = delay(seconds * RESIDENT_AT * 1000).then(() => memoryOf(pid));
  const [result, { residentBytes, peakBytes }] = await Promise.all([work(), memory]);
  // A generator drops its connections when it ends; closing them is work of this round too.
  await delay(SETTLE_MS);
  const after = readClocks(pid, proxyCores);
  const use = (await heap?.stop()) ?? null;

  const ticks = clockTicksPerSecond();
  const user = after.cpu.user - before.cpu.user;
  const kernel = after.cpu.kernel - before.cpu.kernel;
  const microsPerTick = 1e6 / ticks / result.requests;
  const elapsedTicks = ((after.atMs - before.atMs) / 1000) * ticks;
  const otherTicks = Math.max(after.busy - before.busy - user - kernel, 0);
  const otherShare = proxyCores.length === 0 ? 0 : otherTicks / elapsedTicks / proxyCores.length;
  const cores = Math.max(proxyCores.length, 1);
  const figures = {
    cpuMicros: (user + kernel) * microsPerTick,
    userMicros: user * microsPerTick,
    kernelMicros: kernel * microsPerTick,
    // Of the time under load: starting the generator and letting connections close are not the proxy's leisure.
    proxyShare: Math.min((user + kernel) / (result.seconds * ticks * cores), 1),
    requestsPerSecond: result.requests / result.seconds,
    residentBytes,
    peakResidentBytes: peakBytes,
    switches: (after.switches - before.switches) / result.requests,
    ...latencyFigures(result.latency),
    ...(use !== null && {
      allocatedBytes: use.allocatedBytes / result.requests,
      gcPauseMicros: use.longestMicros,
      gcShare: use.totalMicros / 1e6 / result.seconds,
    }),
  };
  return { result, figures, marks: marksOf({ ...result, otherShare, ticks: user + kernel }) };
}

/** The figures that a latency curve gives; none of an empty one. */
export function latencyFigures(latency: readonly LatencyPoint[]): Figures {
  if (latency.length === 0) return {};
  const figures: { [Name in FigureName]?: number } = {};
  for (const [name, share] of LATENCY_FIGURES) figures[name] = latencyAt(latency, share);
  return figures;
}

/** Which marks a round gets. */
export function marksOf(round: Pick<LoadResult, 'errors' | 'unsent'> & { otherShare: number; ticks: number }): Mark[] {
  const marks: Mark[] = [];
  if (countErrors(round.errors) > 0) marks.push('errors');
  if (round.unsent > 0) marks.push('unsent');
  if (round.otherShare > DISTURBED_SHARE) marks.push('disturbed');
  if (round.ticks < COARSE_TICKS) marks.push('coarse');
  return marks;
}

const LATENCY_FIGURES = [
  ['p50Micros', 0.5],
  ['p90Micros', 0.9],
  ['p99Micros', 0.99],
  ['p999Micros', 0.999],
  ['maxMicros', 1],
] as const;

const SETTLE_MS = 150;
const RESIDENT_AT = 0.8;
/** /proc/stat is sampled by tick, so a few percent of difference mean nothing. */
const DISTURBED_SHARE = 0.1;
const COARSE_TICKS = 100;

interface Clocks {
  readonly cpu: { readonly user: number; readonly kernel: number };
  readonly busy: number;
  readonly switches: number;
  readonly atMs: number;
}

function readClocks(pid: number, cores: readonly number[]): Clocks {
  return { cpu: cpuTicks(pid), busy: busyTicks(cores), switches: contextSwitches(pid), atMs: performance.now() };
}
