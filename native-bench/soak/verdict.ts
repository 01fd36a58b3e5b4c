// What may grow under soak and by how much. Numbers in, sentences out.

import type { Counters } from './proxy.ts';

/** The proxy at one moment. */
export interface Sample extends Counters {
  readonly phase: 'warm-up' | 'load' | 'quiet';
  readonly seconds: number;
  readonly residentBytes: number;
  readonly descriptors: number;
}

const MEBIBYTE = 1024 * 1024;

/**
 * From one quiet moment to the other. Resident memory keeps the pages that were ever needed at once, and the engine
 * optimises code now and then, so it has some room (3 MiB were measured in 3 minutes); the heap is measured after a
 * collection; what is counted one by one has no room, but for a descriptor or two that Node opens when it likes.
 */
const QUIET: readonly [keyof Counters | 'residentBytes' | 'descriptors', number, string][] = [
  ['residentBytes', 12 * MEBIBYTE, 'resident memory'],
  ['heapBytes', 3 * MEBIBYTE, 'heap'],
  ['externalBytes', 3 * MEBIBYTE, 'memory outside of the heap'],
  ['descriptors', 2, 'descriptors'],
  ['slabs', 0, 'slabs'],
  ['deadlines', 0, 'deadlines'],
];

/** Medians of the first and the last third of the loaded time. The load is the same all the time, but for chance. */
const LOADED: readonly [keyof Counters | 'residentBytes' | 'descriptors', number, number, string][] = [
  ['residentBytes', 1, 16 * MEBIBYTE, 'resident memory'],
  ['heapBytes', 1, 4 * MEBIBYTE, 'heap'],
  ['descriptors', 1.25, 16, 'descriptors'],
  ['slabs', 1.25, 32, 'slabs'],
  ['deadlines', 1.25, 32, 'deadlines'],
];

/** Says what has grown beyond its bound, or was not given back. */
export function judge(before: Sample, loaded: readonly Sample[], after: Sample): string[] {
  const faults: string[] = [];
  for (const [key, room, name] of QUIET) {
    const grown = after[key] - before[key];
    if (grown > room) faults.push(`${name}: ${after[key]} when quiet, ${before[key]} after the warm-up`);
  }
  for (const key of ['downstream', 'upstream', 'active', 'waiting'] as const) {
    if (after[key] !== 0) faults.push(`${key}: ${after[key]} although every client is gone`);
  }
  const third = Math.floor(loaded.length / 3);
  if (third === 0) return faults;
  for (const [key, times, room, name] of LOADED) {
    const first = median(loaded.slice(0, third).map((sample) => sample[key]));
    const last = median(loaded.slice(-third).map((sample) => sample[key]));
    if (last > first * times + room)
      faults.push(`${name} under load: ${last} in the last third, ${first} in the first`);
  }
  return faults;
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[sorted.length >> 1]!;
}
