// One socket, either side: delivers what arrives, sends what it is given, pauses and resumes, and keeps one deadline.
// What the bytes mean is the business of its receiver, which can be exchanged at any time: that is how a connection
// changes its protocol.

import type { Socket } from 'node:net';
import { carve, memory } from '../wire/http1/llhttp.ts';
import {
  breakOff,
  dismiss,
  lendableAt,
  type Reader,
  type ReadingSocket,
  Through,
  takenBytes,
  waits,
  writeThrough,
} from './receive.ts';
import { breakOffSecure, type SecureLink, type SecureOptions, secure } from './secure.ts';
import { flush, GATHER_BYTES, gather, gathered, gatherRoom, type Sender } from './send.ts';
import { releaseSlab, retainSlab, slabHolders, slabsScarce } from './slab.ts';
import { Timed, Wheel } from './wheel.ts';

/** Who handles what a connection receives. Nothing is called any more after `closed` or after `destroy`. */
export interface Receiver {
  /** A dialed connection stands; nothing may be sent before. */
  connected?(): void;
  /** Bytes `start..end` of the memory: borrowed, valid until return, unless a sender lent them (see `send`). */
  received(start: number, end: number): void;
  /** The peer sends no more; we still may. */
  finished(): void;
  /** The kernel has taken everything; called only after `send` answered false. */
  drained(): void;
  /** The connection is gone, for the reason given or because it was at its end. */
  closed(error: NodeJS.ErrnoException | null): void;
  /** The deadline has passed. */
  expired(): void;
  /** Code of ours threw while it handled this connection. */
  crashed(error: unknown): void;
}

/** The deadlines of this event loop. What is gathered by those that are not a connection's own leaves after each turn. */
export const wheel = new Wheel(undefined, flush, (error) => report(error));

/** Views at least this long leave from where they lie; shorter ones are cheaper to copy than to send alone. */
const DIRECT_BYTES = 16 * 1024;
const EMPTY = Buffer.alloc(0);
/** How long a connection that is closing may stand still before what waits is given up. */
const CLOSING_MS = 10_000;

/** Where kept bytes lie while they are delivered again. */
const INJECT_BYTES = 64 * 1024;
const injection = carve(INJECT_BYTES);

/** Where exceptions of receivers go that not even `crashed` could handle. */
let report: (error: unknown) => void = () => {};

/** Sets what is told of exceptions that a receiver could not handle itself. */
export function onCrash(told: (error: unknown) => void): void {
  report = told;
}

export class Connection extends Timed implements Reader, Sender {
  /** Another one once the connection encrypts. */
  socket: ReadingSocket;
  /** What encrypts, null while nothing does. */
  link: SecureLink | null = null;
  receiver: Receiver;
  /** Bytes received and handed over so far. */
  receivedBytes = 0;
  sentBytes = 0;
  /** How often something was handed to the kernel. */
  pushes = 0;
  /** Whether something that was sent waits for the kernel. */
  blocked = false;
  paused = false;
  /** Whether the peer has finished, and whether we have. */
  finished = false;
  ended = false;

  /** Told once, when the socket is closed, whoever closed it; for counting. */
  onGone: (() => void) | null = null;
  /** Why the socket failed, once it has. */
  failure: NodeJS.ErrnoException | null = null;

  slab = -1;
  reading = false;
  gone = false;
  settled = false;
  #held: number[] | null = null;
  #takenBytes = 0;
  #closingMs = CLOSING_MS;
  /** What is to happen once nothing waits in the link. */
  #then: 'nothing' | 'end' | 'close' = 'nothing';

  constructor(socket: ReadingSocket, receiver: Receiver) {
    super();
    this.socket = socket;
    this.receiver = receiver;
    this.#attend(socket);
  }

  /** Goes on with another socket in the place of one that leads nowhere. Not once it is gone. */
  adopt(socket: ReadingSocket): void {
    this.socket = socket;
    this.#attend(socket);
    if (this.paused) socket.pause();
  }

  /**
   * Encrypts from here on; what was sent before, plain, must be little enough for the kernel to take at once. `early` are bytes of the handshake that were read already, its own.
   * Nothing may be sent before the handshake is over. False when the connection is gone.
   */
  encrypt(options: SecureOptions, early: Uint8Array | null): boolean {
    if (this.gone) return false;
    flush();
    const made = secure(this.socket, options, () => this.#emptied());
    if (made === null) return false;
    this.socket = made.socket;
    this.link = made.link;
    this.#attend(made.socket);
    if (this.slab >= 0) releaseSlab(this.slab);
    this.slab = -1;
    this.paused = false;
    made.begin(early);
    return true;
  }

  /**
   * Sends `bytes[start..end]`, in order, after everything sent before; valid bytes in `gather`ed order leave at the end
   * of the current event. Answers false when the kernel did not take everything: send no more until `drained`, and if
   * the bytes were delivered by a connection, leave them alone (pause it) until then.
   */
  send(bytes: Uint8Array, start: number, end: number): boolean {
    if (this.gone) return true;
    this.sentBytes += end - start;
    if (bytes === memory && end - start >= DIRECT_BYTES) {
      const slab = lendableAt(start);
      if (slab >= 0) {
        flush();
        this.push(start, end, slab);
        return !this.blocked;
      }
    }
    while (start < end) {
      const room = gatherRoom(this);
      const piece = Math.min(end - start, room > 0 ? room : GATHER_BYTES);
      const at = gather(this, piece);
      if (at < 0) return this.#starve();
      if (bytes === memory) memory.copyWithin(at, start, start + piece);
      else memory.set(bytes.subarray(start, start + piece), at);
      gathered(at + piece);
      start += piece;
    }
    return !this.blocked;
  }

  /** Where up to `bytes` of something to send may be written; follow up with `wrote`. -1: no memory, destroyed. */
  compose(bytes: number): number {
    const at = gather(this, bytes);
    if (at < 0) this.#starve();
    return at;
  }

  /** Sends what was written from `at`, the answer of `compose`, up to `to`. */
  wrote(at: number, to: number): void {
    this.sentBytes += to - at;
    gathered(to);
  }

  /** Sends what somebody has written into a slab of its own, which may be released on return. */
  pushSlab(start: number, end: number, slab: number): void {
    this.sentBytes += end - start;
    this.push(start, end, slab);
  }

  push(start: number, end: number, slab: number): boolean {
    const { socket } = this;
    if (this.gone || this.ended) return true;
    this.pushes++;
    const bytes = memory.subarray(start, end);
    if (this.link !== null) {
      const holders = slabHolders(slab);
      if (!this.link.write(bytes, slab)) this.#wait();
      return slabHolders(slab) === holders;
    }
    // A thousand readers that stand still must not take the slabs that everybody else needs to be answered at all.
    const copied = slabsScarce();
    const sent = copied ? Buffer.from(bytes) : bytes;
    const through = this.blocked ? Through.UNABLE : writeThrough(socket, sent);
    if (through === Through.TAKEN) return true;
    if (through === Through.UNABLE) {
      socket.write(sent);
      if (socket.writableLength === 0) return true;
    }
    if (!copied) {
      retainSlab(slab);
      (this.#held ??= []).push(slab);
    }
    if (through === Through.UNABLE) this.#await();
    else this.#wait();
    return false;
  }

  /** Stops reading; what was delivered already stays delivered. */
  pause(): void {
    if (this.paused) return;
    this.paused = true;
    if (!this.reading && !this.gone) this.socket.pause();
  }

  resume(): void {
    if (!this.paused) return;
    this.paused = false;
    // Within a delivery the flag alone is enough: reading has not been stopped yet.
    if (!this.reading && !this.gone) this.socket.resume();
  }

  /** Delivers bytes that were kept from an earlier delivery as if they came now. Not within a delivery of theirs. */
  inject(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length && !this.gone; at += INJECT_BYTES) {
      const piece = bytes.subarray(at, at + INJECT_BYTES);
      memory.set(piece, injection);
      this.receivedBytes -= piece.length;
      this.deliver(injection, injection + piece.length);
    }
    flush();
  }

  /** The message that was received is over: large buffers are not needed any longer. */
  settle(): void {
    this.settled = true;
  }

  /** Sends what is gathered, then closes our side; the peer may still send. */
  finish(): void {
    if (this.ended || this.gone) return;
    flush();
    this.ended = true;
    if (this.link?.waiting) {
      this.#then = 'end';
      return;
    }
    this.#holdEnd();
    this.socket.end();
  }

  /**
   * Sends what is gathered and what waits, then closes both sides. When nothing moves for `standstillMs` the peer sees a
   * reset: it has not got everything.
   */
  close(standstillMs = CLOSING_MS): void {
    if (this.gone) return;
    flush();
    this.#leave();
    // An encrypted one says good-bye first (RFC 8446 6.1), so that its peer knows that it has everything.
    if (this.link === null && !waits(this.socket)) {
      this.socket.destroy();
      return;
    }
    // Its slab may be somebody else's by now: not one byte may be read into it.
    this.socket.pause();
    if (this.link?.waiting) this.#then = 'close';
    else {
      if (!this.ended) this.#holdEnd();
      this.socket.destroySoon();
    }
    // Nobody else watches over what still waits.
    this.#closingMs = standstillMs > 0 ? standstillMs : CLOSING_MS;
    wheel.arm(this, this.#closingMs);
  }

  /** Closes at once. What the kernel has not taken is lost. The receiver hears nothing more. */
  destroy(): void {
    if (this.gone) return;
    flush();
    this.#leave();
    this.link?.abandon();
    this.socket.destroy();
  }

  /** As `destroy`, but so that the peer sees a reset: it must not take what it got for the whole. */
  reset(): void {
    if (this.gone) return;
    this.#leave();
    this.breakOff();
  }

  /** Resets what may be closing already. */
  breakOff(): void {
    if (this.link === null) return breakOff(this.socket);
    this.link.abandon();
    breakOffSecure(this.socket);
  }

  /** As `reset`, but the receiver is told, so that it can clear up. */
  abort(error: NodeJS.ErrnoException): void {
    if (this.gone) return;
    this.#run(callClosed, error);
    this.reset();
  }

  /** Sets the deadline to `ms` from now; 0 clears it. */
  expireIn(ms: number): void {
    if (this.gone) return;
    if (ms > 0) wheel.arm(this, ms);
    else wheel.disarm(this);
  }

  /** Whether the kernel has taken bytes since this was last asked; true also when nothing waits. */
  progressed(): boolean {
    const before = this.#takenBytes;
    this.#takenBytes = this.#taken();
    return this.#takenBytes > before || !this.#waits();
  }

  deliver(start: number, end: number): void {
    this.receivedBytes += end - start;
    try {
      this.receiver.received(start, end);
    } catch (error) {
      this.#crash(error);
    }
  }

  override expire(): void {
    if (!this.gone) return this.#run(callExpired, null);
    if (this.progressed() && this.#waits()) wheel.arm(this, this.#closingMs);
    else this.breakOff();
  }

  /** Runs one call of the receiver from outside a delivery: exceptions end here and what it gathered is sent. */
  #run(
    call: (receiver: Receiver, error: NodeJS.ErrnoException | null) => void,
    error: NodeJS.ErrnoException | null,
  ): void {
    try {
      call(this.receiver, error);
    } catch (thrown) {
      this.#crash(thrown);
    }
    flush();
  }

  #crash(error: unknown): void {
    try {
      this.receiver.crashed(error);
    } catch (again) {
      report(again);
      this.reset();
    }
  }

  /**
   * Before our side is closed: what waits past the stream's queue must be waited for by the stream too. It would shut
   * the handle down at once, behind those bytes, and a handle that is shutting down cannot be reset any more.
   */
  #holdEnd(): void {
    if (this.socket.writableLength === 0 && waits(this.socket)) this.socket.write(EMPTY);
  }

  #await(): void {
    if (this.blocked) this.#wait();
    else {
      this.#wait();
      // Behind everything else: its callback comes when all before it has been taken.
      this.socket.write(EMPTY, (error) => {
        // After a failure the end of the connection is what follows, not a drain.
        if (!error) this.taken();
      });
    }
  }

  #wait(): void {
    this.#takenBytes = this.#taken();
    this.blocked = true;
  }

  #waits(): boolean {
    return this.link === null ? waits(this.socket) : this.link.waiting;
  }

  #taken(): number {
    return this.link === null ? takenBytes(this.socket) : this.link.takenBytes;
  }

  #attend(socket: ReadingSocket): void {
    socket.reader = this;
    socket.on('end', onEnd);
    socket.on('error', onError);
    socket.on('close', onClose);
  }

  /** The link has nothing left to send. */
  #emptied(): void {
    const then = this.#then;
    this.#then = 'nothing';
    if (then === 'close') this.socket.destroySoon();
    else if (then === 'end') this.socket.end();
    if (this.gone || !this.blocked) return;
    this.blocked = false;
    this.#run(callDrained, null);
  }

  /** For `writeThrough` and the queue only: what was waited for is gone. */
  taken(): void {
    if (this.gone) return;
    this.blocked = false;
    if (waits(this.socket)) {
      // After `finish` nothing can be queued behind the rest any more, but its end is told.
      if (this.ended) this.socket.once('finish', () => this.taken());
      else this.#await();
      return;
    }
    this.#letGo();
    this.#run(callDrained, null);
  }

  #letGo(): void {
    const held = this.#held;
    if (held === null) return;
    for (const slab of held) releaseSlab(slab);
    held.length = 0;
  }

  #leave(): void {
    wheel.remove(this);
    dismiss(this);
    this.receiver = NOBODY;
  }

  #starve(): false {
    this.abort(Object.assign(new Error('out of buffers'), { code: 'ENOBUFS' }));
    return false;
  }

  /** For the socket's events only, like the two below. */
  onConnected(): void {
    this.#run(callConnected, null);
  }
  onFinished(): void {
    this.finished = true;
    this.#run(callFinished, null);
  }
  onClosed(error: NodeJS.ErrnoException | null): void {
    // Only now does nobody write from the slabs any more.
    const { receiver } = this;
    const known = this.gone;
    this.#leave();
    this.link?.abandon();
    this.#letGo();
    this.blocked = false;
    if (!known) {
      this.receiver = receiver;
      this.#run(callClosed, error);
      this.receiver = NOBODY;
    }
    const told = this.onGone;
    this.onGone = null;
    told?.();
  }
}

/** What a connection has when nobody listens any more. */
export const NOBODY: Receiver = {
  received() {},
  finished() {},
  drained() {},
  closed() {},
  expired() {},
  crashed() {},
};

const callConnected = (receiver: Receiver): void => receiver.connected?.();
const callFinished = (receiver: Receiver): void => receiver.finished();
const callDrained = (receiver: Receiver): void => receiver.drained();
const callExpired = (receiver: Receiver): void => receiver.expired();
const callClosed = (receiver: Receiver, error: NodeJS.ErrnoException | null): void => receiver.closed(error);

function onEnd(this: Socket): void {
  ((this as ReadingSocket).reader as Connection).onFinished();
}
function onError(this: Socket, error: NodeJS.ErrnoException): void {
  ((this as ReadingSocket).reader as Connection).failure = error;
}
function onClose(this: Socket): void {
  const connection = (this as ReadingSocket).reader as Connection;
  connection.onClosed(connection.failure);
}
