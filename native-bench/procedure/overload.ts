// Whether a proxy keeps working when more is asked of it than it can do: first its peak in a closed loop, then half as
// much again in an open loop, which does not wait for anybody and opens connection after connection, so that what is too
// much reaches the proxy. Goodput is what is answered within a second as a share of the peak.

import { countErrors } from '../load/load.ts';
import { runLoad } from '../load/run-load.ts';
import type { Round } from '../round.ts';
import { account } from './account.ts';
import type { Turn } from './procedure.ts';

/** Goodput under overload, and the latency of what was answered. Throws when the peak cannot be measured. */
export async function measureOverload(turn: Turn): Promise<Round> {
  const { scope, scenario, running, round, proxyCores } = turn;
  const run = { ...turn.run, generator: 'own', port: running.port } as const;
  const peak = await runLoad(scope, scenario.load, { ...run, ratePerSecond: null });
  const peakPerSecond = peak.requests / peak.seconds;
  if (!(peakPerSecond > 0)) throw new Error('answered nothing in the closed loop');
  const ratePerSecond = Math.round(peakPerSecond * OVERLOAD);
  const crowded = { ...scenario.load, connections: Math.min(scenario.load.connections * CROWD, MOST_CONNECTIONS) };
  const { result, figures, marks } = await account(running, proxyCores, run.seconds, () =>
    runLoad(scope, crowded, { ...run, ratePerSecond }),
  );
  const { requests, latency, errors } = result;
  return {
    peer: running.peer.name,
    round,
    requests,
    figures: {
      ...figures,
      peakPerSecond,
      goodputShare: requests / result.seconds / peakPerSecond,
      offeredPerSecond: ratePerSecond,
    },
    latency,
    errors,
    // Requests that time out are what this is about; others are wrong as ever.
    marks: marks.filter((mark) => mark !== 'unsent' && (mark !== 'errors' || errors.timeout < countErrors(errors))),
  };
}

const OVERLOAD = 1.5;
/** As many connections for each of the closed loop's may be open at once under overload. */
const CROWD = 8;
const MOST_CONNECTIONS = 8_000;
