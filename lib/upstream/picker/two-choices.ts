// The less loaded of two that are drawn by weight: nearly as even as comparing all, without looking at all, and without
// the herd that runs to the one that was least loaded a moment ago (Mitzenmacher 2001, "The power of two choices").

import type { Endpoint } from '../endpoint.ts';
import type { Candidate, Picker } from '../picker.ts';
import { Draw } from './draw.ts';
import { least } from './least.ts';

export class TwoChoices implements Picker {
  readonly #candidates: readonly Candidate[];
  readonly #draw: Draw | null;

  constructor(candidates: readonly Candidate[]) {
    this.#candidates = candidates;
    this.#draw = candidates.length > 1 ? new Draw(candidates.map(({ weight }) => weight)) : null;
  }

  pick(avoid: Endpoint | null): Endpoint | null {
    const draw = this.#draw;
    const candidates = this.#candidates;
    if (draw === null) return candidates.length === 0 ? null : candidates[0]!.endpoint;
    const one = candidates[draw.next()]!;
    const two = otherThan(candidates, draw, one);
    if (one.endpoint === avoid) return two.endpoint;
    if (two.endpoint === avoid) return one.endpoint;
    // Weights have had their say in the draw; here they say how much load is much. Equals stay as they were drawn.
    const less = two.endpoint.active * one.weight < one.endpoint.active * two.weight;
    return less ? two.endpoint : one.endpoint;
  }

  other(_hash: number, accepts: (endpoint: Endpoint) => boolean): Endpoint | null {
    return least(this.#candidates, accepts);
  }
}

/** Another one, drawn too. With weights so unequal that the draw insists, the neighbour. */
export function otherThan(candidates: readonly Candidate[], draw: Draw, one: Candidate): Candidate {
  for (let tries = 0; tries < 4; tries++) {
    const two = candidates[draw.next()]!;
    if (two !== one) return two;
  }
  const at = candidates.indexOf(one) + 1;
  return candidates[at < candidates.length ? at : 0]!;
}
