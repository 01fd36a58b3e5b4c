// The endpoint with the fewest exchanges or tunnels under way for its weight; equals take turns.

import type { Endpoint } from '../endpoint.ts';
import type { Picker } from '../picker.ts';

export class LeastConnections implements Picker {
  readonly #endpoints: readonly Endpoint[];
  #turn = 0;

  constructor(endpoints: readonly Endpoint[]) {
    this.#endpoints = endpoints;
  }

  pick(avoid: Endpoint | null): Endpoint | null {
    const endpoints = this.#endpoints;
    const count = endpoints.length;
    let best: Endpoint | null = null;
    let bestAt = 0;
    let at = this.#turn;
    for (let seen = 0; seen < count; seen++) {
      const candidate = endpoints[at]!;
      // One more than now, so that idle endpoints compare by weight. Multiplied out: no division, no rounding.
      const less = best === null || (candidate.active + 1) * best.weight < (best.active + 1) * candidate.weight;
      if (less && (candidate !== avoid || count === 1)) {
        best = candidate;
        bestAt = at;
      }
      at = at + 1 < count ? at + 1 : 0;
    }
    this.#turn = bestAt + 1 < count ? bestAt + 1 : 0;
    return best;
  }
}
