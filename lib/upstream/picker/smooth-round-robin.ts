// Round-robin by weight, spread evenly in time: 5:1:1 gives a a b a c a a, not a a a a a b c. The method is nginx's
// smooth weighted balancing: each round every endpoint gains its weight, the richest is chosen and pays the total.

import type { Endpoint } from '../endpoint.ts';
import type { Picker } from '../picker.ts';

export class SmoothRoundRobin implements Picker {
  readonly #endpoints: readonly Endpoint[];
  readonly #credit: Float64Array;
  readonly #total: number;

  constructor(endpoints: readonly Endpoint[]) {
    this.#endpoints = endpoints;
    this.#credit = new Float64Array(endpoints.length);
    this.#total = endpoints.reduce((sum, endpoint) => sum + endpoint.weight, 0);
  }

  pick(avoid: Endpoint | null): Endpoint | null {
    const endpoints = this.#endpoints;
    const credit = this.#credit;
    let best = -1;
    for (let i = 0; i < endpoints.length; i++) {
      credit[i]! += endpoints[i]!.weight;
      if (endpoints[i] === avoid && endpoints.length > 1) continue;
      if (best < 0 || credit[i]! > credit[best]!) best = i;
    }
    if (best < 0) return null;
    credit[best]! -= this.#total;
    return endpoints[best]!;
  }
}
