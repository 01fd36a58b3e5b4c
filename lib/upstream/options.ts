// What a cluster is built from: the parsed, defaulted form. Reading and checking documents is left to the config room.

import type { Address } from '../base/address.ts';
import type { RetryOptions } from '../base/retries.ts';
import type { DialOptions } from '../io/dial.ts';
import type { UpstreamTlsOptions } from '../tls/options.ts';
import type { AdaptiveOptions } from './concurrency.ts';

/** One address of a cluster. */
export interface EndpointOptions {
  /** Never `fd`; a tcp address has a host and a port from 1. */
  readonly address: Address;
  /** Share of the traffic relative to the other endpoints, 1 to 256. */
  readonly weight: number;
  /** Used only when all that are no backup are out of use. */
  readonly backup?: boolean;
  /** Lower ones are used first; the next get what those that are left cannot take. 0 to 255. */
  readonly priority?: number;
  /** Where it stands, '' for nowhere in particular. */
  readonly zone?: string;
  /** Nothing new is sent there; what is under way finishes. */
  readonly draining?: boolean;
  /** The name that it was found by, which TLS verifies; by default the address's own host. */
  readonly host?: string;
}

export type Policy = 'round-robin' | 'least-requests' | 'least-connections' | 'random' | 'hash' | 'first' | 'latency';

/** What `hash` goes by. */
export interface HashOptions {
  readonly on: 'client-ip' | 'header' | 'cookie' | 'query' | 'path';
  /** Of the header (lower case), cookie or query parameter; else ''. */
  readonly name: string;
  /** Most that an endpoint has under way, as a multiple of the average; 0 sets no bound. */
  readonly bound: number;
}

/** A named group of endpoints plus policy. */
export interface ClusterOptions {
  readonly balance: Policy;
  /** With `hash`, else null. */
  readonly hash: HashOptions | null;
  /** No two with the same address; none only with discovery. */
  readonly endpoints: readonly EndpointOptions[];
  /** Where more of them come from, null for nowhere. */
  readonly discovery: DiscoveryOptions | null;
  /** Clients stay with their endpoint by a cookie; null: they do not. */
  readonly sticky: StickyOptions | null;
  /** Active checks, null for none. */
  readonly health: HealthOptions | null;
  /** Endpoints that fail traffic are put aside; null: never. */
  readonly ejection: EjectionOptions | null;
  readonly retries: RetryOptions;
  /** How long an endpoint that comes back takes to get its whole share; 0: at once. */
  readonly slowStartMs: number;
  /** When fewer than this share of endpoints (0 to 1) are well, all are used; 0: never. */
  readonly panic: number;
  /** Our own zone, whose endpoints are preferred; '' for none. */
  readonly zone: string;
  /** Bounds of a cap that is found out by latency; null: there is none. */
  readonly adaptive: AdaptiveOptions | null;
  /** Most exchanges and tunnels under way at once; more wait as for a connection. 0 sets no cap. */
  readonly requests: number;
  /** The Host field that the upstream sees: the client's (`preserve`), the endpoint's address (`endpoint`), or this very text. */
  readonly host: 'preserve' | 'endpoint' | (string & {});
  /** `auto`: what ALPN agrees on, HTTP/1.1 without TLS. `h2`: HTTP/2 without asking, or nothing else by ALPN. */
  readonly protocol: 'auto' | 'h2';
  /** PROXY protocol header written at the start of every upstream connection. */
  readonly proxyProtocol: 'off' | 'v1' | 'v2';
  /** How connections are made. */
  readonly dial: DialOptions;
  readonly pool: PoolOptions;
  readonly timeouts: ClusterTimeouts;
  /** Null: plain. */
  readonly tls: UpstreamTlsOptions | null;
}

/** Where endpoints are found. */
export type DiscoveryOptions = DnsDiscovery | FileDiscovery | HttpDiscovery;

export interface DnsDiscovery {
  readonly kind: 'dns';
  readonly name: string;
  /** With `srv` the records say. */
  readonly port: number;
  readonly srv: boolean;
  /** Bounds of how long an answer holds, whatever its TTL. */
  readonly leastMs: number;
  readonly mostMs: number;
  /** `HOST:PORT` of servers, empty for the system's. */
  readonly servers: readonly string[];
}

/** A YAML or JSON file with a list of endpoints as `endpoints` has it. */
export interface FileDiscovery {
  readonly kind: 'file';
  readonly file: string;
}

/** A document of that kind over HTTP. */
export interface HttpDiscovery {
  readonly kind: 'http';
  readonly url: string;
  readonly everyMs: number;
}

export interface StickyOptions {
  readonly cookie: string;
  /** How long browsers keep it; 0: until they are closed. */
  readonly maxAgeMs: number;
  /** What cookies are signed with; '' for the one that this user's state folder keeps. */
  readonly secret: string;
}

export interface HealthOptions {
  readonly kind: 'http' | 'tcp' | 'tls' | 'grpc';
  readonly path: string;
  readonly method: string;
  /** Host of the request, '' for the endpoint's own. */
  readonly host: string;
  /** Ranges of statuses that are well, ends included. */
  readonly statuses: readonly (readonly [from: number, to: number])[];
  /** What the first bytes of the body must match, null for anything. */
  readonly body: RegExp | null;
  /** Name that is asked for, '' for the server as a whole. */
  readonly service: string;
  readonly intervalMs: number;
  /** While the answer is changing. */
  readonly fastMs: number;
  readonly timeoutMs: number;
  /** Checks in a row that must be well, or not, before it counts. */
  readonly rise: number;
  readonly fall: number;
}

export interface EjectionOptions {
  /** Failures in a row; 0: these are not counted. */
  readonly failures: number;
  /** Share of failures within some seconds, 0 to 1; 0: these are not counted. */
  readonly rate: number;
  /** Times the median of all endpoints that one may take on average; 0: this is not looked at. */
  readonly latency: number;
  /** First time; it doubles with each in a row, up to `longestMs`. */
  readonly forMs: number;
  readonly longestMs: number;
  /** Largest share of endpoints that is put aside at once, 0 to 1. */
  readonly max: number;
}

/** Limits of the connections to one endpoint. */
export interface PoolOptions {
  /** Most idle connections kept; 0 keeps none. */
  readonly idle: number;
  /** Most connections open at once; 0 sets no cap. */
  readonly max: number;
  /** How long an idle connection is kept; shorter than the origin's own limit, so that we close first. */
  readonly idleTimeoutMs: number;
  /** How old a connection gets, and how many exchanges it serves, before it is closed after one; 0 sets no limit. */
  readonly maxAgeMs: number;
  /** Connections that are opened before anybody wants them. */
  readonly warm: number;
  readonly maxRequests: number;
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
