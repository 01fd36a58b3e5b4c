// Round-robin by weight, spread evenly in time: 5:1:1 gives a a b a c a a, not a a a a a b c. The method is nginx's
// smooth weighted balancing (of May 2012, by M. Dounin): each round every endpoint gains its weight, the richest is chosen
// and pays the total.

import type { Endpoint } from '../endpoint.ts';
import type { Candidate, Picker } from '../picker.ts';
import { least } from './least.ts';

/** Turns for each endpoint within which it may begin. */
const ROUNDS = 4;

export class SmoothRoundRobin implements Picker {
  readonly #candidates: readonly Candidate[];
  readonly #credit: Float64Array;
  readonly #total: number;

  constructor(candidates: readonly Candidate[], before: Picker | null = null, start = 0) {
    this.#candidates = candidates;
    this.#credit = new Float64Array(candidates.length);
    this.#total = candidates.reduce((sum, { weight }) => sum + weight, 0);
    if (before instanceof SmoothRoundRobin && this.#inherit(before)) return;
    // Somewhere in its round.
    for (let turns = Math.floor(start * ROUNDS * candidates.length); turns > 0; turns--) this.pick(null);
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

  /** Goes on with what endpoints have been credited; false when none of them is left. */
  #inherit(before: SmoothRoundRobin): boolean {
    const credit = this.#credit;
    const known = before.#candidates.map(({ endpoint }) => endpoint);
    let found = 0;
    let sum = 0;
    this.#candidates.forEach(({ endpoint }, place) => {
      const was = known.indexOf(endpoint);
      if (was < 0) return;
      found++;
      // As parts of a round, which is longer or shorter now.
      credit[place] = (before.#credit[was]! * this.#total) / before.#total;
      sum += credit[place]!;
    });
    // All together have nothing: who has gone has left what it owed, or was owed, to the others.
    for (let i = 0; i < credit.length; i++) credit[i]! -= sum / credit.length;
    return found > 0;
  }
}
