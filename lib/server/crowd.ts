// Connections of one listener over all event loops: each counts its own in a slot of shared memory and reads those of the
// others, so that nobody waits for anybody. A count that is read may be old by as much as a connection takes to be accepted.

/** Most event loops of a process. */
export const MOST_LOOPS = 256;

/** Memory for the counts of one listener. */
export function crowdMemory(): SharedArrayBuffer {
  return new SharedArrayBuffer(MOST_LOOPS * Int32Array.BYTES_PER_ELEMENT);
}

export class Crowd {
  readonly #slots: Int32Array;
  readonly #own: number;

  /** `own`: the slot of this event loop. */
  constructor(memory: ArrayBufferLike = new ArrayBuffer(4), own = 0) {
    this.#slots = new Int32Array(memory);
    this.#own = own;
  }

  /** Connections open now. */
  get count(): number {
    let sum = 0;
    for (let loop = 0; loop < this.#slots.length; loop++) sum += Atomics.load(this.#slots, loop);
    return sum;
  }

  /** Of this event loop alone. */
  get own(): number {
    return Atomics.load(this.#slots, this.#own);
  }

  enter(): void {
    Atomics.add(this.#slots, this.#own, 1);
  }

  leave(): void {
    Atomics.sub(this.#slots, this.#own, 1);
  }

  /** This event loop is gone with all that it had. */
  clear(): void {
    Atomics.store(this.#slots, this.#own, 0);
  }
}
