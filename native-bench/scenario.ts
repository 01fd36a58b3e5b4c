// What one scenario is: a load, how it is measured, the peers that are worth comparing under it, and what Millrace is to
// reach. Each stands in its own file in scenarios/, catalogue.ts lists them.

import type { FigureName } from './figures.ts';
import type { Load } from './load/load.ts';
import type { Setup } from './peers/peer.ts';

/**
 * How a round is taken: `load` puts the load on for some seconds; `idle` opens connections and weighs them; `slow-clients`
 * compares quick clients with and without slow ones beside them; `overload` offers more than the proxy can take; `start`
 * starts it; `workers` compares it with two workers to itself with one.
 */
export type ProcedureName = 'load' | 'idle' | 'slow-clients' | 'overload' | 'start' | 'workers';

export interface Scenario {
  readonly name: string;
  /** One line for the head of its table. */
  readonly title: string;
  readonly setup: Setup;
  readonly load: Load;
  readonly procedure: ProcedureName;
  /** Names of peers in the order in which they take turns. */
  readonly peers: readonly string[];
  /** The figure that is compared between peers, ratio by ratio. */
  readonly headline: FigureName;
  /** Figures that its table shows, the headline among them, in this order. */
  readonly columns: readonly FigureName[];
  readonly targets: readonly Target[];
  /** Why it cannot run yet, as in "TLS is not built yet"; null where it can. */
  readonly unbuilt: string | null;
}

/** What Millrace is to reach: its `figure`, divided by `peer`'s in the same round where one is named, within the bound. */
export interface Target {
  readonly figure: FigureName;
  readonly peer: string | null;
  /** In the figure's base unit, or a ratio where a peer is named. Exactly one of both is given. */
  readonly atMost?: number;
  readonly atLeast?: number;
}

/** The peer that targets speak of. */
export const SUBJECT = 'millrace';

/** The columns of a scenario that is about CPU time per request. */
export const LOAD_COLUMNS: readonly FigureName[] = [
  'cpuMicros',
  'userMicros',
  'kernelMicros',
  'proxyShare',
  'requestsPerSecond',
  'p50Micros',
  'p99Micros',
  'residentBytes',
];
