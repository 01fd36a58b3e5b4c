// What HTTP towards a client is built from: the parsed, defaulted form.

/** How a field that names the client is treated; `auto` appends when the peer is a trusted proxy and replaces otherwise. */
export type ForwardedMode = 'off' | 'append' | 'replace' | 'auto';

/** What the upstream is told about the client. */
export interface ForwardedOptions {
  /** X-Forwarded-For, -Proto and -Host. `off` adds none; those of clients that are not trusted are dropped all the same. */
  readonly xForwarded: ForwardedMode;
  /** Forwarded (RFC 7239); `off` as above. */
  readonly standard: ForwardedMode;
  /** Via on requests (RFC 9110 7.6.3). */
  readonly via: boolean;
  /** X-Request-Id: kept from trusted proxies and otherwise made, never touched, or always made. */
  readonly requestId: 'auto' | 'off' | 'replace';
}

/** Time limits towards a client; 0 sets no limit. */
export interface DownstreamTimeouts {
  /** From the first byte of a request to the end of its head. */
  readonly headMs: number;
  /** Between two requests. */
  readonly idleMs: number;
  /** Without progress of a body, in either direction. */
  readonly bodyMs: number;
  /** Without a byte in either direction of a tunnel. */
  readonly tunnelMs: number;
}

export interface DownstreamLimits {
  /** Longest request head, 1 KiB to 48 KiB. */
  readonly headBytes: number;
  /** Most header fields in a request, 1 to 1000. */
  readonly headers: number;
  /** Longest request body; 0 sets no limit. */
  readonly bodyBytes: number;
}
