// What a listener is built from: the parsed, defaulted form. Reading and checking documents is left to the config room.

import type { Address } from '../base/address.ts';
import type { DownstreamLimits, DownstreamTimeouts, ForwardedOptions } from '../http/options.ts';
import type { RouteOptions } from '../route/options.ts';
import type { TlsOptions } from '../tls/options.ts';

/** A bound address, or several, and what happens to the connections that arrive there. */
export interface ListenerOptions {
  /** At least one. Port 0 lets the kernel choose; an empty host means every interface, v4 and v6. */
  readonly bind: readonly Address[];
  /** `auto` tells TLS, HTTP and anything else apart by the first bytes. */
  readonly protocol: 'http' | 'tcp' | 'auto';
  /** tcp: the cluster that gets every connection. Never set for http and auto: there it has become a route. */
  readonly cluster?: string;
  /** auto: the cluster that gets bytes which are neither TLS nor HTTP; without it such connections are closed. */
  readonly fallback?: string;
  /** auto: a client that is silent this long goes to the fallback too. */
  readonly detectTimeoutMs: number;
  /** PROXY protocol headers from trusted proxies: not read, read when there, or demanded. */
  readonly proxyProtocol: 'off' | 'accept' | 'require';
  /** Addresses and CIDR blocks whose word about the client is taken. */
  readonly trustedProxies: readonly string[];
  /** auto: server name (lower case; exact or `*.example.com`) to the cluster that gets the TLS bytes still encrypted. */
  readonly passthrough: Readonly<Record<string, string>>;
  readonly timeouts: DownstreamTimeouts;
  readonly limits: ListenerLimits;
  readonly forwarded: ForwardedOptions;
  /** Termination; null: everything is plain, or passed through. */
  readonly tls: TlsOptions | null;
  /** Port that plain HTTP is sent to with https; 0: it is served. */
  readonly httpsPort: number;
  /** First match wins. Empty for tcp. */
  readonly routes: readonly RouteOptions[];
}

export interface ListenerLimits extends DownstreamLimits {
  /** Most connections open at once; 0 sets no limit. */
  readonly connections: number;
}
