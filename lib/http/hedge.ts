// A second copy of a request that is slow to be answered, at another endpoint: whichever of the two answers first is heard
// (Dean and Barroso, "The Tail at Scale", 2013). Until then it is a user of its own upstream; when it is chosen, everything
// goes on to the user that it stands in for.

import { type ProxyError, proxyError } from '../base/errors.ts';
import type { Connection } from '../io/connection.ts';
import type { Cluster } from '../upstream/cluster.ts';
import type { Endpoint } from '../upstream/endpoint.ts';
import type { Fields } from '../wire/fields.ts';
import type { ResponseHead } from '../wire/http1/head.ts';
import { UpstreamConnection } from './h1/upstream.ts';
import type { UpstreamSession } from './h2/upstream.ts';
import type { Kept } from './kept.ts';
import type { Upstream, UpstreamUser } from './upstream.ts';

/** Whom a hedge stands in for. */
export interface Hedged extends UpstreamUser {
  /** Whether a reply is one to pass on, rather than one that would be tried again. */
  accepts(status: number): boolean;
  /** The hedge has answered first: what was under way before is given up, and this is heard. */
  choose(hedge: Hedge): void;
  /** The hedge has come to nothing. */
  lost(hedge: Hedge): void;
}

export class Hedge implements UpstreamUser {
  readonly endpoint: Endpoint;
  /** When it was sent. */
  sentMs = 0;
  readonly #cluster: Cluster;
  readonly #user: Hedged;
  readonly #kept: Kept;
  readonly #bodyless: boolean;
  #upstream: Upstream;
  #connected = false;
  #chosen = false;

  /** Sends what is kept, a whole request without a body, to `endpoint`, which must have room. */
  constructor(cluster: Cluster, endpoint: Endpoint, user: Hedged, kept: Kept, bodyless: boolean) {
    this.endpoint = endpoint;
    this.#cluster = cluster;
    this.#user = user;
    this.#kept = kept;
    this.#bodyless = bodyless;
    endpoint.enter();
    endpoint.stats.exchanges++;
    const session = endpoint.pool.share() as UpstreamSession | null;
    const upstream = session !== null ? session.open() : (endpoint.pool.take() as UpstreamConnection | null);
    this.#upstream = upstream ?? new UpstreamConnection(cluster, endpoint, this, false);
    if (upstream !== null) this.connected(upstream);
  }

  /** Where it was sent; while it is being dialed, where it will be. */
  get upstream(): Upstream {
    return this.#upstream;
  }

  /** Whether it has been sent. */
  get isSent(): boolean {
    return this.#connected;
  }

  /** From now on its user hears of everything, and owns the upstream. */
  adopt(): void {
    this.#chosen = true;
  }

  /** It is not wanted any more; `slow`: another was faster, which says something of its endpoint. */
  cancel(): void {
    if (this.#chosen) return;
    this.#leave();
    this.#cluster.outrun(this.endpoint, this.#connected ? performance.now() - this.sentMs : 0);
    this.#upstream.abandon();
  }

  connected(upstream: Upstream): void {
    this.#upstream = upstream;
    if (this.#chosen) return this.#user.connected(upstream);
    this.#connected = true;
    this.sentMs = performance.now();
    upstream.begin(this, this.#bodyless, false, false);
    this.#kept.send(upstream);
    upstream.requestComplete = true;
    upstream.expireIn(this.#cluster.options.timeouts.responseMs);
  }

  replyHead(head: ResponseHead, last: boolean): void {
    if (!this.#chosen) {
      if (head.status < 200) return;
      if (!this.#user.accepts(head.status)) {
        this.#leave();
        this.#cluster.failed(this.endpoint, `status ${head.status}`);
        this.#upstream.abandon();
        return this.#user.lost(this);
      }
      this.#user.choose(this);
    }
    this.#user.replyHead(head, last);
  }

  replyData(bytes: Uint8Array, start: number, end: number): void {
    this.#user.replyData(bytes, start, end);
  }

  replied(trailers: Fields | null): void {
    this.#user.replied(trailers);
  }

  switched(connection: Connection, start: number, end: number): void {
    // Never asked for: such a reply is refused before it comes here.
    if (this.#chosen) this.#user.switched(connection, start, end);
    else connection.destroy();
  }

  drained(): void {
    if (this.#chosen) this.#user.drained();
  }

  failed(error: ProxyError): void {
    if (this.#chosen) return this.#user.failed(error);
    this.#leave();
    const { stats } = this.endpoint;
    if (error.kind.retry === 'always') stats.connectFailures++;
    else stats.failures++;
    if (this.#upstream.reused && error.kind.retry === 'unsent') this.#cluster.undecided(this.endpoint);
    else this.#cluster.failed(this.endpoint, error.code);
    this.#user.lost(this);
  }

  expired(): ProxyError | null {
    return this.#chosen ? this.#user.expired() : proxyError('response_timeout');
  }

  #leave(): void {
    this.endpoint.leave();
    if (this.#cluster.capped) this.#cluster.wake();
  }
}
