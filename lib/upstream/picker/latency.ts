// The faster of two that are drawn by weight, by what their exchanges have taken lately and how many are under way: peak
// EWMA, as Finagle's load balancer has it (its PeakEwma), which is two choices (Mitzenmacher 2001) by an exponentially weighted
// average (Roberts 1959). A slow answer counts at once, a fast one wins trust back over some seconds, and who has not been
// asked for a while is forgotten to be slow.

import type { Endpoint } from '../endpoint.ts';
import type { Candidate, Picker } from '../picker.ts';
import { Draw } from './draw.ts';
import { least } from './least.ts';
import { otherThan } from './two-choices.ts';

export class Latency implements Picker {
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
    const now = performance.now();
    return cost(two.endpoint, now) < cost(one.endpoint, now) ? two.endpoint : one.endpoint;
  }

  other(_hash: number, accepts: (endpoint: Endpoint) => boolean): Endpoint | null {
    const now = performance.now();
    return least(this.#candidates, accepts, (endpoint) => cost(endpoint, now));
  }
}

/** What one more exchange can be expected to take, among those that are under way. */
function cost(endpoint: Endpoint, now: number): number {
  // Nobody knows anything of it: as good as the best while it is idle, and no better than others once it is asked.
  return (endpoint.pace.at(now) + 0.01) * (endpoint.active + 1);
}
