// One stream of HTTP/2, either side: its windows, what waits for them, and its states. What it carries is left to
// downstream and upstream.

import { wheel } from '../../io/connection.ts';
import { Timed } from '../../io/wheel.ts';
import type { Fields } from '../../wire/fields.ts';
import { memory } from '../../wire/http1/llhttp.ts';
import { Flag, FRAME_BYTES, FRAME_HEADER_BYTES, FrameType, WINDOW_MAX } from '../../wire/http2/frame.ts';
import { type Session, STREAM_WINDOW_BYTES } from './session.ts';

/** A DATA frame with its header makes one TLS record of the largest size. */
const PIECE_BYTES = FRAME_BYTES - FRAME_HEADER_BYTES;
const NONE = Buffer.alloc(0);

export abstract class Stream extends Timed {
  readonly session: Session;
  /** Its number on the connection. */
  readonly number: number;
  /** Neither side says anything more on it: the peer has ended, we have ended. */
  remoteEnded = false;
  localEnded = false;
  /** Out of the session's table. */
  gone = false;
  #window: number;
  /** What waits to be sent: `#queue[#queueStart..]`. */
  #queue: Buffer = NONE;
  #queueStart = 0;
  #queueLast = false;
  /** Trailers that follow what waits. */
  #queueTrailers: Buffer | null = null;
  /** What the peer may still send, and what we could allow it again. */
  #receiveWindow = STREAM_WINDOW_BYTES;
  #credit = 0;
  /** Received while the one who takes it was busy: in order, and whether the stream has ended behind it. */
  #early: Buffer[] | null = null;
  #earlyEnd = false;
  #earlyTrailers: Fields | null = null;
  /** Who takes what is received has asked to stop. */
  #held = false;

  constructor(session: Session, number: number) {
    super();
    this.session = session;
    this.number = number;
    this.#window = session.initialWindow;
    session.streams.set(number, this);
  }

  /** A header block has come, in the session's `block`: a head, or trailers. */
  abstract onBlock(last: boolean): void;
  /** The peer has broken the stream off. */
  abstract onReset(reason: number): void;
  /** Takes a piece of the body; false: hold the next one back until `release`. */
  protected abstract take(bytes: Uint8Array, start: number, end: number): boolean;
  /** The body is complete. Trailers are borrowed: valid until return. */
  protected abstract takeEnd(trailers: Fields | null): void;
  /** All that waited has been sent. */
  protected abstract emptied(): void;
  /** The stream is broken off by us for a fault of the peer's. */
  protected abstract broken(reason: number): void;

  /** Whether anything waits to be sent. */
  get waiting(): boolean {
    return this.#queueLast || this.#queueTrailers !== null || this.#queue.length > this.#queueStart;
  }

  // Sending.

  /** Sends a piece of the body. False: what did not fit has been kept; send no more until `emptied`. */
  sendData(bytes: Uint8Array, start: number, end: number, last: boolean): boolean {
    if (this.gone || this.localEnded) return true;
    const at = this.waiting ? start : this.#put(bytes, start, end, last);
    if (at === end && (!last || this.localEnded)) return true;
    const rest = Buffer.from(bytes.subarray(at, end));
    this.#queue =
      this.#queue.length > this.#queueStart ? Buffer.concat([this.#queue.subarray(this.#queueStart), rest]) : rest;
    this.#queueStart = 0;
    this.#queueLast = last;
    return false;
  }

  /** The body is complete; `trailers` are field lines, empty for none. */
  sendEnd(trailers: Buffer): void {
    if (this.gone || this.localEnded || this.#queueLast) return;
    if (!this.waiting) return this.#putEnd(trailers);
    if (trailers.length > 0) this.#queueTrailers = trailers;
    else this.#queueLast = true;
  }

  /** The peer allows `by` more (less, if below 0); false: that is more than a window can be. */
  openWindow(by: number): boolean {
    this.#window += by;
    if (this.#window > WINDOW_MAX) return false;
    if (by > 0) this.pump();
    return true;
  }

  /** Sends what waits as far as it may be. */
  pump(): void {
    if (!this.waiting || this.gone) return;
    const before = this.#queueStart;
    this.#queueStart = this.#put(this.#queue, before, this.#queue.length, this.#queueLast);
    if (this.#queueStart > before) this.advanced();
    if (this.#queueStart < this.#queue.length || (this.#queueLast && !this.localEnded)) return;
    this.#queue = NONE;
    this.#queueStart = 0;
    this.#queueLast = false;
    const trailers = this.#queueTrailers;
    this.#queueTrailers = null;
    if (trailers !== null) this.#putEnd(trailers);
    this.emptied();
  }

  /** Something that waited has been sent. */
  protected advanced(): void {}

  /** Writes as much as windows and kernel allow; answers the offset after it. */
  #put(bytes: Uint8Array, start: number, end: number, last: boolean): number {
    const { session } = this;
    if (start === end) {
      if (last) this.#putEnd(NONE);
      return end;
    }
    let at = start;
    while (at < end) {
      const piece = session.allowance(Math.min(end - at, PIECE_BYTES), this.#window);
      if (piece <= 0) break;
      const ends = last && at + piece === end;
      session.out.frame(FrameType.DATA, ends ? Flag.END_STREAM : 0, this.number, bytes, at, at + piece);
      this.#window -= piece;
      session.sent(piece);
      at += piece;
      if (ends) this.#endLocal();
    }
    return at;
  }

  #putEnd(trailers: Buffer): void {
    if (trailers.length > 0) this.session.sendTrailers(this.number, trailers, 0, trailers.length);
    else this.session.out.frame(FrameType.DATA, Flag.END_STREAM, this.number, NONE, 0, 0);
    this.#endLocal();
  }

  /** We have said all that we say. */
  #endLocal(): void {
    this.localEnded = true;
    this.leaveIfOver();
  }

  // Receiving.

  /** A DATA frame of this length comes; false: the peer was not allowed to send so much. */
  charge(length: number): boolean {
    this.#receiveWindow -= length;
    // Padding is passed on to nobody, so it is counted back with the frame's last byte; simply all at once.
    this.#credit += length;
    return this.#receiveWindow >= 0;
  }

  onData(start: number, end: number, last: boolean): void {
    if (this.gone) return;
    if (last) this.remoteEnded = true;
    if (this.#held) {
      if (end > start) (this.#early ??= []).push(Buffer.from(memory.subarray(start, end)));
      this.#earlyEnd = last;
      return;
    }
    if (end > start && !this.take(memory, start, end)) this.hold();
    if (last) {
      if (this.#held) this.#earlyEnd = true;
      else this.takeEnd(null);
    }
    this.#settle();
  }

  /** Trailers have come, and with them the end: passed on behind what is held back. */
  protected endWith(trailers: Fields): void {
    if (!this.#held) return this.takeEnd(trailers);
    this.#earlyTrailers = trailers.copy();
    this.#earlyEnd = true;
  }

  /** Whoever takes the body wants no more for now. */
  hold(): void {
    this.#held = true;
  }

  /** Goes on with what came meanwhile. */
  release(): void {
    if (!this.#held || this.gone) return;
    this.#held = false;
    while (!this.#held && this.#early !== null) {
      const piece = this.#early.shift();
      if (piece === undefined) {
        this.#early = null;
        break;
      }
      if (!this.take(piece, 0, piece.length)) this.#held = true;
      if (this.gone) return;
    }
    if (!this.#held && this.#earlyEnd) {
      this.#earlyEnd = false;
      const trailers = this.#earlyTrailers;
      this.#earlyTrailers = null;
      this.takeEnd(trailers);
    }
    this.#settle();
  }

  get held(): boolean {
    return this.#held;
  }

  /** Lets the peer send again what has been passed on. */
  #settle(): void {
    if (this.#held || this.#credit === 0 || this.gone) return;
    if (this.remoteEnded || this.#credit * 2 >= STREAM_WINDOW_BYTES) {
      this.session.consumed(this.#credit);
      if (!this.remoteEnded) {
        this.session.out.number(FrameType.WINDOW_UPDATE, this.number, this.#credit);
        this.#receiveWindow += this.#credit;
      }
      this.#credit = 0;
    }
  }

  // The end.

  /** Breaks the stream off. */
  reset(reason: number): void {
    if (this.gone) return;
    this.session.resetStream(this.number, reason);
    this.leave();
    this.broken(reason);
  }

  /** Both sides are done. */
  leaveIfOver(): void {
    if (this.localEnded && this.remoteEnded && !this.gone) this.leave();
  }

  /** Out of the session; nothing more is sent or passed on. */
  leave(): void {
    if (this.gone) return;
    this.gone = true;
    this.#queue = NONE;
    this.#queueStart = 0;
    this.#queueLast = false;
    this.#queueTrailers = null;
    this.#early = null;
    this.session.streams.delete(this.number);
    // What was received and not passed on must not keep the connection's window shut.
    if (this.#credit > 0) this.session.consumed(this.#credit);
    this.#credit = 0;
    wheel.remove(this);
    this.left();
  }

  /** The session has one stream less. */
  protected left(): void {}
}
