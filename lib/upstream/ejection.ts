// Endpoints that fail traffic are put aside for a while, by what exchanges meet with: failures in a row, the share of
// failures, and slowness beyond all others. Never more than an allowed share of them, so that a fault of our own, or of
// what all depend on, does not put everything aside.

import type { Endpoint } from './endpoint.ts';
import type { EjectionOptions } from './options.ts';
import type { Standing } from './standing.ts';

/** Fewer exchanges in the window say nothing about a share. */
const FEWEST_ASKED = 20;
/** Slower by some milliseconds is no reason, whatever the factor. */
const SLOW_MS = 20;

export class Ejection {
  readonly #options: EjectionOptions;
  readonly #endpoints: () => readonly Endpoint[];
  /** Tells that one has been put aside, or comes back on trial or for good. */
  readonly #changed: (endpoint: Endpoint, reason: string) => void;

  /** Whether every exchange counts for something, and not only those after a failure. */
  readonly counts: boolean;

  constructor(
    options: EjectionOptions,
    endpoints: () => readonly Endpoint[],
    changed: (endpoint: Endpoint, reason: string) => void,
  ) {
    this.#options = options;
    this.counts = options.rate > 0 || options.latency > 0;
    this.#endpoints = endpoints;
    this.#changed = changed;
  }

  /** An exchange has been answered, after `tookMs` (0: not measured). */
  succeeded(endpoint: Endpoint, tookMs: number, now: number): void {
    const { standing } = endpoint;
    standing.failures = 0;
    standing.count(false, Math.floor(now / 1000));
    standing.tookMs += tookMs;
    standing.took++;
    // Whoever was put aside is asked when nobody else answers, and that is a trial too.
    if (standing.trial === 'none' && !standing.ejected) return;
    standing.ejected = false;
    standing.settle();
    standing.rampFromMs = now;
    this.#changed(endpoint, 'its trial went well');
  }

  failed(endpoint: Endpoint, cause: string, now: number): void {
    const { standing } = endpoint;
    const second = Math.floor(now / 1000);
    standing.failures++;
    standing.count(true, second);
    if (standing.ejected) return;
    if (standing.trial !== 'none') return this.#eject(endpoint, `${cause} on trial`, now);
    const { failures, rate } = this.#options;
    if (failures > 0 && standing.failures >= failures) {
      return this.#eject(endpoint, `${standing.failures} failures in a row, the last ${cause}`, now);
    }
    if (rate === 0) return;
    const { asked, failed } = standing.rate(second);
    if (asked >= FEWEST_ASKED && failed / asked >= rate) {
      this.#eject(endpoint, `${failed} of ${asked} failed, the last ${cause}`, now);
    }
  }

  /** Another event loop has put it aside for `forMs`, or uses it again (0); answers whether that is news. */
  hear(endpoint: Endpoint, forMs: number, now: number): boolean {
    const { standing } = endpoint;
    if (forMs === 0) {
      if (standing.trial === 'none' && !standing.ejected) return false;
      standing.ejected = false;
      standing.settle();
      standing.rampFromMs = now;
      standing.forget();
      return true;
    }
    if (standing.ejected || !this.#mayEject(standing)) return false;
    standing.settle();
    standing.ejected = true;
    standing.ejections++;
    standing.ejectedUntilMs = now + forMs;
    return true;
  }

  /** Brings back who has waited long enough, and judges slowness. To be called about every second. */
  tick(now: number): void {
    for (const endpoint of this.#endpoints()) {
      const { standing } = endpoint;
      if (standing.ejected && now >= standing.ejectedUntilMs) {
        standing.ejected = false;
        standing.trial = 'wanted';
        standing.forget();
        this.#changed(endpoint, 'it is tried again');
      }
      // Forgiven as long as it took to earn it.
      if (
        !standing.ejected &&
        standing.ejections > 0 &&
        now - standing.ejectedUntilMs > this.#lengthOf(standing.ejections)
      ) {
        standing.ejections--;
        standing.ejectedUntilMs = now;
      }
    }
    if (this.#options.latency > 0) this.#judgeSlowness(now);
  }

  #judgeSlowness(now: number): void {
    const judged = this.#endpoints().filter(({ standing }) => standing.took >= FEWEST_ASKED && standing.eligible);
    // Two cannot say which of them is the odd one.
    if (judged.length < 3) return;
    const mean = ({ standing }: Endpoint): number => standing.tookMs / standing.took;
    const sorted = judged.map(mean).sort((a, b) => a - b);
    const median = sorted[sorted.length >> 1]!;
    const means = judged.map((endpoint) => ({ endpoint, ms: mean(endpoint) }));
    for (const { standing } of judged) standing.took = standing.tookMs = 0;
    for (const { endpoint, ms } of means) {
      if (ms > median * this.#options.latency && ms > median + SLOW_MS) {
        this.#eject(endpoint, `${Math.round(ms)} ms on average where others take ${Math.round(median)}`, now);
      }
    }
  }

  #eject(endpoint: Endpoint, reason: string, now: number): void {
    const { standing } = endpoint;
    standing.failures = 0;
    if (!this.#mayEject(standing)) return;
    standing.settle();
    standing.ejected = true;
    standing.ejections++;
    standing.ejectedUntilMs = now + this.#lengthOf(standing.ejections);
    endpoint.stats.ejections++;
    this.#changed(endpoint, reason);
  }

  /** Whether one more may be put aside: one on trial was among them a moment ago. */
  #mayEject({ trial }: Standing): boolean {
    const endpoints = this.#endpoints();
    const aside = endpoints.filter(({ standing }) => standing.ejected || standing.health === 'down').length;
    return (
      trial !== 'none' || aside + 1 <= Math.max(this.#options.max * endpoints.length, endpoints.length > 1 ? 1 : 0)
    );
  }

  #lengthOf(ejections: number): number {
    const { forMs, longestMs } = this.#options;
    return Math.min(forMs * 2 ** Math.min(ejections - 1, 20), longestMs);
  }
}
