// Whether slow clients are felt by quick ones: the scenario's load at an even pace, first alone, then while a crowd drips
// its requests in byte by byte or reads its replies as slowly. An open loop, so that a stall is counted for every request
// that it delays.

import { setTimeout as delay } from 'node:timers/promises';
import { type Crowd, startCrowd } from '../load/crowd.ts';
import { addErrors, type LoadResult, latencyAt } from '../load/load.ts';
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
  const crowd = await startCrowd(scope, place);
  const { result, figures, marks } = await beside(crowd, async () => {
    // What fits into buffers on the way to slow readers is sent at once and in bulk; that is not what they are feared for.
    await delay(SETTLE_MS);
    return account(running, proxyCores, run.seconds, load);
  });
  const { closed } = await crowd.close();
  const quietP99Micros = latencyAt(quiet.latency, 0.99);
  return {
    peer: running.peer.name,
    round,
    requests: result.requests,
    figures: { ...figures, quietP99Micros, slowdown: latencyAt(result.latency, 0.99) / quietP99Micros },
    latency: result.latency,
    errors: addErrors(quiet.errors, result.errors),
    // So little CPU time is used at an even pace that its resolution is beside the point.
    marks: [...marks.filter((mark) => mark !== 'coarse'), ...(closed > 0 ? (['dropped'] as const) : [])],
  };
}

/** 2,000 beside the usual 64 quick ones, and fewer beside fewer. */
export function slowClients(quick: number): number {
  return Math.min(Math.round((quick * 2_000) / 64), 2_000);
}

const SETTLE_MS = 2_000;
/** A pace that no proxy here finds hard. */
const RATE_PER_SECOND = 2_000;

/** What `work` gives. When it fails the crowd is sent away first, which may fail as well: that is not what is told. */
async function beside<Result>(crowd: Crowd, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    await crowd.close().catch(() => {});
    throw error;
  }
}
