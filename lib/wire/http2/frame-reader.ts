// Frames out of what a connection delivers, however it is cut: payloads of DATA are passed on as they come, all others
// whole. Checks what holds for every frame (RFC 9113 4.1, 4.2, 6.1, 6.10); meaning is left to the session.

import { memory } from '../http1/llhttp.ts';
import { Flag, FRAME_BYTES, FRAME_HEADER_BYTES, FrameType, Reason, readNumber } from './frame.ts';

/** Who takes frames. Every call may answer or leave a fault by `FrameReader.fail`; then nothing more is read. */
export interface FrameReceiver {
  /** A whole frame that is neither DATA nor of a header block; the payload is borrowed: valid until return. */
  onFrame(type: number, flags: number, stream: number, bytes: Buffer, start: number, end: number): void;
  /** A whole header block, padding and priority removed. Borrowed. `promise`: it came by PUSH_PROMISE. */
  onBlock(stream: number, flags: number, bytes: Buffer, start: number, end: number, promise: boolean): void;
  /** A piece of DATA in the shared memory; `last`: the stream ends with it. `start` equals `end` in an empty frame. */
  onData(stream: number, start: number, end: number, last: boolean): void;
  /** A DATA frame begins; `length` is all that counts for flow control, padding included. */
  onDataFrame(stream: number, length: number): void;
}

/** Most CONTINUATION frames of one block; with fewer bytes each than fit nobody gains anything. */
const CONTINUATIONS = 16;

export class FrameReader {
  /** Why reading has stopped: a `Reason` of a connection error, -1 while all is well. */
  fault = -1;
  detail = '';
  readonly #receiver: FrameReceiver;
  /** Longest header block in bytes. */
  readonly #blockBytes: number;
  #length = 0;
  #type = 0;
  #flags = 0;
  #stream = 0;
  /** Bytes of the header still missing. */
  #headerLeft = FRAME_HEADER_BYTES;
  readonly #header = Buffer.alloc(FRAME_HEADER_BYTES);
  /** Bytes of the payload still missing. */
  #left = 0;
  /** DATA: bytes of padding at its end; -1: the byte that says how many has not come. */
  #padding = 0;
  /** Frames that came in pieces, and header blocks. */
  #kept: Buffer = EMPTY;
  #keptBytes = 0;
  /** A header block goes on: only CONTINUATION of its stream may come (RFC 9113 6.10). */
  #blockStream = 0;
  #blockFlags = 0;
  #promise = false;
  #continuations = 0;

  constructor(receiver: FrameReceiver, blockBytes: number) {
    this.#receiver = receiver;
    this.#blockBytes = blockBytes;
  }

  /** Whether a header block has begun and not ended. */
  get inBlock(): boolean {
    return this.#blockStream !== 0;
  }

  /** Nothing more is read; `reason` is what the connection is to end with. */
  fail(reason: number, detail: string): void {
    if (this.fault >= 0) return;
    this.fault = reason;
    this.detail = detail;
  }

  /** Reads `start..end` of the shared memory. Look at `fault` afterwards. */
  read(start: number, end: number): void {
    let at = start;
    while (this.fault < 0 && (at < end || (this.#headerLeft === 0 && this.#left === 0))) {
      if (this.#headerLeft > 0) at = this.#readHeader(at, end);
      else if (this.#type === FrameType.DATA) at = this.#readData(at, end);
      else at = this.#readWhole(at, end);
    }
  }

  #readHeader(at: number, end: number): number {
    let from: Buffer = memory;
    let base = at;
    if (this.#headerLeft < FRAME_HEADER_BYTES || end - at < FRAME_HEADER_BYTES) {
      const take = Math.min(this.#headerLeft, end - at);
      memory.copy(this.#header, FRAME_HEADER_BYTES - this.#headerLeft, at, at + take);
      this.#headerLeft -= take;
      if (this.#headerLeft > 0) return end;
      at += take;
      from = this.#header;
      base = 0;
    } else at += FRAME_HEADER_BYTES;
    this.#headerLeft = 0;
    this.#length = this.#left = (from[base]! << 16) | (from[base + 1]! << 8) | from[base + 2]!;
    this.#type = from[base + 3]!;
    this.#flags = from[base + 4]!;
    this.#stream = readNumber(from, base + 5) & 0x7fff_ffff;
    this.#check();
    return at;
  }

  #check(): void {
    const type = this.#type;
    const stream = this.#stream;
    if (this.#length > FRAME_BYTES) return this.fail(Reason.FRAME_SIZE_ERROR, `a frame of ${this.#length} bytes`);
    if (this.#blockStream !== 0 && (type !== FrameType.CONTINUATION || stream !== this.#blockStream)) {
      return this.fail(Reason.PROTOCOL_ERROR, 'a frame within a header block');
    }
    if (type === FrameType.CONTINUATION && this.#blockStream === 0) {
      return this.fail(Reason.PROTOCOL_ERROR, 'CONTINUATION without a header block');
    }
    if (type === FrameType.DATA) {
      if (stream === 0) return this.fail(Reason.PROTOCOL_ERROR, 'DATA on stream 0');
      this.#padding = (this.#flags & Flag.PADDED) === 0 ? 0 : -1;
      if (this.#padding < 0 && this.#length === 0) return this.fail(Reason.FRAME_SIZE_ERROR, 'padding without length');
      this.#receiver.onDataFrame(stream, this.#length);
    }
  }

  #readData(at: number, end: number): number {
    if (this.#padding < 0) {
      this.#padding = memory[at++]!;
      this.#left--;
      if (this.#padding > this.#left) {
        this.fail(Reason.PROTOCOL_ERROR, 'more padding than payload');
        return end;
      }
      if (at === end && this.#left > 0) return at;
    }
    const take = Math.min(this.#left, end - at);
    this.#left -= take;
    const over = this.#left === 0;
    // What is left may already be padding.
    const data = Math.max(0, Math.min(take, this.#left + take - this.#padding));
    const last = over && (this.#flags & Flag.END_STREAM) !== 0;
    if (over) this.#headerLeft = FRAME_HEADER_BYTES;
    if (data > 0 || last) this.#receiver.onData(this.#stream, at, at + data, last);
    return at + take;
  }

  #readWhole(at: number, end: number): number {
    const type = this.#type;
    const inBlock = type === FrameType.HEADERS || type === FrameType.CONTINUATION || type === FrameType.PUSH_PROMISE;
    if (this.#left === this.#length && end - at >= this.#length && !(inBlock && this.#blockStream !== 0)) {
      // All of it is here: nothing need be copied, unless more of a block follows.
      const to = at + this.#length;
      this.#left = 0;
      this.#headerLeft = FRAME_HEADER_BYTES;
      this.#take(memory, at, to);
      return to;
    }
    const take = Math.min(this.#left, end - at);
    if (!this.#keep(memory, at, at + take)) return end;
    this.#left -= take;
    if (this.#left > 0) return end;
    this.#headerLeft = FRAME_HEADER_BYTES;
    const kept = this.#kept;
    const start = this.#keptBytes - this.#length;
    if (inBlock && this.#blockStream !== 0) this.#continue(kept);
    else {
      this.#keptBytes = 0;
      this.#take(kept, start, start + this.#length);
    }
    if (this.#keptBytes === 0) this.#kept = EMPTY;
    return at + take;
  }

  /** A whole frame that does not continue a block. */
  #take(bytes: Buffer, start: number, end: number): void {
    const type = this.#type;
    if (type !== FrameType.HEADERS && type !== FrameType.PUSH_PROMISE) {
      return this.#receiver.onFrame(type, this.#flags, this.#stream, bytes, start, end);
    }
    let from = start;
    let to = end;
    if ((this.#flags & Flag.PADDED) !== 0) to -= bytes[from++] ?? 0;
    if (type === FrameType.PUSH_PROMISE) from += 4;
    else if ((this.#flags & Flag.PRIORITY) !== 0) from += 5;
    if (this.#stream === 0) return this.fail(Reason.PROTOCOL_ERROR, 'a header block on stream 0');
    if (from > to) return this.fail(Reason.FRAME_SIZE_ERROR, 'a header block shorter than it says');
    if (type === FrameType.HEADERS && (this.#flags & Flag.PRIORITY) !== 0) {
      const parent = readNumber(bytes, from - 5) & 0x7fff_ffff;
      if (parent === this.#stream) return this.fail(Reason.PROTOCOL_ERROR, 'a stream that depends on itself');
    }
    this.#promise = type === FrameType.PUSH_PROMISE;
    if ((this.#flags & Flag.END_HEADERS) !== 0) {
      return this.#receiver.onBlock(this.#stream, this.#flags, bytes, from, to, this.#promise);
    }
    this.#blockStream = this.#stream;
    this.#blockFlags = this.#flags;
    this.#continuations = 0;
    // A copy of its own: `bytes` may be what was kept.
    const first = Buffer.from(bytes.subarray(from, to));
    this.#keptBytes = 0;
    this.#keep(first, 0, first.length);
  }

  /** A CONTINUATION has been kept behind what came before. */
  #continue(kept: Buffer): void {
    if (++this.#continuations > CONTINUATIONS) {
      return this.fail(Reason.ENHANCE_YOUR_CALM, `more than ${CONTINUATIONS} CONTINUATION frames`);
    }
    if ((this.#flags & Flag.END_HEADERS) === 0) return;
    const stream = this.#blockStream;
    const length = this.#keptBytes;
    this.#blockStream = 0;
    this.#keptBytes = 0;
    this.#receiver.onBlock(stream, this.#blockFlags, kept, 0, length, this.#promise);
  }

  #keep(from: Buffer, start: number, end: number): boolean {
    const total = this.#keptBytes + end - start;
    if (total > Math.max(this.#blockBytes, FRAME_BYTES)) {
      this.fail(Reason.ENHANCE_YOUR_CALM, 'a header block that is too long');
      return false;
    }
    if (total > this.#kept.length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(total, Math.min(total * 2, FRAME_BYTES), 256));
      grown.set(this.#kept.subarray(0, this.#keptBytes));
      this.#kept = grown;
    }
    from.copy(this.#kept, this.#keptBytes, start, end);
    this.#keptBytes = total;
    return true;
  }
}

const EMPTY = Buffer.alloc(0);
