// The endpoint with the fewest exchanges or tunnels under way for its weight; equals take turns. Looks at every endpoint: to
// join the shortest queue is the best for servers that are alike (Winston 1977). Of many, and where others choose as well, two
// that are drawn are compared instead (two-choices.ts; Mitzenmacher 2001).

import type { Endpoint } from '../endpoint.ts';
import type { Candidate, Picker } from '../picker.ts';
import { least } from './least.ts';

export class LeastRequests implements Picker {
  readonly #candidates: readonly Candidate[];
  /** Where comparing begins. */
  #turn: number;

  constructor(candidates: readonly Candidate[], before: Picker | null = null, start = 0) {
    this.#candidates = candidates;
    this.#turn = Math.floor(start * candidates.length);
    if (!(before instanceof LeastRequests) || before.#candidates.length === 0) return;
    const { endpoint } = before.#candidates[before.#turn]!;
    const at = candidates.findIndex((candidate) => candidate.endpoint === endpoint);
    if (at >= 0) this.#turn = at;
  }

  pick(avoid: Endpoint | null): Endpoint | null {
    const candidates = this.#candidates;
    const count = candidates.length;
    let best: Candidate | null = null;
    let bestAt = 0;
    let at = this.#turn;
    for (let seen = 0; seen < count; seen++) {
      const candidate = candidates[at]!;
      // One more than now, so that idle endpoints compare by weight. Multiplied out: no division, no rounding.
      const less =
        best === null || (candidate.endpoint.active + 1) * best.weight < (best.endpoint.active + 1) * candidate.weight;
      if (less && (candidate.endpoint !== avoid || count === 1)) {
        best = candidate;
        bestAt = at;
      }
      at = at + 1 < count ? at + 1 : 0;
    }
    this.#turn = bestAt + 1 < count ? bestAt + 1 : 0;
    return best === null ? null : best.endpoint;
  }

  other(_hash: number, accepts: (endpoint: Endpoint) => boolean): Endpoint | null {
    return least(this.#candidates, accepts);
  }
}
