// What a load is and what comes back of it, whichever generator drives it. Which generator that is, is chosen here;
// how each works stands in its own file.

/** One request as it goes over the wire, whole: every generator sends these same bytes. */
export interface RequestShape {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  /** Fields beside Host and those that frame the body. */
  readonly fields: readonly (readonly [name: string, value: string])[];
  readonly bodyBytes: number;
  /** Size of the chunks that the body is sent in; 0 for a Content-Length. */
  readonly chunkBytes: number;
  /** Bytes of body that the reply must have. */
  readonly replyBytes: number;
}

/** HTTP/1.1 requests; through a layer 4 proxy just as well. Connections send the requests in turn. */
export interface HttpLoad {
  readonly kind: 'http';
  readonly connections: number;
  readonly requests: readonly RequestShape[];
  /** A new connection for each request, which says `Connection: close`. */
  readonly closing: boolean;
  /** TLS beneath, with handshakes of this kind alone; left out for none. */
  readonly tls?: HandshakeKind;
  /** HTTP/2 in place of HTTP/1.1, with so many requests at once on each connection; left out for HTTP/1.1. */
  readonly streams?: number;
}

/** A handshake that exchanges keys and shows a certificate, or one that resumes a session by its ticket. */
export type HandshakeKind = 'full' | 'resumed';

/** How many there were of each. */
export type HandshakeCounts = Readonly<Record<HandshakeKind, number>>;

/** Messages that are echoed, one after the other on each connection. */
export interface WebSocketLoad {
  readonly kind: 'websocket';
  readonly connections: number;
  readonly messageBytes: number;
}

export type Load = HttpLoad | WebSocketLoad;

/** The generators: wrk and h2load where they are installed, and our own, which needs nothing. */
export type GeneratorName = 'wrk' | 'h2load' | 'own';

/** Where a generator runs, against which loopback port and for how many seconds: whole ones but for our own. */
export interface LoadRun {
  readonly generator: GeneratorName;
  readonly cores: readonly number[];
  readonly port: number;
  readonly seconds: number;
  /**
   * Null: closed loop, a connection sends its next request when the last was answered. A number: that many requests a
   * second are due at even intervals whatever the proxy does, and latency counts from when each was due, so that nothing
   * is omitted when the proxy stalls. Only our own generator can do that.
   */
  readonly ratePerSecond: number | null;
}

/** Requests that went wrong, by how: sockets (connect, read, write), no answer in time, or an answer above 399. */
export interface LoadErrors {
  readonly connect: number;
  readonly read: number;
  readonly write: number;
  readonly timeout: number;
  readonly status: number;
}

/** `share` of all requests (0 to 1) took at most `micros`. */
export interface LatencyPoint {
  readonly share: number;
  readonly micros: number;
}

export interface LoadResult {
  /** Requests that were answered well (messages that came back, for WebSocket). */
  readonly requests: number;
  /** Bytes received. */
  readonly bytes: number;
  readonly seconds: number;
  /** In rising order of share, at LATENCY_SHARES; the last is the slowest of all. Empty when nothing was answered. */
  readonly latency: readonly LatencyPoint[];
  readonly errors: LoadErrors;
  /** Open loop: requests that were due and could not be sent, since every connection was busy. 0 in a closed loop. */
  readonly unsent: number;
}

/** The shares at which every generator gives its latency: dense where the tail is. */
export const LATENCY_SHARES: readonly number[] = [
  0, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999, 0.9995, 0.9999, 1,
];

/** All errors together. */
export function countErrors(errors: LoadErrors): number {
  return errors.connect + errors.read + errors.write + errors.timeout + errors.status;
}

/** Both together, kind by kind. */
export function addErrors(one: LoadErrors, other: LoadErrors): LoadErrors {
  return {
    connect: one.connect + other.connect,
    read: one.read + other.read,
    write: one.write + other.write,
    timeout: one.timeout + other.timeout,
    status: one.status + other.status,
  };
}

/** Latency at `share`, one of LATENCY_SHARES; NaN when nothing was measured. */
export function latencyAt(latency: readonly LatencyPoint[], share: number): number {
  return latency.find((point) => point.share === share)?.micros ?? Number.NaN;
}
