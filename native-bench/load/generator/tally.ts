// What a thread has counted so far. Plain numbers, raised where things happen.

import { latencyHistogram, recordMicros } from '../latency.ts';
import type { HandshakeCounts, LoadErrors } from '../load.ts';
import type { ThreadOutcome } from './spec.ts';

/** A request, or a connection that waits for one, may take this long. */
export const TIMEOUT_MS = 5_000;

/** A connection that failed is dialed again after this long: a dead proxy is not worth a busy loop. */
export const PAUSE_MS = 50;

export class Tally {
  requests = 0;
  bytes = 0;
  unsent = 0;
  /** Clients between a failure and their next connection. */
  pausing = 0;
  /** How long anybody waits for an answer, from when it was due. */
  readonly patienceMs: number;
  /** When the last good answer came. */
  lastMs = 0;
  readonly errors: { -readonly [Kind in keyof LoadErrors]: number } = {
    connect: 0,
    read: 0,
    write: 0,
    timeout: 0,
    status: 0,
  };
  readonly #latency = latencyHistogram();

  constructor(patienceMs = TIMEOUT_MS) {
    this.patienceMs = patienceMs;
  }

  /** An answer as it should be, at `nowMs` to what was due at `dueMs`. Nobody is there any more for one that is late. */
  answered(dueMs: number, nowMs: number): void {
    if (nowMs - dueMs > this.patienceMs) {
      this.gaveUp(dueMs, nowMs);
      return;
    }
    this.requests++;
    this.lastMs = nowMs;
    recordMicros(this.#latency, (nowMs - dueMs) * 1000);
  }

  /** What was due at `dueMs` has had no answer for too long. It took at least this long, and is not left out. */
  gaveUp(dueMs: number, nowMs: number): void {
    this.errors.timeout++;
    recordMicros(this.#latency, (nowMs - dueMs) * 1000);
  }

  /** A socket that failed while somebody waited for it. */
  failed(error: NodeJS.ErrnoException | null, connected: boolean): void {
    if (!connected) this.errors.connect++;
    else if (error?.syscall === 'write') this.errors.write++;
    else this.errors.read++;
  }

  outcome(seconds: number, handshakes: HandshakeCounts): ThreadOutcome {
    const { requests, bytes, errors, unsent } = this;
    return { requests, bytes, seconds, errors, unsent, latency: this.#latency, handshakes };
  }
}
