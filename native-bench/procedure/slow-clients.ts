// Whether slow clients are felt by quick ones: the scenario's load at an even pace, first alone, then while a crowd drips
// its requests in byte by byte or reads its replies as slowly. An open loop, so that a stall is counted for every request
// that it delays.

import { setTimeout as delay } from 'node:timers/promises';
import { type Crowd, startCrowd } from '../load/crowd.ts';
import { type LoadErrors, type LoadResult, latencyAt } from '../load/load.ts';
import { runLoad } from '../load/run-load.ts';
import type { Round } from '../round.ts';
import { account } from './account.ts';
import type { Turn } from './procedure.ts';

/** p99 of the quick clients with the slow ones divided by that without. Throws when the slow ones do not get in. */
export async function measureSlowClients(turn: Turn): Promise<Round> {
  const { scope, scenario, running, round, proxyCores } = turn;
  const run = { ...turn.run, generator: 'own', ratePerSecond: turn.run.ratePerSecond ?? RATE_PER_SECOND } as const;
  const load = (): Promise<LoadResult> => runLoad(scope, scenario.load, { ...run, port: running.port });
  const quiet = await load();
  const connections = slowClients(scenario.load.connections);
  const place = { cores: run.cores, port: running.port, kind: 'drip', connections } as const;
  const crowd: Crowd = await startCrowd(scope, place);
  try {
    // What fits into buffers on the way to slow readers is sent at once and in bulk; that is not what they are feared for.
    await delay(SETTLE_MS);
    const { result, figures, marks } = await account(running, proxyCores, run.seconds, load);
    const quietP99Micros = latencyAt(quiet.latency, 0.99);
    return {
      peer: running.peer.name,
      round,
      requests: result.requests,
      figures: { ...figures, quietP99Micros, slowdown: latencyAt(result.latency, 0.99) / quietP99Micros },
      latency: result.latency,
      errors: add(quiet.errors, result.errors),
      // So little CPU time is used at an even pace that its resolution is beside the point.
      marks: marks.filter((mark) => mark !== 'coarse'),
    };
  } finally {
    await crowd.close();
  }
}

/** 2,000 beside the usual 64 quick ones, and fewer beside fewer. */
export function slowClients(quick: number): number {
  return Math.min(Math.round((quick * 2_000) / 64), 2_000);
}

const SETTLE_MS = 2_000;
/** A pace that no proxy here finds hard. */
const RATE_PER_SECOND = 2_000;

function add(one: LoadErrors, other: LoadErrors): LoadErrors {
  return {
    connect: one.connect + other.connect,
    read: one.read + other.read,
    write: one.write + other.write,
    timeout: one.timeout + other.timeout,
    status: one.status + other.status,
  };
}
