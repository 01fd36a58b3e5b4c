// One connection of HTTP/2, either side (RFC 9113): settings, windows, pings, the end, and which stream a frame is for.
// What streams carry is left to downstream and upstream; who floods us with frames that mean nothing is shown out here.

import type { Connection, Receiver } from '../../io/connection.ts';
import { memory } from '../../wire/http1/llhttp.ts';
import { FieldBlock } from '../../wire/http2/field-block.ts';
import {
  Flag,
  FRAME_BYTES,
  FrameType,
  PREFACE,
  putNumber,
  putSettings,
  Reason,
  readNumber,
  reasonName,
  Setting,
  WINDOW_DEFAULT,
  WINDOW_MAX,
} from '../../wire/http2/frame.ts';
import { FrameReader, type FrameReceiver } from '../../wire/http2/frame-reader.ts';
import { HpackDecoder } from '../../wire/http2/hpack-decoder.ts';
import { blockRoom, putLines } from '../../wire/http2/hpack-encoder.ts';
import { Budget } from './budget.ts';
import { Output } from './output.ts';
import type { Stream } from './stream.ts';

/** What a peer may send on one stream, and on all of them, before we have passed it on. */
export const STREAM_WINDOW_BYTES = 256 * 1024;
export const CONNECTION_WINDOW_BYTES = 1024 * 1024;
/** Exchanges under way on one connection. */
export const STREAMS = 128;

/** Frames that bring nothing: pings, settings, priorities, empty DATA, windows. Useful ones earn some of it back. */
const IDLE_FRAMES = 2000;
const IDLE_FRAMES_PER_SECOND = 200;
/** What one DATA frame or one request earns: windows are opened for them. */
const EARNED = 4;
/** Streams that a peer breaks off before we are done with them (CVE-2023-44487). */
const RESETS = 500;
const RESETS_PER_SECOND = 50;

/** Longest header block that is read at all; what is longer than a head may be is refused with words up to here. */
const BLOCK_BYTES_MAX = 64 * 1024;
/** Longest header block that is sent in one piece of memory. */
const BLOCK_BYTES = blockRoom(64 * 1024);

// Blocks are borrowed and read and written one at a time, so these serve all sessions.
export const block = new FieldBlock();
export const encoded = Buffer.allocUnsafeSlow(BLOCK_BYTES);

/** Who owns a session. */
export interface SessionOwner {
  /** A header block for a stream that does not exist (any more): it must be decoded whatever happens. */
  onBlock(stream: number, last: boolean): void;
  /** The kind of block, limits and so on: `block` is to be begun. Answers the stream if it exists. */
  beginBlock(stream: number): Stream | null;
  /** The peer's settings have come. */
  settled(): void;
  /** The peer accepts no streams above `last`. */
  goingAway(last: number, reason: number): void;
  /** A ping of ours came back. */
  ponged(): void;
  /** The session is over, for the reason given; the connection is closed or closing. Streams have not been told. */
  over(reason: string): void;
  /** The kernel takes bytes again. */
  writable(): void;
  expired(): void;
  crashed(error: unknown): void;
}

export class Session implements Receiver, FrameReceiver {
  readonly connection: Connection;
  readonly streams = new Map<number, Stream>();
  readonly out: Output;
  /** What the peer allows. */
  peerStreams = 100;
  peerExtendedConnect = false;
  initialWindow = WINDOW_DEFAULT;
  sendWindow = WINDOW_DEFAULT;
  readonly #owner: SessionOwner;
  readonly #reader: FrameReader;
  readonly #decoder = new HpackDecoder();
  readonly #budget = new Budget(IDLE_FRAMES, IDLE_FRAMES_PER_SECOND);
  readonly #resets = new Budget(RESETS, RESETS_PER_SECOND);
  /** Bytes of the client's preface still missing. */
  #prefaceLeft: number;
  #settled = false;
  /** What the peer may still send before we open the window again, and what we could open it by. */
  #receiveWindow = CONNECTION_WINDOW_BYTES;
  #credit = 0;
  #ended = false;

  /** `server`: the peer is a client, whose preface comes first. `settings` are ours. */
  constructor(
    connection: Connection,
    server: boolean,
    settings: readonly (readonly [number, number])[],
    owner: SessionOwner,
  ) {
    this.connection = connection;
    this.#owner = owner;
    this.out = new Output(connection);
    this.#prefaceLeft = server ? PREFACE.length : 0;
    this.#reader = new FrameReader(this, BLOCK_BYTES_MAX);
    connection.receiver = this;
    const start = server ? 0 : PREFACE.copy(encoded, 0);
    const end = putSettings(settings, encoded, start);
    connection.send(encoded, 0, end);
    this.out.number(FrameType.WINDOW_UPDATE, 0, CONNECTION_WINDOW_BYTES - WINDOW_DEFAULT);
  }

  get over(): boolean {
    return this.#ended;
  }

  /** Whether a request is arriving. */
  get inBlock(): boolean {
    return this.#reader.inBlock;
  }

  // What the connection tells.

  received(start: number, end: number): void {
    let at = start;
    if (this.#prefaceLeft > 0) {
      at = this.#readPreface(start, end);
      if (at < 0) return this.fail(Reason.PROTOCOL_ERROR, 'not the preface of HTTP/2');
    }
    if (this.#ended) return;
    this.#reader.read(at, end);
    const { fault, detail } = this.#reader;
    if (fault >= 0) this.fail(fault, detail);
  }

  finished(): void {
    this.#over('closed');
    this.connection.close();
  }

  drained(): void {
    this.#owner.writable();
  }

  closed(error: NodeJS.ErrnoException | null): void {
    this.#over(error?.code ?? 'closed');
  }

  expired(): void {
    this.#owner.expired();
  }

  crashed(error: unknown): void {
    this.#owner.crashed(error);
    this.fail(Reason.INTERNAL_ERROR, 'internal');
  }

  // Frames.

  onFrame(type: number, flags: number, stream: number, bytes: Buffer, start: number, end: number): void {
    const length = end - start;
    if (!this.#settled && type !== FrameType.SETTINGS) return this.fail(Reason.PROTOCOL_ERROR, 'no SETTINGS first');
    switch (type) {
      case FrameType.SETTINGS:
        return this.#onSettings(flags, stream, bytes, start, end);
      case FrameType.PING:
        if (stream !== 0) return this.fail(Reason.PROTOCOL_ERROR, 'PING on a stream');
        if (length !== 8) return this.fail(Reason.FRAME_SIZE_ERROR, 'PING');
        if ((flags & Flag.ACK) !== 0) return this.#owner.ponged();
        if (this.#spend()) this.out.frame(FrameType.PING, Flag.ACK, 0, bytes, start, end);
        return;
      case FrameType.WINDOW_UPDATE:
        if (length !== 4) return this.fail(Reason.FRAME_SIZE_ERROR, 'WINDOW_UPDATE');
        return this.#onWindow(stream, readNumber(bytes, start) & 0x7fff_ffff);
      case FrameType.RST_STREAM:
        if (length !== 4) return this.fail(Reason.FRAME_SIZE_ERROR, 'RST_STREAM');
        return this.#onReset(stream, readNumber(bytes, start));
      case FrameType.GOAWAY:
        if (stream !== 0) return this.fail(Reason.PROTOCOL_ERROR, 'GOAWAY on a stream');
        if (length < 8) return this.fail(Reason.FRAME_SIZE_ERROR, 'GOAWAY');
        if (this.#spend()) this.#owner.goingAway(readNumber(bytes, start) & 0x7fff_ffff, readNumber(bytes, start + 4));
        return;
      case FrameType.PRIORITY:
        if (stream === 0) return this.fail(Reason.PROTOCOL_ERROR, 'PRIORITY on stream 0');
        if (length !== 5) return this.resetStream(stream, Reason.FRAME_SIZE_ERROR);
        this.#spend();
        return;
      default:
        // RFC 9113 5.5: unknown ones are ignored.
        this.#spend();
    }
  }

  onBlock(stream: number, flags: number, bytes: Buffer, start: number, end: number, promise: boolean): void {
    if (!this.#settled) return this.fail(Reason.PROTOCOL_ERROR, 'no SETTINGS first');
    if (promise) return this.fail(Reason.PROTOCOL_ERROR, 'PUSH_PROMISE');
    const found = this.#owner.beginBlock(stream);
    if (this.#ended) return;
    if (!this.#decoder.decode(bytes, start, end, block)) return this.fail(Reason.COMPRESSION_ERROR, 'header block');
    const last = (flags & Flag.END_STREAM) !== 0;
    this.#budget.earn(EARNED);
    if (found === null) this.#owner.onBlock(stream, last);
    else if (found.remoteEnded) this.fail(Reason.STREAM_CLOSED, 'HEADERS on a stream that has ended');
    else found.onBlock(last);
  }

  onDataFrame(stream: number, length: number): void {
    if (!this.#settled) return this.#reader.fail(Reason.PROTOCOL_ERROR, 'no SETTINGS first');
    this.#receiveWindow -= length;
    if (this.#receiveWindow < 0) return this.#reader.fail(Reason.FLOW_CONTROL_ERROR, 'the window of the connection');
    if (length === 0) this.#spend();
    else this.#budget.earn(EARNED);
    const found = this.streams.get(stream);
    if (found === undefined) {
      // It may have been reset while these were on their way.
      if (this.#isIdle(stream)) this.#reader.fail(Reason.PROTOCOL_ERROR, 'DATA on a stream that was never opened');
      else this.consumed(length);
    } else if (found.remoteEnded) this.#reader.fail(Reason.STREAM_CLOSED, 'DATA on a stream that has ended');
    else if (!found.charge(length)) {
      this.consumed(length);
      found.reset(Reason.FLOW_CONTROL_ERROR);
    }
  }

  onData(stream: number, start: number, end: number, last: boolean): void {
    this.streams.get(stream)?.onData(start, end, last);
  }

  // What streams ask for.

  /** Bytes that the peer sent have been passed on: it may send as many again. */
  consumed(bytes: number): void {
    this.#credit += bytes;
    if (this.#credit * 2 < CONNECTION_WINDOW_BYTES || this.#ended) return;
    this.out.number(FrameType.WINDOW_UPDATE, 0, this.#credit);
    this.#receiveWindow += this.#credit;
    this.#credit = 0;
  }

  /** Sends the block of `length` bytes in `encoded`. */
  sendBlock(stream: number, last: boolean, length: number): void {
    this.out.block(stream, last, encoded, length);
  }

  /** Sends trailers: field lines as text. */
  sendTrailers(stream: number, bytes: Uint8Array, start: number, end: number): void {
    if (blockRoom(end - start) > encoded.length) return this.resetStream(stream, Reason.INTERNAL_ERROR);
    this.sendBlock(stream, true, putLines(bytes, start, end, null, encoded, 0));
  }

  /** What may be sent now of `bytes` on a stream with this window; 0 when the time has not come. */
  allowance(bytes: number, window: number): number {
    if (this.connection.blocked) return 0;
    return Math.min(bytes, window, this.sendWindow);
  }

  resetStream(stream: number, reason: number): void {
    this.out.number(FrameType.RST_STREAM, stream, reason);
  }

  sent(bytes: number): void {
    this.sendWindow -= bytes;
    this.#budget.earn(EARNED);
  }

  goAway(last: number, reason: number): void {
    putNumber(reason, encoded, putNumber(last, encoded, 0));
    this.out.frame(FrameType.GOAWAY, 0, 0, encoded, 0, 8);
  }

  ping(): void {
    this.out.frame(FrameType.PING, 0, 0, PING, 0, PING.length);
  }

  /** Ends the connection for a fault of the peer, or of ours. */
  fail(reason: number, detail: string): void {
    if (this.#ended) return;
    this.#reader.fail(reason, detail);
    this.goAway(this.lastStream, reason);
    this.#over(`${reasonName(reason)}: ${detail}`);
    this.#close();
  }

  /** Says what has been written, then closes; streams are not asked. */
  end(): void {
    if (this.#ended) return;
    this.#over('');
    this.#close();
  }

  /** Highest stream that the peer has opened. */
  lastStream = 0;
  /** Highest stream that we have opened. */
  ownStream = 0;

  #close(): void {
    this.out.flush();
    // What the peer still sends would make the kernel reset the connection, and it would not learn why.
    this.connection.receiver = new Ending(this.connection);
  }

  #over(reason: string): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#owner.over(reason);
  }

  #spend(): boolean {
    if (this.#budget.spend(1)) return true;
    this.#reader.fail(Reason.ENHANCE_YOUR_CALM, 'too many frames without use');
    return false;
  }

  #isIdle(stream: number): boolean {
    return (stream & 1) === 1 ? stream > Math.max(this.lastStream, this.ownStream) : true;
  }

  #readPreface(start: number, end: number): number {
    let at = start;
    while (this.#prefaceLeft > 0 && at < end) {
      if (memory[at] !== PREFACE[PREFACE.length - this.#prefaceLeft]) return -1;
      at++;
      this.#prefaceLeft--;
    }
    return at;
  }

  #onSettings(flags: number, stream: number, bytes: Buffer, start: number, end: number): void {
    if (stream !== 0) return this.fail(Reason.PROTOCOL_ERROR, 'SETTINGS on a stream');
    if ((flags & Flag.ACK) !== 0) {
      if (end > start) this.fail(Reason.FRAME_SIZE_ERROR, 'SETTINGS');
      return;
    }
    if ((end - start) % 6 !== 0) return this.fail(Reason.FRAME_SIZE_ERROR, 'SETTINGS');
    if (!this.#spend()) return;
    this.#settled = true;
    for (let at = start; at < end; at += 6) {
      const value = readNumber(bytes, at + 2);
      switch ((bytes[at]! << 8) | bytes[at + 1]!) {
        case Setting.ENABLE_PUSH:
          if (value > 1) return this.fail(Reason.PROTOCOL_ERROR, 'ENABLE_PUSH');
          break;
        case Setting.MAX_CONCURRENT_STREAMS:
          this.peerStreams = value;
          break;
        case Setting.INITIAL_WINDOW_SIZE:
          if (value > WINDOW_MAX) return this.fail(Reason.FLOW_CONTROL_ERROR, 'INITIAL_WINDOW_SIZE');
          if (!this.#moveWindows(value - this.initialWindow)) return;
          this.initialWindow = value;
          break;
        case Setting.MAX_FRAME_SIZE:
          // We never send more than the least that must be allowed.
          if (value < FRAME_BYTES || value > 0xff_ffff) return this.fail(Reason.PROTOCOL_ERROR, 'MAX_FRAME_SIZE');
          break;
        case Setting.ENABLE_CONNECT_PROTOCOL:
          this.peerExtendedConnect = value === 1;
          break;
      }
    }
    this.out.frame(FrameType.SETTINGS, Flag.ACK, 0, bytes, 0, 0);
    this.#owner.settled();
  }

  /** RFC 9113 6.9.2: a new initial window moves those of all streams. */
  #moveWindows(by: number): boolean {
    for (const stream of [...this.streams.values()]) {
      if (!stream.openWindow(by)) {
        this.fail(Reason.FLOW_CONTROL_ERROR, 'INITIAL_WINDOW_SIZE');
        return false;
      }
    }
    return true;
  }

  #onWindow(stream: number, by: number): void {
    if (!this.#spend()) return;
    if (stream === 0) {
      if (by === 0) return this.fail(Reason.PROTOCOL_ERROR, 'a window opened by nothing');
      this.sendWindow += by;
      if (this.sendWindow > WINDOW_MAX) return this.fail(Reason.FLOW_CONTROL_ERROR, 'the window of the connection');
      return this.pump();
    }
    const found = this.streams.get(stream);
    if (found === undefined) {
      if (this.#isIdle(stream)) this.fail(Reason.PROTOCOL_ERROR, 'a window of a stream that was never opened');
    } else if (by === 0) found.reset(Reason.PROTOCOL_ERROR);
    else if (!found.openWindow(by)) found.reset(Reason.FLOW_CONTROL_ERROR);
  }

  #onReset(stream: number, reason: number): void {
    if (stream === 0) return this.fail(Reason.PROTOCOL_ERROR, 'RST_STREAM on stream 0');
    const found = this.streams.get(stream);
    if (found !== undefined) {
      if (!this.#resets.spend(1)) return this.fail(Reason.ENHANCE_YOUR_CALM, 'too many streams broken off');
      found.onReset(reason);
    } else if (this.#isIdle(stream)) this.fail(Reason.PROTOCOL_ERROR, 'RST_STREAM of a stream that was never opened');
    else this.#spend();
  }

  /** Who waits for a window or for the kernel goes on, in turn. */
  pump(): void {
    for (const stream of this.streams.values()) {
      if (this.sendWindow <= 0 || this.connection.blocked) return;
      stream.pump();
    }
  }
}

const PING = Buffer.from('millrace');

/** Reads and drops for a moment what a peer still sends that has been told to go. */
class Ending implements Receiver {
  readonly #connection: Connection;
  #bytes = 0;

  constructor(connection: Connection) {
    this.#connection = connection;
    connection.finish();
    connection.expireIn(connection.finished ? 1 : ENDING_MS);
    connection.resume();
  }
  received(start: number, end: number): void {
    this.#bytes += end - start;
    if (this.#bytes > CONNECTION_WINDOW_BYTES * 2) this.#connection.reset();
  }
  finished(): void {
    this.#connection.close();
  }
  drained(): void {}
  closed(): void {}
  expired(): void {
    this.#connection.close();
  }
  crashed(): void {
    this.#connection.reset();
  }
}

const ENDING_MS = 1000;
