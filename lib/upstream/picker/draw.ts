// Drawing by weight in constant time: the alias method (Walker 1977, tables built as by Vose 1991).

/** Draws numbers from 0, each as often as its weight says. Not for secrets: whoever sees many draws can foretell the rest. */
export class Draw {
  readonly #count: number;
  /** For each slot the share that is its own number's, in 1/2^32, and whose the rest is. */
  readonly #own: Float64Array;
  readonly #other: Uint32Array;
  #state = (Math.random() * 0x1_0000_0000) | 1;

  /** Weights above 0; at least one. */
  constructor(weights: readonly number[]) {
    const count = weights.length;
    this.#count = count;
    this.#own = new Float64Array(count).fill(0x1_0000_0000);
    this.#other = Uint32Array.from(weights, (_, i) => i);
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    const share = Float64Array.from(weights, (weight) => (weight * count) / total);
    const poor: number[] = [];
    const rich: number[] = [];
    share.forEach((value, i) => {
      (value < 1 ? poor : rich).push(i);
    });
    while (poor.length > 0 && rich.length > 0) {
      const less = poor.pop()!;
      const more = rich.pop()!;
      this.#own[less] = share[less]! * 0x1_0000_0000;
      this.#other[less] = more;
      share[more]! -= 1 - share[less]!;
      (share[more]! < 1 ? poor : rich).push(more);
    }
  }

  next(): number {
    // The two halves of a choice from two steps of xorshift (Marsaglia 2003): a slot, and which side of it.
    const slot = Math.floor((this.#step() / 0x1_0000_0000) * this.#count);
    return this.#step() < this.#own[slot]! ? slot : this.#other[slot]!;
  }

  #step(): number {
    let x = this.#state;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#state = x;
    return x >>> 0;
  }
}
