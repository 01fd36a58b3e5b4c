// How many connections this process can hold, and whether that is fewer than its listeners may have.

import type { ListenerOptions } from './options.ts';

/** For files, the log, event loops and ports. */
const KEPT_DESCRIPTORS = 128;

export interface Capacity {
  /** Each has a descriptor, and mostly another one towards an endpoint. */
  readonly connections: number;
  /** Descriptors that all listeners together may need; infinite where one sets no limit. */
  readonly wanted: number;
  readonly enough: boolean;
}

/** Of a process that may have so many descriptors. */
export function capacityOf(listeners: Iterable<Pick<ListenerOptions, 'limits'>>, descriptors: number): Capacity {
  let wanted = KEPT_DESCRIPTORS;
  for (const { limits } of listeners) {
    wanted += limits.connections === 0 ? Number.POSITIVE_INFINITY : limits.connections * 2;
  }
  return {
    connections: Math.max(0, Math.floor((descriptors - KEPT_DESCRIPTORS) / 2)),
    wanted,
    enough: wanted <= descriptors,
  };
}
