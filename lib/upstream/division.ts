// Limits of a cluster divided among event loops: each keeps to its part by itself, so that none has to ask the others.

import type { ClusterOptions } from './options.ts';

/** The options of event loop `place` of `count`: its parts add up to the whole, but are never less than one. */
export function divideCluster(options: ClusterOptions, place: number, count: number): ClusterOptions {
  if (count === 1) return options;
  const part = (whole: number): number => divide(whole, place, count);
  const { pool, adaptive } = options;
  return {
    ...options,
    requests: part(options.requests),
    pool: { ...pool, idle: part(pool.idle), max: part(pool.max), queue: part(pool.queue), warm: part(pool.warm) },
    adaptive: adaptive === null ? null : { ...adaptive, min: part(adaptive.min), max: part(adaptive.max) },
  };
}

/** 0 means that there is no limit, or none of something, and stays so. */
function divide(whole: number, place: number, count: number): number {
  if (whole === 0) return 0;
  return Math.max(1, Math.floor(whole / count) + (place < whole % count ? 1 : 0));
}
