// What one scenario is: a load, the peers that are worth comparing under it, and what Millrace is to reach. Each stands
// in its own file in scenarios/, catalogue.ts lists them.

import type { Load } from './load.ts';
import type { Protocol } from './peer.ts';

export interface Scenario {
  readonly name: string;
  /** One line for the head of its table. */
  readonly title: string;
  readonly protocol: Protocol;
  readonly load: Load;
  /** Bytes of body that the reply must have: checked once per peer before anything is measured. */
  readonly replyBytes: number;
  /** Bytes of body that each request carries. */
  readonly requestBytes: number;
  /** Names of peers in the order in which they take turns. */
  readonly peers: readonly string[];
  readonly targets: readonly Target[];
}

/** Millrace's CPU time per request is to be at most `atMost` times that of `peer`. */
export interface Target {
  readonly peer: string;
  readonly atMost: number;
}

/** The peer that targets speak of. */
export const SUBJECT = 'millrace';
