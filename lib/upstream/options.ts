// What a cluster is built from: the parsed, defaulted form. Reading and checking documents is left to the config room.

import type { Address } from '../base/address.ts';
import type { UpstreamTlsOptions } from '../tls/options.ts';

/** One address of a cluster. */
export interface EndpointOptions {
  /** Never `fd`; a tcp address has a host and a port from 1. */
  readonly address: Address;
  /** Share of the traffic relative to the other endpoints, 1 to 256. */
  readonly weight: number;
}

/** A named group of endpoints plus policy. */
export interface ClusterOptions {
  readonly balance: 'round-robin' | 'least-connections';
  /** At least one, no two with the same address. */
  readonly endpoints: readonly EndpointOptions[];
  /** The Host field that the upstream sees: the client's (`preserve`), the endpoint's address (`endpoint`), or this very text. */
  readonly host: 'preserve' | 'endpoint' | (string & {});
  /** `auto`: what ALPN agrees on, HTTP/1.1 without TLS. `h2`: HTTP/2 without asking, or nothing else by ALPN. */
  readonly protocol: 'auto' | 'h2';
  /** PROXY protocol header written at the start of every upstream connection. */
  readonly proxyProtocol: 'off' | 'v1' | 'v2';
  readonly pool: PoolOptions;
  readonly timeouts: ClusterTimeouts;
  /** Null: plain. */
  readonly tls: UpstreamTlsOptions | null;
}

/** Limits of the connections to one endpoint. */
export interface PoolOptions {
  /** Most idle connections kept; 0 keeps none. */
  readonly idle: number;
  /** Most connections open at once; 0 sets no cap. */
  readonly max: number;
  /** How long an idle connection is kept; shorter than the origin's own limit, so that we close first. */
  readonly idleTimeoutMs: number;
  /** Most exchanges that wait for a connection when `max` is reached. */
  readonly queue: number;
  /** How long one waits before it is answered with 503. */
  readonly queueTimeoutMs: number;
}

/** Time limits towards an upstream; 0 sets no limit. */
export interface ClusterTimeouts {
  readonly connectMs: number;
  /** From the end of the request to the head of the response. */
  readonly responseMs: number;
  /** Without progress of a body. */
  readonly idleMs: number;
}
