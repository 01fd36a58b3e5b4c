// One round against one peer: load for some seconds, and the CPU time that the kernel charged the proxy meanwhile.

import { setTimeout as delay } from 'node:timers/promises';
import { busyTicks, clockTicksPerSecond, cpuTicks, residentBytes } from './accounting.ts';
import { countErrors, type Load, type LoadErrors, type LoadRun, runLoad } from './load.ts';
import type { RunningPeer } from './peer.ts';
import type { Scope } from './scope.ts';

/**
 * What makes a round doubtful. `errors`: some requests went wrong. `disturbed`: others used the proxy's core as well.
 * `coarse`: less CPU time was used than the kernel's clock can tell within a percent.
 */
export type Mark = 'errors' | 'disturbed' | 'coarse';

/** Figures of one round. CPU times are microseconds per request, of all threads and children of the proxy. */
export interface Round {
  readonly peer: string;
  /** From 1; rounds of different peers with the same number were taken one right after the other. */
  readonly round: number;
  readonly requests: number;
  readonly requestsPerSecond: number;
  readonly cpuMicros: number;
  readonly userMicros: number;
  readonly kernelMicros: number;
  /** Share of the time under load in which the proxy was busy, 0 to 1. */
  readonly proxyShare: number;
  /** Share of that core that anything else used, 0 to 1. */
  readonly otherShare: number;
  readonly p50Micros: number;
  readonly p99Micros: number;
  readonly residentBytes: number;
  readonly errors: LoadErrors;
  readonly marks: readonly Mark[];
}

/** Runs one round. `proxyCores` are those the peer is pinned to, empty when it is not. */
export async function measureRound(
  scope: Scope,
  running: RunningPeer,
  work: { readonly round: number; readonly load: Load; readonly run: Omit<LoadRun, 'port'> },
  proxyCores: readonly number[],
): Promise<Round> {
  const { round, load, run } = work;
  const pid = running.child.pid;
  const before = readClocks(pid, proxyCores);
  const loading = runLoad(scope, load, { ...run, port: running.port });
  // Memory is read while connections and buffers are in use.
  const resident = delay(run.seconds * RESIDENT_AT * 1000).then(() => residentBytes(pid));
  const [result, bytes] = await Promise.all([loading, resident]);
  // wrk drops its connections when it ends; closing them is work of this round too.
  await delay(SETTLE_MS);
  const after = readClocks(pid, proxyCores);

  const ticks = clockTicksPerSecond();
  const microsPerTick = 1e6 / ticks / result.requests;
  const user = after.cpu.user - before.cpu.user;
  const kernel = after.cpu.kernel - before.cpu.kernel;
  const elapsedTicks = ((after.atMs - before.atMs) / 1000) * ticks;
  const otherTicks = Math.max(after.busy - before.busy - user - kernel, 0);
  const otherShare = proxyCores.length === 0 ? 0 : otherTicks / elapsedTicks / proxyCores.length;
  return {
    peer: running.peer.name,
    round,
    requests: result.requests,
    requestsPerSecond: result.requests / result.seconds,
    cpuMicros: (user + kernel) * microsPerTick,
    userMicros: user * microsPerTick,
    kernelMicros: kernel * microsPerTick,
    // Of the time under load: starting wrk and letting connections close are not the proxy's leisure.
    proxyShare: Math.min((user + kernel) / (result.seconds * ticks), 1),
    otherShare,
    p50Micros: result.p50Micros,
    p99Micros: result.p99Micros,
    residentBytes: bytes,
    errors: result.errors,
    marks: marksOf({ errors: countErrors(result.errors), otherShare, ticks: user + kernel }),
  };
}

/** Which marks a round gets. */
export function marksOf(round: { errors: number; otherShare: number; ticks: number }): Mark[] {
  const marks: Mark[] = [];
  if (round.errors > 0) marks.push('errors');
  if (round.otherShare > DISTURBED_SHARE) marks.push('disturbed');
  if (round.ticks < COARSE_TICKS) marks.push('coarse');
  return marks;
}

const SETTLE_MS = 150;
const RESIDENT_AT = 0.8;
/** /proc/stat is sampled by tick, so a few percent of difference mean nothing. */
const DISTURBED_SHARE = 0.1;
const COARSE_TICKS = 100;

interface Clocks {
  readonly cpu: { readonly user: number; readonly kernel: number };
  readonly busy: number;
  readonly atMs: number;
}

function readClocks(pid: number, cores: readonly number[]): Clocks {
  return { cpu: cpuTicks(pid), busy: busyTicks(cores), atMs: performance.now() };
}
