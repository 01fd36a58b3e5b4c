// The first bytes of a connection, gathered until somebody can tell what they are. Bounded in size and time.

import type { Connection, Receiver } from '../io/connection.ts';
import { memory } from '../wire/http1/llhttp.ts';

/** What a reader says about the bytes so far. */
export const Reading = {
  /** They are the beginning of something: wait for more. */
  MORE: 0,
  /** The reader has handed the connection on, or closed it. */
  DONE: 1,
} as const;

export interface PrefaceReader {
  /** Looks at all bytes so far: borrowed. Answers a `Reading`. */
  read(bytes: Buffer, start: number, end: number): number;
  /** Too much time has passed; `bytes` are those that came, null for none. */
  expired(bytes: Buffer | null): void;
}

/** No preface but a ClientHello is longer. */
const PREFACE_BYTES = 8 * 1024;

export class Preface implements Receiver {
  readonly #connection: Connection;
  readonly #reader: PrefaceReader;
  #expired: ((bytes: Buffer | null) => void) | null = null;
  #most = PREFACE_BYTES;
  #bytes: Buffer | null = null;
  #length = 0;

  /** Becomes the connection's receiver. */
  constructor(connection: Connection, withinMs: number, reader: PrefaceReader) {
    this.#connection = connection;
    this.#reader = reader;
    connection.receiver = this;
    connection.expireIn(withinMs);
  }

  /** Allows more bytes and, once, more time; `expired` replaces the reader's. */
  allow(withinMs: number, most: number, expired: () => void): void {
    if (this.#expired !== null) return;
    this.#expired = expired;
    this.#most = most;
    this.#connection.expireIn(withinMs);
  }

  received(start: number, end: number): void {
    if (this.#bytes === null) {
      if (this.#reader.read(memory, start, end) === Reading.MORE) this.#keep(start, end);
      return;
    }
    this.#keep(start, end);
    if (this.#connection.gone) return;
    this.#reader.read(this.#bytes, 0, this.#length);
  }

  finished(): void {
    // Nothing more will come to tell by; a client that only ends its side gets nothing from silence.
    this.#connection.close();
  }

  drained(): void {}

  closed(): void {}

  expired(): void {
    const bytes = this.#bytes === null ? null : this.#bytes.subarray(0, this.#length);
    if (this.#expired !== null) this.#expired(bytes);
    else this.#reader.expired(bytes);
  }

  crashed(error: unknown): void {
    this.#connection.reset();
    // Closed; what happened is still to be told.
    throw error;
  }

  #keep(start: number, end: number): void {
    const total = this.#length + end - start;
    if (total > this.#most) {
      this.#connection.reset();
      return;
    }
    let bytes = this.#bytes;
    if (bytes === null || total > bytes.length) {
      bytes = Buffer.allocUnsafeSlow(Math.min(Math.max(total * 2, 256), Math.max(this.#most, total)));
      if (this.#bytes !== null) bytes.set(this.#bytes.subarray(0, this.#length));
      this.#bytes = bytes;
    }
    memory.copy(bytes, this.#length, start, end);
    this.#length = total;
  }
}
