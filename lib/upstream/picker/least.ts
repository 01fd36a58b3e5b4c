// The cheapest of those that are left, for policies that compare load, when their own choice cannot be used.

import type { Endpoint } from '../endpoint.ts';
import type { Candidate } from '../picker.ts';

/** What one more exchange costs there, to be compared with others. */
export type Cost = (endpoint: Endpoint, weight: number) => number;

/** Looks at all. Null when `accepts` takes none. */
export function least(
  candidates: readonly Candidate[],
  accepts: (endpoint: Endpoint) => boolean,
  cost: Cost = underWay,
): Endpoint | null {
  let best: Endpoint | null = null;
  let bestCost = 0;
  for (const { endpoint, weight } of candidates) {
    if (!accepts(endpoint)) continue;
    const own = cost(endpoint, weight);
    if (best !== null && own >= bestCost) continue;
    best = endpoint;
    bestCost = own;
  }
  return best;
}

function underWay(endpoint: Endpoint, weight: number): number {
  return (endpoint.active + 1) / weight;
}
