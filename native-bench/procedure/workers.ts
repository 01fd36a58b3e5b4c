// What a second worker costs: CPU time per request of a proxy with two, and of the same proxy with one, on the same cores.
// Where nothing is shared in the way of requests both are alike, and throughput grows with the cores.

import { addErrors, type LoadResult } from '../load/load.ts';
import { runLoad } from '../load/run-load.ts';
import type { Round } from '../round.ts';
import { type Accounted, account } from './account.ts';
import type { Turn } from './procedure.ts';

/** Throws when the peer has no workers. */
export async function measureWorkers(turn: Turn): Promise<Round> {
  const { scope, scenario, running, round, run, proxyCores, warmUpSeconds, startAnew } = turn;
  const measure = async (workers: number): Promise<Accounted> => {
    const fresh = await startAnew(workers);
    const load = (seconds: number): Promise<LoadResult> =>
      runLoad(scope, scenario.load, { ...run, seconds, port: fresh.port });
    await load(WARM_UPS * warmUpSeconds);
    const accounted = await account(fresh, proxyCores, run.seconds, () => load(run.seconds));
    await scope.stop(fresh.child);
    return accounted;
  };
  // What the machine does meanwhile must not always meet the same.
  const early = round % 2 === 0 ? await measure(1) : null;
  const two = await measure(2);
  const one = early ?? (await measure(1));
  const oneWorkerMicros = one.figures.cpuMicros!;
  return {
    peer: running.peer.name,
    round,
    requests: two.result.requests,
    figures: { ...two.figures, oneWorkerMicros, workersCost: two.figures.cpuMicros! / oneWorkerMicros },
    latency: two.result.latency,
    errors: addErrors(one.result.errors, two.result.errors),
    marks: [...new Set([...one.marks, ...two.marks])],
  };
}

/** About how many a round takes. */
export function secondsOfWorkers(seconds: number): number {
  return 2 * (WARM_UPS * Math.min(seconds, 2) + seconds + START_SECONDS);
}

/** Each worker compiles for itself, and sees half of the load. */
const WARM_UPS = 6;
const START_SECONDS = 1;
