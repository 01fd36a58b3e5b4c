// Ids of requests: 128 random bits as 32 hexadecimal digits. Made to be unique, not secret.

import { memory } from '../wire/http1/llhttp.ts';

/** What is remembered of an id that a trusted proxy sent; it is passed on whole. */
export const KEPT_ID_BYTES = 128;

const DIGITS = Buffer.from('0123456789abcdef');

/** Four random words; a field of the exchange, so that an id costs nothing until it is written. */
export class RequestId {
  readonly #words = new Int32Array(4);
  #made = false;

  /** Forgets the id; the next one is made when it is asked for. */
  renew(): void {
    this.#made = false;
  }

  /** Writes the id at `at` of the shared memory; answers the offset after it. */
  put(at: number): number {
    this.#make();
    for (let word = 0; word < 4; word++) {
      const bits = this.#words[word]!;
      for (let shift = 28; shift >= 0; shift -= 4) memory[at++] = DIGITS[(bits >>> shift) & 15]!;
    }
    return at;
  }

  toString(): string {
    this.#make();
    return Array.from(this.#words, (word) => (word >>> 0).toString(16).padStart(8, '0')).join('');
  }

  #make(): void {
    if (this.#made) return;
    this.#made = true;
    for (let word = 0; word < 4; word++) this.#words[word] = Math.random() * 0x100000000;
  }
}
