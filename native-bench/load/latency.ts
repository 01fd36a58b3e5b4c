// Latencies collected in a histogram of constant relative precision, and read out at the shares that all generators give.

import { createHistogram, type RecordableHistogram } from 'node:perf_hooks';
import { LATENCY_SHARES, type LatencyPoint } from './load.ts';

/** An empty histogram of whole microseconds, 1 to a minute, exact to three figures. */
export function latencyHistogram(): RecordableHistogram {
  return createHistogram({ lowest: 1, highest: HIGHEST_MICROS, figures: 3 });
}

/** Adds one latency; what lies outside the range counts as its nearest end. */
export function recordMicros(histogram: RecordableHistogram, micros: number): void {
  histogram.record(micros < 1 ? 1 : micros > HIGHEST_MICROS ? HIGHEST_MICROS : Math.round(micros));
}

/** What the histogram says at LATENCY_SHARES; empty when it holds nothing. */
export function latencyPoints(histogram: RecordableHistogram): LatencyPoint[] {
  if (histogram.count === 0) return [];
  return LATENCY_SHARES.map((share) => ({ share, micros: microsAt(histogram, share) }));
}

const HIGHEST_MICROS = 60_000_000;

function microsAt(histogram: RecordableHistogram, share: number): number {
  if (share === 0) return histogram.min;
  return share === 1 ? histogram.max : histogram.percentile(share * 100);
}
