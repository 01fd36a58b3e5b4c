// Exchanges that wait for one dial: a connection of HTTP/2 serves them all, so nobody needs one of his own while it is being
// made. Whether an endpoint speaks HTTP/2 is found out by the dial.

import { type ProxyError, proxyError } from '../base/errors.ts';
import { wheel } from '../io/connection.ts';
import { Timed } from '../io/wheel.ts';
import type { Pool } from '../upstream/pool.ts';
import { crash } from './blame.ts';
import type { UpstreamConnection } from './h1/upstream.ts';
import { STREAMS } from './h2/session.ts';
import type { UpstreamSession } from './h2/upstream.ts';
import type { UpstreamUser } from './upstream.ts';

/** Who can wait for a dial that others began. */
export interface Guest extends UpstreamUser {
  /** The connection that was dialed is for others: an endpoint is to be chosen once more. */
  anew(): void;
}

export class Gathering extends Timed {
  /** What is being dialed. */
  connection: UpstreamConnection = null as never;
  readonly #pool: Pool;
  readonly #guests: Guest[] = [];
  #session: UpstreamSession | null = null;

  constructor(pool: Pool) {
    super();
    this.#pool = pool;
    pool.gathering = this;
  }

  /** Whether one more may wait. */
  get roomy(): boolean {
    return this.#guests.length + 1 < STREAMS;
  }

  /** `guest` waits from now on; it is told by `connected`, `failed` or `anew`. */
  join(guest: Guest): void {
    this.#guests.push(guest);
  }

  /** `guest` waits no longer. */
  leave(guest: UpstreamUser): void {
    const at = this.#guests.indexOf(guest as Guest);
    if (at >= 0) this.#guests.splice(at, 1);
  }

  /** `to` waits in place of `from`. */
  replace(from: UpstreamUser, to: Guest): void {
    const at = this.#guests.indexOf(from as Guest);
    if (at >= 0) this.#guests[at] = to;
  }

  /** Who has waited longest, and waits no longer: to be dialed for. Null without any. */
  next(): Guest | null {
    return this.#guests.shift() ?? null;
  }

  /** The connection stands, but what it has room for is only known when the peer's settings have come: `ms` from now at the latest. */
  stands(session: UpstreamSession, ms: number): void {
    this.#session = session;
    if (ms > 0) wheel.arm(this, ms);
  }

  override expire(): void {
    this.#session?.settled();
  }

  /** As many as it has room for get their streams, the others look for another. */
  share(session: UpstreamSession): void {
    this.close();
    try {
      while (session.roomy) {
        const guest = this.next();
        if (guest === null) break;
        guest.connected(session.open());
      }
    } finally {
      this.dissolve();
    }
  }

  /** It is a connection for one: all must look for others. */
  dissolve(): void {
    this.close();
    this.#tell((guest) => guest.anew());
  }

  failed(error: ProxyError): void {
    this.close();
    this.#tell((guest) => guest.failed(error));
  }

  /** The connection broke before its settings came. `told`: whoever has a stream on it has heard of that. */
  broken(reason: string, told: boolean): void {
    this.connection.blamed ||= told;
    this.failed(proxyError('connect_failed', reason));
  }

  /** Nobody joins it any more. */
  close(): void {
    wheel.remove(this);
    if (this.#pool.gathering === this) this.#pool.gathering = null;
  }

  /** Tells them all, whatever comes of it: what one of them throws is its own affair. */
  #tell(say: (guest: Guest) => void): void {
    const guest = this.next();
    if (guest === null) return;
    try {
      say(guest);
    } catch (error) {
      guest.failed(crash(error));
    } finally {
      this.#tell(say);
    }
  }
}
