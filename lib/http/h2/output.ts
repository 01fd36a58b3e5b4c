// What a session writes: frames of many streams gathered over a whole turn of the event loop, so that the replies of
// many requests leave in one system call, and in one TLS record. A session that has nothing to write holds no buffer.

import type { Connection } from '../../io/connection.ts';
import { flush } from '../../io/send.ts';
import { releaseSlab, SLAB_BYTES, slabStart, takeSlab } from '../../io/slab.ts';
import { memory } from '../../wire/http1/llhttp.ts';
import { Flag, FRAME_BYTES, FRAME_HEADER_BYTES, FrameType, putFrameHeader, putNumber } from '../../wire/http2/frame.ts';

/** Those that have something to write at the end of this turn. */
let waiting: Output[] = [];
/** Where those write that get no slab: their connection ends. */
const nowhere = takeSlab();

export class Output {
  readonly #connection: Connection;
  #slab = -1;
  #start = 0;
  #at = 0;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /** Writes a frame with a payload of at most FRAME_BYTES. */
  frame(type: number, flags: number, stream: number, payload: Uint8Array, start: number, end: number): void {
    const at = putFrameHeader(end - start, type, flags, stream, memory, this.#room(FRAME_HEADER_BYTES + end - start));
    if (end - start <= 48) for (let i = 0; i < end - start; i++) memory[at + i] = payload[start + i]!;
    else if (payload === memory) memory.copyWithin(at, start, end);
    else memory.set(payload.subarray(start, end), at);
    this.#at = at + end - start;
  }

  /** Writes a frame whose payload is one number: WINDOW_UPDATE, RST_STREAM. */
  number(type: number, stream: number, number: number): void {
    const at = this.#room(FRAME_HEADER_BYTES + 4);
    this.#at = putNumber(number, memory, putFrameHeader(4, type, 0, stream, memory, at));
  }

  /** Writes a header block in as many frames as it takes. */
  block(stream: number, last: boolean, block: Uint8Array, length: number): void {
    let flags = last ? Flag.END_STREAM : 0;
    let type: number = FrameType.HEADERS;
    let start = 0;
    while (length - start > FRAME_BYTES) {
      this.frame(type, flags, stream, block, start, start + FRAME_BYTES);
      start += FRAME_BYTES;
      type = FrameType.CONTINUATION;
      flags = 0;
    }
    this.frame(type, flags | Flag.END_HEADERS, stream, block, start, length);
  }

  /** Hands over what has been written. */
  flush(): void {
    const slab = this.#slab;
    if (slab < 0) return;
    this.#slab = -1;
    // What was sent past us comes first.
    flush();
    this.#connection.pushSlab(this.#start, this.#at, slab);
    releaseSlab(slab);
  }

  /** Where a frame of this size goes. */
  #room(bytes: number): number {
    if (this.#slab >= 0 && this.#at + bytes > this.#start + SLAB_BYTES) this.flush();
    if (this.#slab >= 0) return this.#at;
    const slab = takeSlab();
    if (slab < 0) {
      this.#connection.abort(Object.assign(new Error('out of buffers'), { code: 'ENOBUFS' }));
      return slabStart(nowhere);
    }
    if (waiting.push(this) === 1) setImmediate(flushAll);
    this.#slab = slab;
    this.#start = this.#at = slabStart(slab);
    return this.#at;
  }
}

function flushAll(): void {
  const all = waiting;
  waiting = [];
  for (const output of all) output.flush();
}
