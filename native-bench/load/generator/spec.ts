// What our generator is told and what each of its threads gives back.

import type { RecordableHistogram } from 'node:perf_hooks';
import type { HandshakeCounts, Load, LoadErrors } from '../load.ts';

export interface GeneratorSpec {
  readonly load: Load;
  readonly port: number;
  readonly seconds: number;
  /** Of all threads together; null for a closed loop. */
  readonly ratePerSecond: number | null;
  readonly threads: number;
  /** Whose child the generator is: it does not outlive that process. */
  readonly parentPid: number;
}

/** One thread's part: so many of the connections, and every `threads`th of the requests that are due. */
export interface ThreadSpec extends GeneratorSpec {
  readonly thread: number;
}

/** What one thread saw. */
export interface ThreadOutcome {
  readonly requests: number;
  readonly bytes: number;
  readonly seconds: number;
  readonly errors: LoadErrors;
  readonly unsent: number;
  readonly latency: RecordableHistogram;
  /** None without TLS. */
  readonly handshakes: HandshakeCounts;
}

/** How many of `total` connections or requests are the business of `thread`. */
export function partOf(total: number, thread: number, threads: number): number {
  return Math.floor(total / threads) + (thread < total % threads ? 1 : 0);
}
