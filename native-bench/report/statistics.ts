// The little statistics a benchmark table needs: the middle and the edges of a few rounds, and ratios taken round by
// round. Knows nothing of proxies; rounds are numbers here.

/** The median of some rounds with the lowest and the highest of them, all in the unit of the values. */
export interface Spread {
  readonly median: number;
  readonly lowest: number;
  readonly highest: number;
}

/** Middle and edges of `values`; values that are not finite (a round without requests) are left out. Null when none is left. */
export function spread(values: readonly number[]): Spread | null {
  const sorted = values.filter((value) => Number.isFinite(value)).sort((a, b) => a - b);
  const lowest = sorted[0];
  const highest = sorted.at(-1);
  if (lowest === undefined || highest === undefined) return null;
  const middle = sorted.length >> 1;
  const upper = sorted[middle]!;
  const median = sorted.length % 2 === 1 ? upper : (sorted[middle - 1]! + upper) / 2;
  return { median, lowest, highest };
}

/** One value of one round, so that rounds of two peers can be matched. */
export interface RoundValue {
  readonly round: number;
  readonly value: number;
}

/**
 * `subject / peer` for every round that both have. Rounds are interleaved, so the two values of one round were taken
 * within seconds of each other: what slows the machine for a while slows both, and the ratio stays put where the two
 * medians would drift apart. Rounds whose ratio is not a finite number are left out.
 */
export function pairedRatios(subject: readonly RoundValue[], peer: readonly RoundValue[]): number[] {
  const byRound = new Map(peer.map(({ round, value }) => [round, value]));
  const ratios: number[] = [];
  for (const { round, value } of subject) {
    const other = byRound.get(round);
    if (other !== undefined) ratios.push(value / other);
  }
  return ratios.filter((ratio) => Number.isFinite(ratio));
}
