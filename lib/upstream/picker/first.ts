// The first in the order of the configuration that may be chosen: one works, the others wait for it to fail.

import type { Endpoint } from '../endpoint.ts';
import type { Candidate, Picker } from '../picker.ts';

export class First implements Picker {
  readonly #endpoints: readonly Endpoint[];

  constructor(candidates: readonly Candidate[]) {
    this.#endpoints = candidates.map(({ endpoint }) => endpoint);
  }

  pick(avoid: Endpoint | null): Endpoint | null {
    const endpoints = this.#endpoints;
    if (endpoints.length === 0) return null;
    const first = endpoints[0]!;
    if (first !== avoid || endpoints.length === 1) return first;
    return endpoints[1]!;
  }

  other(_hash: number, accepts: (endpoint: Endpoint) => boolean): Endpoint | null {
    return this.#endpoints.find(accepts) ?? null;
  }
}
