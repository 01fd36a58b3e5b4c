// Axes: where a value lies between the two ends of a chart, and at which values lines are drawn. Pure numbers.

/** Maps values to shares of the chart's extent, from 0 to 1; what lies outside is put on the edge. */
export interface Scale {
  readonly ticks: readonly number[];
  place(value: number): number;
}

/**
 * Around 1 on a logarithmic axis, as far as `values` reach and at least from 0.8 to 1.25, within 1/100 and 100. `margin`:
 * the share of the extent that is kept free at each side; `least`: the least that one side of 1 has of the other's room.
 */
export function ratioScale(values: readonly number[], margin: number, least = 0): Scale {
  const usable = values.filter((value) => value > 0 && Number.isFinite(value));
  const below = Math.max(FARTHEST_RATIO_BELOW, Math.min(0.8, ...usable));
  const above = Math.min(1 / FARTHEST_RATIO_BELOW, Math.max(1.25, ...usable));
  // Neither side may vanish beside the other, however one-sided the values are.
  const lowest = Math.min(below, above ** -least);
  const highest = Math.max(above, below ** -least);
  const wide = highest / lowest > 8;
  const ticks = (wide ? WIDE_TICKS : NARROW_TICKS).filter((tick) => tick >= lowest && tick <= highest);
  return { ticks, place: logPlace(lowest, highest, margin) };
}

/** Logarithmic from the decade below the lowest to a little above the highest of `values`, which are above 0. */
export function logScale(values: readonly number[]): Scale {
  const usable = values.filter((value) => value > 0 && Number.isFinite(value));
  const highest = Math.max(...usable) * 1.15;
  const lowest = Math.min(Math.min(...usable) / 1.15, highest / 10);
  const ticks: number[] = [];
  const decades = Math.log10(highest / lowest);
  const steps = decades > 3 ? [1] : decades > 1.5 ? [1, 3] : [1, 2, 5];
  for (let decade = Math.floor(Math.log10(lowest)); decade <= Math.log10(highest); decade++) {
    for (const step of steps) ticks.push(step * 10 ** decade);
  }
  return { ticks: ticks.filter((tick) => tick >= lowest && tick <= highest), place: logPlace(lowest, highest, 0) };
}

/** Linear from 0 to the highest of `values`, with a few round ticks. */
export function linearScale(values: readonly number[]): Scale {
  // Where everything is 0 any extent will do.
  const highest = Math.max(0, ...values.filter(Number.isFinite)) || 1;
  const rough = highest / 4;
  const decade = 10 ** Math.floor(Math.log10(rough));
  const step = decade * (STEPS.find((candidate) => candidate * decade >= rough) ?? 10);
  const ticks: number[] = [];
  for (let count = 0; count * step <= highest; count++) ticks.push(count * step);
  return { ticks, place: (value) => clamp(value / highest) };
}

/**
 * The percentile axis: even steps for 0, 90, 99, 99.9 and 99.99 %, so that the tail has the room that it deserves; the
 * slowest of all, which has no place on such an axis, stands at the end.
 */
export function percentilePlace(share: number): number {
  if (share >= 1) return 1;
  return (clamp(-Math.log10(1 - share) / NINES) * NINES) / (NINES + BEYOND);
}

const FARTHEST_RATIO_BELOW = 0.01;
const WIDE_TICKS = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100];
const NARROW_TICKS = [0.2, 0.25, 0.33, 0.5, 0.67, 0.8, 1, 1.25, 1.5, 2, 3, 4, 5];
const STEPS = [1, 2, 2.5, 5, 10];
const NINES = 4;
/** Room for the slowest of all, in steps of the axis. */
const BEYOND = 0.9;

function logPlace(lowest: number, highest: number, margin: number): (value: number) => number {
  const range = Math.log(highest / lowest);
  return (value) => margin + clamp(Math.log(Math.max(value, Number.MIN_VALUE) / lowest) / range) * (1 - 2 * margin);
}

function clamp(share: number): number {
  return Math.min(1, Math.max(0, share));
}
