// One after the other, for endpoints of equal weight: what time-sharing began with (Kleinrock 1964), and names for their
// addresses (RFC 1794). Where weights differ: smooth-round-robin.ts and stride.ts.

import type { Endpoint } from '../endpoint.ts';
import type { Candidate, Picker } from '../picker.ts';

export class RoundRobin implements Picker {
  readonly #endpoints: readonly Endpoint[];
  #next: number;

  constructor(candidates: readonly Candidate[], before: Picker | null = null, start = 0) {
    this.#endpoints = candidates.map(({ endpoint }) => endpoint);
    this.#next = Math.floor(start * candidates.length);
    if (before instanceof RoundRobin) this.#next = this.#follow(before) ?? this.#next;
  }

  pick(avoid: Endpoint | null): Endpoint | null {
    const chosen = this.#step();
    return chosen === avoid && this.#endpoints.length > 1 ? this.#step() : chosen;
  }

  other(_hash: number, accepts: (endpoint: Endpoint) => boolean): Endpoint | null {
    for (let left = this.#endpoints.length; left > 0; left--) {
      const next = this.#step()!;
      if (accepts(next)) return next;
    }
    return null;
  }

  /** Whose turn it is after those of `before`; null when none of its endpoints is left. */
  #follow(before: RoundRobin): number | null {
    const endpoints = before.#endpoints;
    // Mostly the very next; where many have gone at once, looking for the first that has not is not worth it.
    for (let ahead = 0; ahead < Math.min(endpoints.length, 8); ahead++) {
      const at = this.#endpoints.indexOf(endpoints[(before.#next + ahead) % endpoints.length]!);
      if (at >= 0) return at;
    }
    return null;
  }

  #step(): Endpoint | null {
    const chosen = this.#endpoints[this.#next] ?? null;
    this.#next = this.#next + 1 < this.#endpoints.length ? this.#next + 1 : 0;
    return chosen;
  }
}
