// Connections that are there before the first request wants one: keeps so many of them idle to every endpoint that is well.

import type { ProxyError } from '../base/errors.ts';
import type { Connection } from '../io/connection.ts';
import { flush } from '../io/send.ts';
import type { Cluster, Keeper } from '../upstream/cluster.ts';
import type { Endpoint } from '../upstream/endpoint.ts';
import { blame } from './blame.ts';
import type { Guest } from './gathering.ts';
import { leaseDialed } from './lease.ts';
import type { Upstream } from './upstream.ts';

const LOOK_EVERY_MS = 500;
/** Connections begun for one endpoint at one look, so that one that has just come back is not stormed. */
const AT_ONCE = 8;

export class Warmer implements Keeper {
  readonly #cluster: Cluster;
  readonly #least: number;
  #timer: NodeJS.Timeout | null = null;

  constructor(cluster: Cluster, least: number) {
    this.#cluster = cluster;
    this.#least = least;
  }

  start(): void {
    this.#look();
    this.#timer = setInterval(() => {
      this.#look();
      flush();
    }, LOOK_EVERY_MS);
    this.#timer.unref();
  }

  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
  }

  #look(): void {
    for (const endpoint of this.#cluster.endpoints) {
      const { standing, pool } = endpoint;
      if (!standing.eligible || standing.trial !== 'none') continue;
      // One of HTTP/2 is as good as many.
      const missing = pool.share() !== null ? 0 : this.#least - (pool.open - pool.leaving);
      for (let i = 0; i < Math.min(missing, AT_ONCE) && pool.roomy && pool.gathering === null; i++) {
        const warming = new Warming(this.#cluster, endpoint);
        warming.upstream = leaseDialed(this.#cluster, endpoint, warming, false);
      }
    }
  }
}

/** Puts a connection into the pool as soon as it stands. */
class Warming implements Guest {
  readonly #cluster: Cluster;
  readonly #endpoint: Endpoint;
  /** What is being dialed. */
  upstream: Upstream | null = null;

  constructor(cluster: Cluster, endpoint: Endpoint) {
    this.#cluster = cluster;
    this.#endpoint = endpoint;
  }

  connected(upstream: Upstream): void {
    upstream.park();
  }

  failed(error: ProxyError): void {
    blame(this.#cluster, this.#endpoint, this.upstream, error);
  }

  expired(): null {
    return null;
  }

  anew(): void {}
  replyHead(): void {}
  replyData(): void {}
  replied(): void {}
  drained(): void {}

  switched(connection: Connection): void {
    connection.destroy();
  }
}
