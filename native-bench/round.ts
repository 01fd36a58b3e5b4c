// What one round against one peer gave.

import type { Figures } from './figures.ts';
import type { LatencyPoint, LoadErrors } from './load/load.ts';

/**
 * What makes a round doubtful. `errors`: some requests went wrong. `disturbed`: others used the proxy's core as well.
 * `coarse`: less CPU time was used than the kernel's clock can tell within a percent. `unsent`: requests of an open loop
 * found every connection busy and were never sent. `dropped`: the proxy closed connections of slow clients.
 */
export type Mark = 'errors' | 'disturbed' | 'coarse' | 'unsent' | 'dropped';

export interface Round {
  readonly peer: string;
  /** From 1; rounds of different peers with the same number were taken one right after the other. */
  readonly round: number;
  /** Requests answered well. */
  readonly requests: number;
  readonly figures: Figures;
  /** Empty where the procedure measures no latency. */
  readonly latency: readonly LatencyPoint[];
  readonly errors: LoadErrors;
  readonly marks: readonly Mark[];
}
