// A copy of a request that may have to be sent later or again: while a connection is dialed or waited for, and until a
// reused connection has shown a sign of life.

import type { Upstream } from './upstream.ts';

/** Most that is kept of a request whose head has been sent already: a second try is not worth more. */
const AGAIN_BYTES = 64 * 1024;
/** Buffers up to this size stay for the next request. */
const SMALL_BYTES = 4 * 1024;
const NONE = Buffer.alloc(0);

export class Kept {
  /** The head, then the body as far as it has come. */
  #bytes: Buffer = NONE;
  #headEnd = 0;
  #length = 0;
  #gap = -1;
  /** The head is all there is. */
  #bodyless = false;
  /** The body is complete; its trailers. */
  #whole = false;
  #trailers: Buffer = NONE;

  /** Keeps a head. `gap`: offset where the Host of the endpoint belongs, -1 if it has a Host. `last`: no body follows. */
  head(bytes: Uint8Array, start: number, end: number, gap: number, last: boolean): void {
    this.#length = 0;
    this.#gap = gap < 0 ? -1 : gap - start;
    this.#bodyless = last;
    this.#whole = false;
    this.#add(bytes, start, end);
    this.#headEnd = this.#length;
  }

  /** Keeps a piece of the body. Without `needed`, false when that would be too much: nothing is kept. */
  data(bytes: Uint8Array, start: number, end: number, needed: boolean): boolean {
    if (!needed && this.#length + end - start > AGAIN_BYTES) return false;
    this.#add(bytes, start, end);
    return true;
  }

  /** The body is complete. */
  end(trailers: Buffer): void {
    this.#whole = true;
    this.#trailers = trailers;
  }

  /** Sends what is kept. */
  send(upstream: Upstream): void {
    this.#sendHead(upstream);
    if (this.#length > this.#headEnd) upstream.send(this.#bytes, this.#headEnd, this.#length);
    if (this.#whole) upstream.sendEnd(this.#trailers);
  }

  /** A head without a Host of its own gets the endpoint's. */
  #sendHead(upstream: Upstream): void {
    const bytes = this.#bytes;
    if (this.#gap < 0) return upstream.sendHead(bytes, 0, this.#headEnd, this.#bodyless);
    const line = Buffer.from(`Host: ${upstream.endpoint.authority}\r\n`, 'latin1');
    const head = Buffer.concat([bytes.subarray(0, this.#gap), line, bytes.subarray(this.#gap, this.#headEnd)]);
    upstream.sendHead(head, 0, head.length, this.#bodyless);
  }

  /** Forgets everything; large buffers are not held on to. */
  clear(): void {
    this.#length = 0;
    this.#headEnd = 0;
    this.#whole = false;
    this.#trailers = NONE;
    if (this.#bytes.length > SMALL_BYTES) this.#bytes = NONE;
  }

  #add(bytes: Uint8Array, start: number, end: number): void {
    const total = this.#length + end - start;
    if (total > this.#bytes.length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(1024, total + (total >> 1)));
      grown.set(this.#bytes.subarray(0, this.#length));
      this.#bytes = grown;
    }
    this.#bytes.set(bytes.subarray(start, end), this.#length);
    this.#length = total;
  }
}
