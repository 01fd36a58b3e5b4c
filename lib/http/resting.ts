// Endpoints that have asked to be left alone for a while (Retry-After), as one exchange has heard it.

import type { Endpoint } from '../upstream/endpoint.ts';

export class Resting {
  readonly #endpoints: Endpoint[] = [];
  readonly #untilMs: number[] = [];

  get size(): number {
    return this.#endpoints.length;
  }

  /** `endpoint` is not to be asked again before `untilMs` of the monotonic clock. */
  add(endpoint: Endpoint, untilMs: number): void {
    this.#endpoints.push(endpoint);
    this.#untilMs.push(untilMs);
  }

  clear(): void {
    this.#endpoints.length = 0;
    this.#untilMs.length = 0;
  }

  has(endpoint: Endpoint, nowMs: number): boolean {
    return this.#leftMs(endpoint, nowMs) > 0;
  }

  /** How long it is until one of `endpoints` may be asked: of those that are well, or of all when none is. */
  leastMs(endpoints: readonly Endpoint[], nowMs: number): number {
    if (this.size === 0) return 0;
    let well = Number.POSITIVE_INFINITY;
    let any = Number.POSITIVE_INFINITY;
    for (const endpoint of endpoints) {
      const leftMs = this.#leftMs(endpoint, nowMs);
      if (endpoint.standing.eligible) well = Math.min(well, leftMs);
      if (!endpoint.standing.draining) any = Math.min(any, leftMs);
    }
    return Number.isFinite(well) ? well : any;
  }

  /** When all that are well have been `tried`, they are as good as new, but for those that want to be left alone. */
  forgive(tried: Endpoint[], endpoints: readonly Endpoint[], nowMs: number): void {
    if (this.size === 0) return;
    for (const endpoint of endpoints) if (endpoint.standing.eligible && !tried.includes(endpoint)) return;
    let kept = 0;
    for (const endpoint of tried) if (this.has(endpoint, nowMs)) tried[kept++] = endpoint;
    tried.length = kept;
  }

  #leftMs(endpoint: Endpoint, nowMs: number): number {
    // What it said last is what holds.
    const at = this.#endpoints.lastIndexOf(endpoint);
    return at < 0 ? 0 : Math.max(0, this.#untilMs[at]! - nowMs);
  }
}
