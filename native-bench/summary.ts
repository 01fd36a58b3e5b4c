// From the rounds of a scenario to the rows of its table: medians with spread, ratios round by round, targets judged.
// Numbers only; report.ts gives them their form.

import { countErrors } from './load.ts';
import type { Mark, Round } from './measure.ts';
import type { ScenarioResult } from './run.ts';
import { SUBJECT } from './scenario.ts';
import { pairedRatios, type Spread, spread } from './statistics.ts';

/** One peer in one scenario. Spreads are over its rounds. */
export interface Row {
  readonly peer: string;
  readonly rounds: number;
  readonly cpuMicros: Spread | null;
  readonly userMicros: Spread | null;
  readonly kernelMicros: Spread | null;
  readonly requestsPerSecond: Spread | null;
  /** Share of its core that the proxy used: where it is well below 1, something else was the limit. */
  readonly proxyShare: Spread | null;
  readonly p50Micros: Spread | null;
  readonly p99Micros: Spread | null;
  readonly residentBytes: Spread | null;
  readonly errors: number;
  /** In how many rounds each mark was given; marks that never were are left out. */
  readonly marks: ReadonlyMap<Mark, number>;
  /** Millrace's CPU per request divided by this peer's, round by round. Null for Millrace itself or when one is missing. */
  readonly ratio: Spread | null;
  /** What the ratio is to be at most; null where nothing was promised. */
  readonly target: number | null;
  readonly reached: boolean | null;
  /** Throughput as a share of what the load generator reaches without a proxy. */
  readonly originShare: number | null;
}

/** Rows in the order in which the peers took part. */
export function summarise(result: ScenarioResult): Row[] {
  const peers = [...new Set(result.rounds.map((round) => round.peer))];
  const subject = cpuOf(result.rounds, SUBJECT);
  return peers.map((peer) => {
    const rounds = result.rounds.filter((round) => round.peer === peer);
    const over = (field: NumericField): Spread | null => spread(rounds.map((round) => round[field]));
    const ratio = peer === SUBJECT ? null : spread(pairedRatios(subject, cpuOf(rounds, peer)));
    const target = result.scenario.targets.find((one) => one.peer === peer)?.atMost ?? null;
    const requestsPerSecond = over('requestsPerSecond');
    const ceiling = result.originPerSecond;
    return {
      peer,
      rounds: rounds.length,
      cpuMicros: over('cpuMicros'),
      userMicros: over('userMicros'),
      kernelMicros: over('kernelMicros'),
      requestsPerSecond,
      proxyShare: over('proxyShare'),
      p50Micros: over('p50Micros'),
      p99Micros: over('p99Micros'),
      residentBytes: over('residentBytes'),
      errors: rounds.reduce((sum, round) => sum + countErrors(round.errors), 0),
      marks: countMarks(rounds),
      ratio,
      target,
      reached: ratio === null || target === null ? null : ratio.median <= target,
      originShare: requestsPerSecond === null || ceiling === null ? null : requestsPerSecond.median / ceiling,
    };
  });
}

/** What a reader must know beside the table, a sentence each. */
export function remarks(result: ScenarioResult, rows: readonly Row[]): string[] {
  const lines = result.skipped.map(({ peer, reason }) => `Without ${peer}: ${reason}.`);
  for (const [peer, missing] of result.unequal) {
    lines.push(`${peer} does not add ${missing.join(', ')}: it does less work than the others.`);
  }
  for (const row of rows) {
    if (row.originShare !== null && row.originShare > BOTTLENECK_SHARE) {
      const percent = Math.round(row.originShare * 100);
      lines.push(
        `${row.peer} reached ${percent} % of the throughput that origin and load generator have without a proxy: its requests/s and latency show their limit, not its own; its CPU figures hold.`,
      );
    }
    for (const [mark, count] of row.marks)
      lines.push(`${row.peer}: ${count} of ${row.rounds} rounds ${MEANING[mark]}.`);
  }
  return lines;
}

const BOTTLENECK_SHARE = 0.9;

const MEANING: Readonly<Record<Mark, string>> = {
  errors: 'had errors (marked !)',
  disturbed: "were disturbed by other work on the proxy's core (marked ~)",
  coarse: 'used too little CPU time for a resolution of one percent',
};

type NumericField = {
  [Field in keyof Round]: Round[Field] extends number ? Field : never;
}[keyof Round];

function cpuOf(rounds: readonly Round[], peer: string): { round: number; value: number }[] {
  return rounds.filter((one) => one.peer === peer).map(({ round, cpuMicros }) => ({ round, value: cpuMicros }));
}

function countMarks(rounds: readonly Round[]): Map<Mark, number> {
  const counts = new Map<Mark, number>();
  for (const mark of rounds.flatMap((round) => round.marks)) counts.set(mark, (counts.get(mark) ?? 0) + 1);
  return counts;
}
