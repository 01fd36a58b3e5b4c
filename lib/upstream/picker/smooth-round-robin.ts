// Round-robin by weight, spread evenly in time: 5:1:1 gives a a b a c a a, not a a a a a b c. The method is nginx's
// smooth weighted balancing: each round every endpoint gains its weight, the richest is chosen and pays the total.

import type { Endpoint } from '../endpoint.ts';
import type { Candidate, Picker } from '../picker.ts';
import { least } from './least.ts';

export class SmoothRoundRobin implements Picker {
  readonly #candidates: readonly Candidate[];
  readonly #credit: Float64Array;
  readonly #total: number;

  constructor(candidates: readonly Candidate[]) {
    this.#candidates = candidates;
    this.#credit = new Float64Array(candidates.length);
    this.#total = candidates.reduce((sum, { weight }) => sum + weight, 0);
  }

  pick(avoid: Endpoint | null): Endpoint | null {
    const candidates = this.#candidates;
    const credit = this.#credit;
    let best = -1;
    for (let i = 0; i < candidates.length; i++) {
      credit[i]! += candidates[i]!.weight;
      if (candidates[i]!.endpoint === avoid && candidates.length > 1) continue;
      if (best < 0 || credit[i]! > credit[best]!) best = i;
    }
    if (best < 0) return null;
    credit[best]! -= this.#total;
    return candidates[best]!.endpoint;
  }

  other(_hash: number, accepts: (endpoint: Endpoint) => boolean): Endpoint | null {
    return least(this.#candidates, accepts);
  }
}
