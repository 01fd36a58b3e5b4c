// The usual round: the scenario's load for some seconds, and what it cost the proxy.

import { runLoad } from '../load/run-load.ts';
import type { Round } from '../round.ts';
import { account } from './account.ts';
import type { Turn } from './procedure.ts';

/** CPU time per request, throughput, latency, memory, and on Node what was allocated. */
export async function measureLoad({ scope, scenario, running, round, run, proxyCores }: Turn): Promise<Round> {
  const { result, figures, marks } = await account(running, proxyCores, run.seconds, () =>
    runLoad(scope, scenario.load, { ...run, port: running.port }),
  );
  const { requests, latency, errors } = result;
  const offered = run.ratePerSecond === null ? {} : { offeredPerSecond: run.ratePerSecond };
  return { peer: running.peer.name, round, requests, figures: { ...figures, ...offered }, latency, errors, marks };
}
