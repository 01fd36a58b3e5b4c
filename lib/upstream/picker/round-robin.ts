// One after the other, for endpoints of equal weight.

import type { Endpoint } from '../endpoint.ts';
import type { Candidate, Picker } from '../picker.ts';

export class RoundRobin implements Picker {
  readonly #endpoints: readonly Endpoint[];
  #next = 0;

  constructor(candidates: readonly Candidate[]) {
    this.#endpoints = candidates.map(({ endpoint }) => endpoint);
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

  #step(): Endpoint | null {
    const chosen = this.#endpoints[this.#next] ?? null;
    this.#next = this.#next + 1 < this.#endpoints.length ? this.#next + 1 : 0;
    return chosen;
  }
}
