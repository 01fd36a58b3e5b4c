// How long exchanges with an endpoint take, as an average that time forgets: peak EWMA.

/** After this time without news a measurement counts for 1/e. */
const MEMORY_MS = 10_000;

export class Pace {
  #ms = 0;
  #seenMs = 0;

  /** An exchange has taken this long, from its sending to the head of its reply. */
  add(ms: number, now: number): void {
    const before = this.at(now);
    // Slowness is believed at once: the next one would suffer before an average had noticed.
    // A quick one counts by how long it has been waited for.
    const kept = Math.exp(-Math.max(now - this.#seenMs, 0) / MEMORY_MS);
    this.#ms = ms >= before ? ms : before + ms * (1 - kept);
    this.#seenMs = now;
  }

  /** Milliseconds to be expected now; 0 when nothing is known. */
  at(now: number): number {
    const age = now - this.#seenMs;
    return age <= 0 ? this.#ms : this.#ms * Math.exp(-age / MEMORY_MS);
  }
}
