// Layer 4: picks an endpoint, dials it, says who the client is if the endpoint wants to know, and relays. Nothing has
// been sent before the relay begins, so an endpoint that cannot be reached costs the client nothing but time.

import { dialError, type ProxyError, proxyError } from '../base/errors.ts';
import { hashText } from '../base/hash.ts';
import type { Log } from '../base/log.ts';
import type { Connection, Receiver } from '../io/connection.ts';
import { dial } from '../io/dial.ts';
import { relay } from '../io/relay.ts';
import type { Cluster } from '../upstream/cluster.ts';
import type { Endpoint } from '../upstream/endpoint.ts';
import { type ProxyEnd, writeProxyHeaderV1, writeProxyHeaderV2 } from '../wire/proxy-protocol.ts';

/** Endpoints tried for one connection, each once. */
const DIALS = 10;

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
 * A client that no endpoint can be reached for sees a reset.
 */
export function pass(downstream: Connection, first: Uint8Array | null, options: PassOptions): void {
  new Passing(downstream, first, options).dial();
}

/** A connection on its way to becoming a tunnel: the receiver of both sides until then. */
class Passing implements Receiver {
  readonly #downstream: Connection;
  readonly #first: Uint8Array | null;
  readonly #options: PassOptions;
  #upstream: Connection | null = null;
  #endpoint: Endpoint | null = null;
  readonly #tried: Endpoint[] = [];
  readonly #hash: number;
  #dials = 0;

  constructor(downstream: Connection, first: Uint8Array | null, options: PassOptions) {
    this.#downstream = downstream;
    this.#first = first;
    this.#options = options;
    // There is nothing else to go by.
    this.#hash = options.cluster.options.hash === null ? 0 : hashText(options.source?.address ?? '');
    downstream.receiver = new Waiting(downstream, this);
    downstream.expireIn(0);
    downstream.pause();
  }

  /** Tries the next endpoint. */
  dial(): void {
    const { cluster } = this.#options;
    const endpoint = cluster.pick(this.#tried, this.#hash);
    if (endpoint === null) return this.#refuse(null, proxyError('no_endpoint'));
    this.#dials++;
    this.#endpoint = endpoint;
    endpoint.enter();
    endpoint.stats.tunnels++;
    const upstream = dial(endpoint.address, this, cluster.options.dial);
    this.#upstream = upstream;
    upstream.expireIn(cluster.options.timeouts.connectMs);
  }

  /** The client is gone before there was a tunnel. */
  giveUp(): void {
    this.#upstream?.destroy();
    const endpoint = this.#leave();
    if (endpoint !== null) this.#options.cluster.undecided(endpoint);
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
    // Without buffers it has failed while sending: `closed` has been told, and may be dialing another by now.
    if (upstream.gone) return;
    this.#options.cluster.succeeded(endpoint, 0);
    relay(this.#downstream, upstream, this.#options.idleMs, () => {
      endpoint.leave();
    });
  }

  received(): void {
    // Bytes cannot come before `connected`, which hands the connection to the relay.
  }

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
    this.#upstream?.destroy();
    const endpoint = this.#leave();
    this.#refuse(endpoint, proxyError('internal', error instanceof Error ? (error.stack ?? '') : String(error)));
  }

  #failed(error: ProxyError): void {
    const endpoint = this.#leave();
    if (endpoint !== null) {
      endpoint.stats.connectFailures++;
      this.#options.cluster.failed(endpoint, error.code);
    }
    if (endpoint !== null && this.#dials < Math.min(DIALS, this.#options.cluster.endpoints.length)) {
      this.#tell('endpoint not reached, trying another', endpoint, error);
      this.#tried.push(endpoint);
      return this.dial();
    }
    this.#refuse(endpoint, error);
  }

  #leave(): Endpoint | null {
    const endpoint = this.#endpoint;
    this.#endpoint = null;
    this.#upstream = null;
    if (endpoint !== null) endpoint.leave();
    return endpoint;
  }

  #refuse(endpoint: Endpoint | null, error: ProxyError): void {
    this.#tell('no endpoint reached', endpoint, error);
    this.#downstream.reset();
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

/** Receiver of the client's side while an endpoint is dialed: reading is paused, so only its end can be noticed. */
class Waiting implements Receiver {
  readonly #downstream: Connection;
  readonly #passing: Passing;

  constructor(downstream: Connection, passing: Passing) {
    this.#downstream = downstream;
    this.#passing = passing;
  }

  received(): void {
    // Paused before anything could arrive.
    this.#downstream.pause();
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
