// Layer 4: picks an endpoint with room, or waits for one; dials it, says who the client is if the endpoint wants to know,
// and relays. Nothing has been sent before the relay begins, so an endpoint that cannot be reached costs the client nothing
// but time.

import { dialError, type ProxyError, proxyError } from '../base/errors.ts';
import { hashText } from '../base/hash.ts';
import type { Log } from '../base/log.ts';
import type { Queue, Queued } from '../base/queue.ts';
import { type Connection, type Receiver, wheel } from '../io/connection.ts';
import { dial } from '../io/dial.ts';
import { relay } from '../io/relay.ts';
import { Timed } from '../io/wheel.ts';
import type { Cluster, Waiter } from '../upstream/cluster.ts';
import type { Endpoint } from '../upstream/endpoint.ts';
import type { Poolable } from '../upstream/pool.ts';
import { memory } from '../wire/http1/llhttp.ts';
import { type ProxyEnd, writeProxyHeaderV1, writeProxyHeaderV2 } from '../wire/proxy-protocol.ts';

/** Endpoints tried for one connection, each once. */
const DIALS = 10;
/** Once so much has come while the client waits, no more is read. */
const MOST_KEPT_BYTES = 4096;
/** What a pool is told of connections that it never keeps. */
const UNPOOLED: Poolable = { retire() {} };

/** What is passed on besides the bytes. */
export interface PassOptions {
  readonly cluster: Cluster;
  /** Silence in both directions after which a tunnel ends; 0 sets no limit. */
  readonly idleMs: number;
  /** The ends of the client's connection, for PROXY headers. Null when unknown. */
  readonly source: ProxyEnd | null;
  readonly destination: ProxyEnd | null;
  readonly log: Log;
}

/**
 * Passes a connection on to the cluster; owns it from here. `first` are bytes that the client has sent already.
 * A client that no endpoint can be reached for, or that waits too long for one with room, sees a reset.
 */
export function pass(downstream: Connection, first: Uint8Array | null, options: PassOptions): void {
  new Passing(downstream, first, options).proceed();
}

/** A connection on its way to becoming a tunnel: the receiver of the endpoint's side until then. */
class Passing extends Timed implements Receiver, Waiter {
  queue: Queue | null = null;
  ahead: Queued | null = null;
  behind: Queued | null = null;
  readonly #downstream: Connection;
  /** Bytes of the client that the endpoint gets first. */
  #first: Uint8Array | null;
  readonly #options: PassOptions;
  #upstream: Connection | null = null;
  #endpoint: Endpoint | null = null;
  readonly #tried: Endpoint[] = [];
  readonly #hash: number;
  #dials = 0;
  #keptBytes = 0;

  constructor(downstream: Connection, first: Uint8Array | null, options: PassOptions) {
    super();
    this.#downstream = downstream;
    this.#first = first;
    this.#options = options;
    // There is nothing else to go by.
    this.#hash = options.cluster.options.hash === null ? 0 : hashText(options.source?.address ?? '');
    downstream.receiver = new Waiting(downstream, this);
    downstream.expireIn(0);
    downstream.pause();
  }

  /** Tries the next endpoint that has room for a connection, or waits for one. */
  proceed(): void {
    const { cluster } = this.#options;
    const endpoint = cluster.pickAvailable(this.#tried, this.#hash, this, true);
    // Who is woken in vain keeps its place in the queue, and its deadline.
    const waiting = this.queue !== null;
    if (endpoint !== null) {
      if (waiting) {
        cluster.leave(this);
        wheel.disarm(this);
      }
      return this.#dial(endpoint);
    }
    if (waiting) return;
    // Who has been at an endpoint has been here longer than anybody in the queue.
    const refusal = cluster.wait(this, this.#tried.length > 0);
    if (refusal !== null) return this.#refuse(null, proxyError(refusal));
    wheel.arm(this, cluster.options.pool.queueTimeoutMs);
    // Whoever waits is read from, since else nobody would notice that it is gone.
    if (this.#keptBytes < MOST_KEPT_BYTES) this.#downstream.resume();
  }

  /** The client has sent something while it waits. */
  keep(start: number, end: number): void {
    const bytes = memory.subarray(start, end);
    this.#first = Buffer.concat(this.#first === null ? [bytes] : [this.#first, bytes]);
    this.#keptBytes += bytes.length;
    if (this.#keptBytes >= MOST_KEPT_BYTES) this.#downstream.pause();
  }

  /** It has waited for too long. */
  override expire(): void {
    const { cluster } = this.#options;
    cluster.leave(this);
    cluster.stats.queueTimeouts++;
    this.#refuse(null, proxyError('queue_timeout'));
  }

  #dial(endpoint: Endpoint): void {
    const { cluster } = this.#options;
    const { pool } = endpoint;
    const crowded = !pool.roomy;
    this.#downstream.pause();
    this.#dials++;
    this.#endpoint = endpoint;
    endpoint.enter();
    endpoint.becomeTunnel();
    pool.opened();
    // One that HTTP keeps for later makes room for what is wanted now.
    if (crowded) pool.yield();
    const upstream = dial(endpoint.address, this, cluster.options.dial);
    this.#upstream = upstream;
    upstream.expireIn(cluster.options.timeouts.connectMs);
    upstream.onGone = () => {
      pool.closed(UNPOOLED);
      cluster.wake();
    };
  }

  /** The client is gone before there was a tunnel. */
  giveUp(): void {
    const { cluster } = this.#options;
    wheel.remove(this);
    cluster.leave(this);
    this.#upstream?.destroy();
    const endpoint = this.#leave();
    if (endpoint === null) return;
    cluster.undecided(endpoint, this);
    cluster.wake();
  }

  connected(): void {
    const upstream = this.#upstream!;
    const endpoint = this.#endpoint!;
    const { cluster, source, destination } = this.#options;
    upstream.expireIn(0);
    const { proxyProtocol } = cluster.options;
    if (proxyProtocol !== 'off') {
      const header = (proxyProtocol === 'v1' ? writeProxyHeaderV1 : writeProxyHeaderV2)(source, destination);
      upstream.send(header, 0, header.length);
      // Without buffers it has failed while sending: `closed` has been told, and may be dialing another by now.
      if (upstream.gone) return;
    }
    if (cluster.tls === null) return this.#relay();
    cluster.tls.begin(upstream, endpoint.name, endpoint.host, false, {
      secured: () => this.#relay(),
      insecure: (cause) => this.#failed(proxyError('tls_failed', cause)),
    });
  }

  #relay(): void {
    const upstream = this.#upstream!;
    const endpoint = this.#endpoint!;
    if (this.#first !== null) upstream.send(this.#first, 0, this.#first.length);
    if (upstream.gone) return;
    const { cluster } = this.#options;
    cluster.succeeded(endpoint, 0);
    relay(this.#downstream, upstream, this.#options.idleMs, () => {
      endpoint.leaveTunnel();
      cluster.wake();
    });
  }

  // Nothing comes from the endpoint before `connected`, which hands the connection to the relay.
  received(): void {}
  finished(): void {}
  drained(): void {}

  closed(error: NodeJS.ErrnoException | null): void {
    this.#failed(error === null ? proxyError('connect_failed', 'closed') : dialError(error));
  }

  expired(): void {
    this.#upstream?.destroy();
    this.#failed(proxyError('connect_timeout'));
  }

  crashed(error: unknown): void {
    wheel.remove(this);
    this.#options.cluster.leave(this);
    this.#upstream?.destroy();
    const endpoint = this.#leave();
    if (endpoint !== null) this.#options.cluster.undecided(endpoint, this);
    this.#refuse(endpoint, proxyError('internal', error instanceof Error ? (error.stack ?? '') : String(error)));
  }

  #failed(error: ProxyError): void {
    const endpoint = this.#leave();
    if (endpoint !== null) {
      const { cluster } = this.#options;
      // Descriptors of ours that have run out say nothing of it.
      if (error.kind.side !== 'upstream') cluster.undecided(endpoint, this);
      else {
        endpoint.stats.connectFailures++;
        cluster.failed(endpoint, error.code);
      }
    }
    if (endpoint !== null && this.#dials < Math.min(DIALS, this.#options.cluster.endpoints.length)) {
      this.#tell('endpoint not reached, trying another', endpoint, error);
      this.#tried.push(endpoint);
      return this.proceed();
    }
    this.#refuse(endpoint, error);
  }

  #leave(): Endpoint | null {
    const endpoint = this.#endpoint;
    this.#endpoint = null;
    this.#upstream = null;
    if (endpoint !== null) endpoint.leaveTunnel();
    return endpoint;
  }

  #refuse(endpoint: Endpoint | null, error: ProxyError): void {
    this.#tell('no endpoint reached', endpoint, error);
    this.#downstream.reset();
    this.#options.cluster.wake();
  }

  #tell(message: string, endpoint: Endpoint | null, error: ProxyError): void {
    const { cluster, log } = this.#options;
    log.limited(`tcp ${error.code}`, 1000).warn(message, {
      cluster: cluster.name,
      endpoint: endpoint?.name,
      cause: error.code,
      detail: error.detail,
    });
  }
}

/** Receiver of the client's side until the tunnel stands. */
class Waiting implements Receiver {
  readonly #downstream: Connection;
  readonly #passing: Passing;

  constructor(downstream: Connection, passing: Passing) {
    this.#downstream = downstream;
    this.#passing = passing;
  }

  received(start: number, end: number): void {
    this.#passing.keep(start, end);
  }
  finished(): void {}
  drained(): void {}
  closed(): void {
    this.#passing.giveUp();
  }
  expired(): void {}
  crashed(): void {
    this.#passing.giveUp();
    this.#downstream.reset();
  }
}
