// A copy of a request that may have to be sent later or again: while a connection is dialed or waited for, and until a
// reused connection has shown a sign of life.

import type { Connection } from '../io/connection.ts';
import type { FieldEdits } from '../route/field-edits.ts';
import type { Fields } from '../wire/fields.ts';
import { isTrailer } from './h1/chunks.ts';

/** Most that is kept of a request whose head has been sent already: a second try is not worth more. */
const AGAIN_BYTES = 16 * 1024;
/** Buffers up to this size stay for the next request. */
const SMALL_BYTES = 4 * 1024;

export class Kept {
  #bytes: Buffer = Buffer.alloc(0);
  #length = 0;
  #gap = -1;

  /** Keeps a head. `gap`: offset where the Host of the endpoint belongs, -1 if it has a Host. */
  head(bytes: Uint8Array, start: number, end: number, gap: number): void {
    this.#length = 0;
    this.#gap = gap < 0 ? -1 : gap - start;
    this.#add(bytes, start, end);
  }

  /** Keeps a piece of the body as it goes out. Without `needed`, false when that would be too much: nothing is kept. */
  data(bytes: Uint8Array, start: number, end: number, chunked: boolean, needed: boolean): boolean {
    if (start === end) return true;
    if (!needed && this.#length + end - start > AGAIN_BYTES) return false;
    if (chunked) this.#text(`${(end - start).toString(16)}\r\n`);
    this.#add(bytes, start, end);
    if (chunked) this.#text('\r\n');
    return true;
  }

  /** Keeps the end of a chunked body. */
  last(trailers: Fields | null, edits: FieldEdits | null): void {
    this.#text('0\r\n');
    if (trailers !== null) {
      for (let field = 0; field < trailers.count; field++) {
        if (isTrailer(trailers, field, edits)) {
          this.#add(trailers.bytes, trailers.nameStart(field), trailers.lineEnd(field));
        }
      }
    }
    this.#text('\r\n');
  }

  /** Sends what is kept; `host` is the endpoint's name for a head that has no Host of its own. */
  send(connection: Connection, host: string): void {
    let from = 0;
    if (this.#gap >= 0) {
      const line = Buffer.from(`Host: ${host}\r\n`, 'latin1');
      connection.send(this.#bytes, 0, this.#gap);
      connection.send(line, 0, line.length);
      from = this.#gap;
    }
    connection.send(this.#bytes, from, this.#length);
  }

  /** Forgets everything; large buffers are not held on to. */
  clear(): void {
    this.#length = 0;
    if (this.#bytes.length > SMALL_BYTES) this.#bytes = Buffer.alloc(0);
  }

  #text(text: string): void {
    const bytes = Buffer.from(text, 'latin1');
    this.#add(bytes, 0, bytes.length);
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
