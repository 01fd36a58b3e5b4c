// A listener: takes the connections that its ports accept, counts them, refuses what is too many, and drains. Ports are
// bound and closed by whoever applies snapshots; what a connection speaks is dispatch's business.

import type { Socket } from 'node:net';
import { AddressBlocks, parseBlocks } from '../base/address.ts';
import type { Log } from '../base/log.ts';
import type { Drainable, HttpListener } from '../http/listener.ts';
import { Connection, NOBODY } from '../io/connection.ts';
import { descriptorOf, type ReadingSocket } from '../io/receive.ts';
import { isRelayed } from '../io/relay.ts';
import type { Crowd } from './crowd.ts';
import { scarceFrom } from './descriptors.ts';
import { type Dispatcher, Session } from './dispatch.ts';
import type { Accepting } from './port.ts';
import type { ListenerPlan } from './snapshot.ts';

type Mutable<T> = { -readonly [Key in keyof T]: T[Key] };

/** How long clients that keep their connection get to send a request that may be on its way already. */
const GRACE_MS = 1000;
/** Idle connections that are closed when descriptors have run out. */
const SHED = 64;

const BUSY = Buffer.from(
  'HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 40\r\n' +
    'Retry-After: 1\r\nConnection: close\r\n\r\nToo many connections; try again later.\r\n',
  'latin1',
);

/** Why a connection ends that outlasts a drain. */
const CUT = Object.assign(new Error('cut off'), { code: 'ECANCELED' });

/** Connections of a listener that were cut off, by what they were doing. */
export interface Cut {
  readonly listener: string;
  /** With exchanges. */
  readonly http: number;
  /** Those that relay bytes, of TCP or after an upgrade, or have yet to say what they are. */
  readonly tunnels: number;
}

export class Listener implements Dispatcher, Accepting {
  readonly http: Mutable<HttpListener>;
  /** The same for requests over TLS. */
  readonly https: Mutable<HttpListener>;
  readonly stats = { accepted: 0, refused: 0, acceptErrors: 0 };
  readonly #log: Log;
  readonly #sessions = new Set<Session>();
  readonly #shed: () => void;
  #crowd: Crowd;
  #plan: ListenerPlan;
  #trusted: AddressBlocks;
  #emptied: (() => void) | null = null;

  /** `crowd` counts connections over all event loops; `shed` is asked to free descriptors when there are none left. */
  constructor(plan: ListenerPlan, crowd: Crowd, log: Log, shed: () => void) {
    const { limits, timeouts } = plan.options;
    this.#plan = plan;
    this.#crowd = crowd;
    this.#log = log;
    this.#shed = shed;
    this.#trusted = trustedBy(plan);
    const stats = { exchanges: 0, refused: 0 };
    this.http = { routes: plan.routes, limits, timeouts, draining: false, graceMs: 0, log, stats };
    this.https = { ...this.http, routes: plan.securedRoutes };
  }

  get plan(): ListenerPlan {
    return this.#plan;
  }

  /** Connections open now. */
  get open(): number {
    return this.#sessions.size;
  }

  /** Connections that begin, and exchanges of those that stay, go by this plan from now on; `crowd` counts them for its name. */
  follow(plan: ListenerPlan, crowd: Crowd): void {
    const { limits, timeouts } = plan.options;
    if (plan.name !== this.#plan.name) {
      for (let moved = 0; moved < this.#sessions.size; moved++) {
        this.#crowd.leave();
        crowd.enter();
      }
      this.#crowd = crowd;
    }
    this.#plan = plan;
    this.#trusted = trustedBy(plan);
    Object.assign(this.http, { routes: plan.routes, limits, timeouts });
    Object.assign(this.https, { routes: plan.securedRoutes, limits, timeouts });
  }

  trusts(address: string): boolean {
    return this.#trusted.has(address);
  }

  /** Replies end their connections from now on, also of those that are accepted last; all is to be over in `timeoutMs`. */
  retire(timeoutMs: number): void {
    const graceMs = Math.max(1, Math.min(GRACE_MS, timeoutMs / 2));
    Object.assign(this.http, { draining: true, graceMs });
    Object.assign(this.https, { draining: true, graceMs });
  }

  /** Its ports are closed and it is retired: closes what is idle and lets the rest finish. Resolves when nothing is open. */
  async drain(): Promise<void> {
    for (const session of this.#sessions) session.http?.retire();
    if (this.#sessions.size === 0) return;
    return new Promise((resolve) => {
      this.#emptied = resolve;
    });
  }

  /** What there would be to cut off now. */
  get uncut(): Cut {
    let http = 0;
    for (const session of this.#sessions) if (session.http !== null && !isRelayed(session.connection)) http++;
    return { listener: this.#plan.name, http, tunnels: this.#sessions.size - http };
  }

  /** Breaks off what is open; answers how many that were. */
  cut(): number {
    const cut = this.#sessions.size;
    for (const { connection } of this.#sessions) {
      // Whoever serves it is told, so that nothing is left open upstream.
      connection.abort(CUT);
      // One that is closing already has nobody to tell, but may wait for its client for long.
      connection.breakOff();
    }
    return cut;
  }

  /** Closes some connections that wait for a request, the oldest first; those that never sent one only for want of others. */
  shedIdle(): void {
    if (this.#shedSome((http) => http.drain()) === 0) this.#shedSome((http) => http.shed());
  }

  #shedSome(close: (http: Drainable) => boolean): number {
    let closed = 0;
    for (const { http } of this.#sessions) {
      if (closed === SHED) break;
      if (http !== null && close(http)) closed++;
    }
    return closed;
  }

  accept(socket: ReadingSocket, local: boolean): void {
    const { connections } = this.#plan.options.limits;
    this.stats.accepted++;
    if (connections > 0 && this.#crowd.count >= connections) return this.#refuse(socket);
    if (!local && socket.remoteAddress === undefined) {
      // Reset before it was accepted, though its bytes may still be readable: nobody can say any more who sent them.
      socket.destroy();
      return;
    }
    if (descriptorOf(socket) >= scarceFrom) this.#runShort();
    const connection = new Connection(socket, NOBODY);
    const session = new Session(connection, this, local);
    this.#sessions.add(session);
    this.#crowd.enter();
    connection.onGone = () => this.#forget(session);
    session.begin();
  }

  #forget(session: Session): void {
    this.#sessions.delete(session);
    this.#crowd.leave();
    if (this.#sessions.size === 0) this.#emptied?.();
  }

  #refuse(socket: Socket): void {
    this.stats.refused++;
    this.#log.limited(`full ${this.#plan.name}`, 1000).warn('too many connections', {
      listener: this.#plan.name,
      limit: this.#plan.options.limits.connections,
    });
    socket.on('error', () => {});
    // Whoever comes to an `auto` listener may speak anything.
    if (this.#plan.options.protocol !== 'http' || this.#plan.tls !== null) socket.destroy();
    else socket.end(BUSY, () => socket.destroy());
  }

  #runShort(): void {
    this.#log.limited('descriptors', 1000).warn('descriptors are running out', { listener: this.#plan.name });
    this.#shed();
  }

  acceptFailed(error: NodeJS.ErrnoException): void {
    this.stats.acceptErrors++;
    this.#log.limited('accept', 1000).error('cannot accept', { listener: this.#plan.name, cause: error.code });
    this.#shed();
  }
}

function trustedBy({ options }: ListenerPlan): AddressBlocks {
  const trusted = parseBlocks(options.trustedProxies);
  // Checked with the configuration; what is not an address is trusted in no case.
  return trusted instanceof AddressBlocks ? trusted : new AddressBlocks();
}
