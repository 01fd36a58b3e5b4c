// Round-robin by weight for many endpoints: stride scheduling (Waldspurger and Weihl, 1995). Each endpoint is due again one
// stride later, which is shorter the heavier it is; a heap knows who is due first. Shares are as exact as with smooth
// round-robin, and a choice takes the logarithm of how many there are.

import type { Endpoint } from '../endpoint.ts';
import type { Candidate, Picker } from '../picker.ts';

const GOLDEN = (Math.sqrt(5) - 1) / 2;

export class Stride implements Picker {
  readonly #endpoints: readonly Endpoint[];
  /** By endpoint: how far apart its turns are, and when the next is. */
  readonly #stride: Float64Array;
  readonly #due: Float64Array;
  /** Endpoints by number, the one due first at the top; equals in their order. */
  readonly #heap: Uint32Array;

  constructor(candidates: readonly Candidate[], before: Picker | null = null, start = 0) {
    this.#endpoints = candidates.map(({ endpoint }) => endpoint);
    this.#stride = Float64Array.from(candidates, ({ weight }) => 1 / weight);
    this.#due = new Float64Array(candidates.length);
    this.#heap = Uint32Array.from(candidates, (_, number) => number);
    const waits = before instanceof Stride ? before.#waits() : null;
    for (let i = 0; i < candidates.length; i++) {
      // Light ones must not all come at the end of the first round: they begin in the middle of their stride, or spread
      // over it by the golden ratio.
      const part = waits?.(this.#endpoints[i]!) ?? (start === 0 ? 0.5 : (start + i * GOLDEN) % 1);
      this.#due[i] = part * this.#stride[i]!;
    }
    for (let at = (candidates.length >> 1) - 1; at >= 0; at--) this.#sink(this.#heap[at]!, at);
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

  /** Tells what part of its stride an endpoint has still to wait; undefined for those that are not there. */
  #waits(): (endpoint: Endpoint) => number | undefined {
    const endpoints = this.#endpoints;
    const now = this.#heap.length === 0 ? 0 : this.#due[this.#heap[0]!]!;
    let places: Map<Endpoint, number> | null = null;
    let next = 0;
    return (endpoint) => {
      // Mostly they come in the same order, with one more or less.
      if (endpoints[next] !== endpoint && endpoints[++next] !== endpoint) {
        places ??= new Map(endpoints.map((one, place) => [one, place]));
        next = places.get(endpoint) ?? -1;
      }
      const place = next++;
      return place < 0 ? undefined : (this.#due[place]! - now) / this.#stride[place]!;
    };
  }

  #next(): Endpoint | null {
    const heap = this.#heap;
    if (heap.length === 0) return null;
    const number = heap[0]!;
    this.#due[number]! += this.#stride[number]!;
    this.#sink(number);
    return this.#endpoints[number]!;
  }

  /** Puts the one at `from`, the top or the top of a part, where it belongs now. */
  #sink(number: number, from = 0): void {
    const heap = this.#heap;
    const due = this.#due;
    const own = due[number]!;
    let at = from;
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
