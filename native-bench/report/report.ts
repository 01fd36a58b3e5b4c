// A whole run as plain data: what the tables, the pages, the JSON file and the trend are made from. It can be written as
// JSON and read back without loss.

import type { FigureName } from '../figures.ts';
import type { Machine } from '../host/machine.ts';
import type { LatencyPoint } from '../load/load.ts';
import type { Mark, Round } from '../round.ts';
import type { Target } from '../scenario.ts';
import type { Spread } from './statistics.ts';

/** Raised when a reader of older files would misunderstand newer ones. */
export const REPORT_FORMAT = 1;

export interface Report {
  readonly format: typeof REPORT_FORMAT;
  /** When the run began: ISO 8601, UTC. */
  readonly startedAt: string;
  readonly machine: Machine;
  /** Commit of Millrace that was measured, with `+` behind it when files had been changed; null outside a checkout. */
  readonly revision: string | null;
  /** Version texts of everything that took part. */
  readonly versions: readonly string[];
  /** The command that was run. */
  readonly command: string;
  /** In words: how the cores were divided. */
  readonly cores: string;
  readonly plan: { readonly rounds: number; readonly seconds: number; readonly warmUpSeconds: number };
  /** Event loops, threads or worker processes that each proxy had. */
  readonly workers: number;
  readonly scenarios: readonly ScenarioReport[];
}

export interface ScenarioReport {
  readonly name: string;
  readonly title: string;
  readonly headline: FigureName;
  readonly columns: readonly FigureName[];
  /** Why nothing was measured (a feature that is not built yet, an origin that did not start); null when it was. */
  readonly omitted: string | null;
  /** Requests a second that the load generator reaches without any proxy; null when that was not measured. */
  readonly originPerSecond: number | null;
  /** In the order in which the peers took part. */
  readonly rows: readonly Row[];
  readonly verdicts: readonly Verdict[];
  /** What a reader must know beside the table, a sentence each. */
  readonly remarks: readonly string[];
  readonly rounds: readonly Round[];
}

/** One peer in one scenario. Spreads are over its rounds. */
export interface Row {
  readonly peer: string;
  readonly rounds: number;
  readonly figures: { readonly [Name in FigureName]?: Spread };
  readonly errors: number;
  /** In how many rounds each mark was given; marks that never were are left out. */
  readonly marks: { readonly [Name in Mark]?: number };
  /** Millrace's headline figure divided by this peer's, round by round. Null for Millrace itself and when one is missing. */
  readonly ratio: Spread | null;
  /** Throughput as a share of what the load generator reaches without a proxy. */
  readonly originShare: number | null;
  /** At each share the median of the rounds. */
  readonly latency: readonly LatencyPoint[];
}

/** A target and what came of it. */
export interface Verdict {
  readonly target: Target;
  /** The figure, or the ratio round by round; null when it was not measured. */
  readonly value: Spread | null;
  /** By the median; null when there is no value. */
  readonly reached: boolean | null;
}
