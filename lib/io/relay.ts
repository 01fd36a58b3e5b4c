// Two connections that pass on to each other whatever comes: the end of every tunnel, whichever protocol led to it.
// The only relay in the house.

import { memory } from '../wire/http1/llhttp.ts';
import type { Connection, Receiver } from './connection.ts';

/** Told once, when a tunnel is over: why, or null when both sides ended it. */
export type RelayEnd = (error: NodeJS.ErrnoException | null) => void;

/**
 * Owns both connections from here: bytes flow both ways with backpressure, each side's end is passed on by itself, a
 * failure of one resets the other, and silence of `idleMs` (0: no limit) in both directions ends the tunnel.
 * Reading is resumed on both.
 */
export function relay(downstream: Connection, upstream: Connection, idleMs: number, ended: RelayEnd): void {
  const tunnel = new Tunnel(downstream, upstream, idleMs, ended);
  downstream.receiver = new Half(tunnel, downstream, upstream);
  upstream.receiver = new Half(tunnel, upstream, downstream);
  tunnel.seen();
  // What one side has ended before the tunnel began is passed on now.
  if (upstream.finished) downstream.finish();
  if (downstream.finished) upstream.finish();
  if (!upstream.blocked) downstream.resume();
  if (!downstream.blocked) upstream.resume();
}

/** Whether a connection is one side of a tunnel. */
export function isRelayed({ receiver }: Connection): boolean {
  return receiver instanceof Half;
}

class Tunnel {
  readonly #downstream: Connection;
  readonly #upstream: Connection;
  readonly #idleMs: number;
  readonly #ended: RelayEnd;
  #over = false;

  constructor(downstream: Connection, upstream: Connection, idleMs: number, ended: RelayEnd) {
    this.#downstream = downstream;
    this.#upstream = upstream;
    this.#idleMs = idleMs;
    this.#ended = ended;
  }

  /** Something moved: silence is counted from now. One deadline serves both directions. */
  seen(): void {
    if (this.#idleMs > 0) this.#downstream.expireIn(this.#idleMs);
  }

  /** The silence limit has passed. A reader that is merely slow still makes progress. */
  silent(): void {
    const moving = this.#downstream.progressed() && this.#downstream.blocked;
    if (moving || (this.#upstream.progressed() && this.#upstream.blocked)) {
      this.seen();
      return;
    }
    this.#downstream.close();
    this.#upstream.close();
    this.over(Object.assign(new Error('idle for too long'), { code: 'ETIMEDOUT' }));
  }

  over(error: NodeJS.ErrnoException | null): void {
    if (this.#over) return;
    this.#over = true;
    this.#ended(error);
  }
}

/** One direction: what `from` receives goes to `to`. */
class Half implements Receiver {
  readonly #tunnel: Tunnel;
  readonly #from: Connection;
  readonly #to: Connection;

  constructor(tunnel: Tunnel, from: Connection, to: Connection) {
    this.#tunnel = tunnel;
    this.#from = from;
    this.#to = to;
  }

  received(start: number, end: number): void {
    this.#tunnel.seen();
    if (!this.#to.send(memory, start, end)) this.#from.pause();
  }

  finished(): void {
    this.#to.finish();
  }

  drained(): void {
    this.#tunnel.seen();
    this.#to.resume();
  }

  closed(error: NodeJS.ErrnoException | null): void {
    // What has been received is still delivered unless the connection was broken off.
    if (error === null) this.#to.close();
    else this.#to.reset();
    this.#tunnel.over(error);
  }

  expired(): void {
    this.#tunnel.silent();
  }

  crashed(error: unknown): void {
    this.#from.reset();
    this.#to.reset();
    this.#tunnel.over(error instanceof Error ? error : new Error(String(error)));
    // Both ends are closed; what happened is still to be told.
    throw error;
  }
}
