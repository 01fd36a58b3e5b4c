// What every balancing policy is: a choice among the endpoints that a cluster publishes. Made when that changes, never on
// the way of a request, and asked once per exchange or tunnel, allocating nothing.

import type { Endpoint } from './endpoint.ts';
import type { HashOptions, Policy } from './options.ts';
import { First } from './picker/first.ts';
import { Hash } from './picker/hash.ts';
import { Latency } from './picker/latency.ts';
import { LeastRequests } from './picker/least-requests.ts';
import { RoundRobin } from './picker/round-robin.ts';
import { SmoothRoundRobin } from './picker/smooth-round-robin.ts';
import { Stride } from './picker/stride.ts';
import { TwoChoices } from './picker/two-choices.ts';

/** An endpoint that may be chosen, and its share: above 0, relative to the others. */
export interface Candidate {
  readonly endpoint: Endpoint;
  readonly weight: number;
}

export interface Picker {
  /** An endpoint, other than `avoid` if there is another. `hash`: 32 bits of what `hash` goes by. Null only without candidates. */
  pick(avoid: Endpoint | null, hash: number): Endpoint | null;
  /** The next best by the same policy, of those that `accepts` takes; slower than `pick`. Null when it takes none. */
  other(hash: number, accepts: (endpoint: Endpoint) => boolean): Endpoint | null;
}

/** Up to this many all endpoints are compared; beyond, choosing must not take longer the more there are. */
const SMALL = 16;

/**
 * The picker for a policy; `hash` is what it needs to be `hash`. Those that take turns go on where `before` was, if they
 * can, and else begin at `start`, 0 to 1: if each began with the first, those that are published often would choose nobody
 * else.
 */
export function createPicker(
  policy: Policy,
  hash: HashOptions | null,
  candidates: readonly Candidate[],
  before: Picker | null = null,
  start = 0,
): Picker {
  switch (policy) {
    case 'least-requests':
    case 'least-connections':
      return candidates.length <= SMALL ? new LeastRequests(candidates, before, start) : new TwoChoices(candidates);
    case 'random':
      return new TwoChoices(candidates);
    case 'hash':
      return new Hash(candidates, hash?.bound ?? 0);
    case 'first':
      return new First(candidates);
    case 'latency':
      return new Latency(candidates);
    case 'round-robin': {
      const equal = candidates.every(({ weight }) => weight === candidates[0]!.weight);
      if (equal) return new RoundRobin(candidates, before, start);
      if (candidates.length <= SMALL) return new SmoothRoundRobin(candidates, before, start);
      return new Stride(candidates, before, start);
    }
  }
}
