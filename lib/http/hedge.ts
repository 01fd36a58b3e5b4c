// A second copy of a request that is slow to be answered, at another endpoint: whichever of the two answers first is heard
// (Dean and Barroso, "The Tail at Scale", 2013). Until then it is the user of an upstream of its own; once it is chosen,
// everything goes on to the user that it stands in for.

import { type ProxyError, proxyError } from '../base/errors.ts';
import type { Connection } from '../io/connection.ts';
import type { Cluster } from '../upstream/cluster.ts';
import type { Endpoint } from '../upstream/endpoint.ts';
import type { ResponseHead } from '../wire/http1/head.ts';
import { blame } from './blame.ts';
import type { Guest } from './gathering.ts';
import type { Kept } from './kept.ts';
import { leaseDialed, leaseOpen } from './lease.ts';
import { retryAfterMs } from './repeat.ts';
import type { Upstream } from './upstream.ts';

/** Whom a hedge stands in for. */
export interface Hedged extends Guest {
  /** Whether a reply is one to pass on, rather than one that would be tried again. */
  accepts(status: number): boolean;
  /** The hedge has answered first: what was under way before is given up, and this is heard. */
  choose(hedge: Hedge): void;
  /** The hedge has come to nothing. `restMs`: its endpoint wants to be left alone for so long; 0: it has not said so. */
  lost(hedge: Hedge, restMs: number): void;
}

export class Hedge implements Guest {
  readonly endpoint: Endpoint;
  /** When it was sent. */
  sentMs = 0;
  readonly #cluster: Cluster;
  readonly #user: Hedged;
  readonly #kept: Kept;
  readonly #bodyless: boolean;
  #upstream: Upstream | null = null;
  #state: 'dialing' | 'sent' | 'over' = 'dialing';

  /** Will send what is kept, a whole request without a body, to `endpoint`, which must have room and was picked for `user`. */
  constructor(cluster: Cluster, endpoint: Endpoint, user: Hedged, kept: Kept, bodyless: boolean) {
    this.endpoint = endpoint;
    this.#cluster = cluster;
    this.#user = user;
    this.#kept = kept;
    this.#bodyless = bodyless;
  }

  /** Sends it; its user may hear that it is lost before this returns. */
  begin(): void {
    const { endpoint } = this;
    endpoint.enter();
    endpoint.stats.exchanges++;
    const upstream = leaseOpen(endpoint, false);
    if (upstream !== null) this.connected(upstream);
    else this.#upstream = leaseDialed(this.#cluster, endpoint, this, false);
  }

  /** Where it was sent; while it is being dialed, where it will be. */
  get upstream(): Upstream {
    return this.#upstream!;
  }

  /** Whether it has been sent. */
  get isSent(): boolean {
    return this.#state === 'sent';
  }

  /** From now on its user hears of everything, and owns the upstream and the place at the endpoint. */
  adopt(): void {
    this.#state = 'over';
    this.#upstream!.replace(this, this.#user);
  }

  /** It is not wanted any more. `outrun`: because another was faster, which says something of its endpoint. */
  cancel(outrun: boolean): void {
    const { endpoint } = this;
    const afterMs = this.#state === 'sent' ? performance.now() - this.sentMs : 0;
    if (!this.#end()) return;
    this.#upstream?.abandon(this);
    if (outrun) this.#cluster.outrun(endpoint, afterMs, this.#user);
    else this.#cluster.undecided(endpoint, this.#user);
    this.#leave();
  }

  connected(upstream: Upstream): void {
    this.#upstream = upstream;
    this.#state = 'sent';
    this.sentMs = performance.now();
    upstream.begin(this, this.#bodyless, false, false);
    upstream.requestComplete = true;
    upstream.expireIn(this.#cluster.options.timeouts.responseMs);
    this.#kept.send(upstream);
  }

  replyHead(head: ResponseHead, last: boolean): void {
    // What comes before an answer is passed on from the first that was asked alone.
    if (head.status < 200) return;
    if (!this.#user.accepts(head.status)) return this.#refuse(head);
    this.#user.choose(this);
    this.#user.replyHead(head, last);
  }

  // Nothing of a body comes here: after a head it is not the hedge's any more.
  replyData(): void {}
  replied(): void {}
  drained(): void {}

  switched(connection: Connection): void {
    // Never asked for: such a reply is refused before it comes here.
    connection.destroy();
  }

  anew(): void {
    if (!this.#end()) return;
    this.#cluster.undecided(this.endpoint, this.#user);
    this.#leave();
    this.#user.lost(this, 0);
  }

  failed(error: ProxyError): void {
    if (!this.#end()) return;
    blame(this.#cluster, this.endpoint, this.#upstream, error, this.#user);
    this.#leave();
    this.#user.lost(this, 0);
  }

  expired(): ProxyError {
    return proxyError('response_timeout');
  }

  /** An answer that would be tried again: whoever was asked first may have a better one. */
  #refuse(head: ResponseHead): void {
    if (!this.#end()) return;
    const { status } = head;
    const restMs = retryAfterMs(head, Date.now());
    this.#upstream!.abandon(this);
    this.#cluster.answered(this.endpoint, status, this.#cluster.measures ? performance.now() - this.sentMs : 0);
    this.#leave();
    this.#user.lost(this, restMs);
  }

  /** Over, if it is still its own; only then what it holds is to be given back. */
  #end(): boolean {
    if (this.#state === 'over') return false;
    this.#state = 'over';
    return true;
  }

  #leave(): void {
    this.endpoint.leave();
    if (this.#cluster.capped) this.#cluster.wake();
  }
}
