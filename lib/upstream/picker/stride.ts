// Round-robin by weight for many endpoints: stride scheduling (Waldspurger and Weihl, 1995). Each endpoint is due again one
// stride later, which is shorter the heavier it is; a heap knows who is due first. Shares are as exact as with smooth
// round-robin, and a choice takes the logarithm of how many there are.

import type { Endpoint } from '../endpoint.ts';
import type { Candidate, Picker } from '../picker.ts';

export class Stride implements Picker {
  readonly #endpoints: readonly Endpoint[];
  /** By endpoint: how far apart its turns are, and when the next is. */
  readonly #stride: Float64Array;
  readonly #due: Float64Array;
  /** Endpoints by number, the one due first at the top; equals in their order. */
  readonly #heap: Uint32Array;

  constructor(candidates: readonly Candidate[]) {
    this.#endpoints = candidates.map(({ endpoint }) => endpoint);
    this.#stride = Float64Array.from(candidates, ({ weight }) => 1 / weight);
    // From the middle of the first stride on, so that light ones do not all come at the end of a round.
    this.#due = this.#stride.map((stride) => stride / 2);
    this.#heap = Uint32Array.from(candidates, (_, number) => number).sort(
      (a, b) => this.#due[a]! - this.#due[b]! || a - b,
    );
  }

  pick(avoid: Endpoint | null): Endpoint | null {
    const chosen = this.#next();
    if (chosen !== avoid || this.#endpoints.length < 2) return chosen;
    return this.#next();
  }

  other(_hash: number, accepts: (endpoint: Endpoint) => boolean): Endpoint | null {
    // Those that are asked in vain have had their turn. Heavy ones come again before all have come.
    for (let left = this.#endpoints.length; left > 0; left--) {
      const next = this.#next()!;
      if (accepts(next)) return next;
    }
    return this.#endpoints.find(accepts) ?? null;
  }

  #next(): Endpoint | null {
    const heap = this.#heap;
    if (heap.length === 0) return null;
    const number = heap[0]!;
    this.#due[number]! += this.#stride[number]!;
    this.#sink(number);
    return this.#endpoints[number]!;
  }

  /** Puts the one at the top where it belongs now. */
  #sink(number: number): void {
    const heap = this.#heap;
    const due = this.#due;
    const own = due[number]!;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && this.#before(heap[child + 1]!, heap[child]!)) child++;
      const below = heap[child]!;
      if (own < due[below]! || (own === due[below]! && number < below)) break;
      heap[at] = below;
      at = child;
    }
    heap[at] = number;
  }

  #before(a: number, b: number): boolean {
    const dueA = this.#due[a]!;
    const dueB = this.#due[b]!;
    return dueA < dueB || (dueA === dueB && a < b);
  }
}
