// A client's connection: dialed when the first request needs it, encrypted where that is asked for, given up when something fails or takes too long, dialed
// again after a pause. What is said over it is left to those who extend this.

import type { Address } from '../../../lib/base/address.ts';
import type { Connection } from '../../../lib/io/connection.ts';
import { type Dialer, dial } from '../../../lib/io/dial.ts';
import type { LoadErrors } from '../load.ts';
import type { Handshakes } from './handshakes.ts';
import type { Client, Pace } from './pace.ts';
import { PAUSE_MS, type Tally } from './tally.ts';

/** Where the proxy under measurement listens. */
export function loopback(port: number): Address {
  return { kind: 'tcp', host: '127.0.0.1', port, path: '', fd: -1 };
}

export abstract class DialedClient implements Client, Dialer {
  protected readonly tally: Tally;
  /** When the request under way was due. */
  protected dueMs = 0;
  /** Whether a request is under way. */
  protected busy = false;
  readonly #pace: Pace;
  readonly #address: Address;
  readonly #fromWriting: boolean;
  readonly #handshakes: Handshakes | null;
  #connection: Connection | null = null;
  /** Whether the connection takes requests. */
  #ready = false;
  #pause: NodeJS.Timeout | null = null;
  #stopped = false;

  /**
   * `fromWriting`: latency begins when a request can be written rather than when it was due, as for connections that
   * stay open in a closed loop, where dialing is no part of what is measured. `handshakes`: null without TLS.
   */
  constructor(port: number, tally: Tally, pace: Pace, fromWriting: boolean, handshakes: Handshakes | null) {
    this.#address = loopback(port);
    this.#handshakes = handshakes;
    this.tally = tally;
    this.#pace = pace;
    this.#fromWriting = fromWriting;
  }

  begin(dueMs: number, nowMs: number): void {
    this.busy = true;
    this.dueMs = dueMs;
    this.#connection ??= dial(this.#address, this);
    this.#connection.expireIn(Math.max(this.tally.patienceMs - (nowMs - dueMs), 1));
    if (this.#ready) this.ask();
  }

  stop(): void {
    this.#stopped = true;
    if (this.#pause !== null) clearTimeout(this.#pause);
    this.drop();
  }

  connected(): void {
    if (this.#handshakes === null) return this.greet();
    this.#handshakes.begin(
      this.#connection!,
      () => this.greet(),
      () => this.fail('connect'),
    );
  }

  abstract received(start: number, end: number): void;

  /** The connection stands: say what must be said first, then `stand`. */
  protected abstract greet(): void;

  /** Write the next request. */
  protected abstract ask(): void;

  finished(): void {
    if (this.busy) this.fail('read');
    else this.drop();
  }

  // Requests are written past the connection's own sending, so that it has nothing to wait for.
  drained(): void {}

  closed(error: NodeJS.ErrnoException | null): void {
    if (!this.#ready) this.fail('connect');
    else this.fail(error?.syscall === 'write' ? 'write' : 'read');
  }

  expired(): void {
    if (this.busy) this.fail('timeout');
  }

  crashed(error: unknown): never {
    throw error;
  }

  /** The connection takes requests, and the first one waits. */
  protected stand(): void {
    this.#ready = true;
    if (this.#fromWriting) this.dueMs = performance.now();
    this.ask();
  }

  /** Hands `bytes`, which nobody may change any more, to the kernel: no copy, and the socket keeps what must wait. */
  protected write(bytes: Buffer): void {
    const { link, socket } = this.#connection!;
    if (link === null) socket.write(bytes);
    else link.write(bytes, -1);
  }

  /** The request under way is over, well or not. */
  protected over(nowMs: number): void {
    this.busy = false;
    this.#connection?.expireIn(0);
    this.#pace.free(this, nowMs);
  }

  /** The request under way has failed, or the connection beside one; the next one gets another connection. */
  protected fail(kind: keyof LoadErrors): void {
    this.drop();
    if (!this.busy) return;
    if (kind === 'timeout') this.tally.gaveUp(this.dueMs, performance.now());
    else this.tally.errors[kind]++;
    this.tally.pausing++;
    this.#pause = setTimeout(() => {
      this.tally.pausing--;
      if (!this.#stopped) this.over(performance.now());
    }, PAUSE_MS);
  }

  protected drop(): void {
    this.#connection?.destroy();
    this.#connection = null;
    this.#ready = false;
  }
}
