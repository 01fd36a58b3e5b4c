// Every way in which an exchange or a tunnel can fail: one closed table that says whose fault it is, what the client
// is told and whether another try may help. Statuses are picked here and nowhere else.

/** Whether trying again elsewhere is safe: never, when the request was not processed, or when nothing was sent. */
export type Retry = 'never' | 'unsent' | 'always';

export interface ErrorKind {
  /** Who is at fault: the client, the origin, or we ourselves. */
  readonly side: 'downstream' | 'upstream' | 'proxy';
  /** HTTP status for the client; 0 when nobody is left to be told. */
  readonly status: number;
  readonly retry: Retry;
  /** One sentence for the client. Says nothing about what stands behind the proxy. */
  readonly text: string;
}

/** The table. Keys are the one word that logs and metrics use. */
export const ERRORS = {
  // What clients do. RFC 9110 15.5 and 15.6 for the statuses, RFC 6585 5 for 431.
  bad_request: kind('downstream', 400, 'never', 'The request is not valid HTTP.'),
  bad_host: kind('downstream', 400, 'never', 'The request needs exactly one valid Host.'),
  bad_target: kind('downstream', 400, 'never', 'The request target is not valid.'),
  bad_framing: kind('downstream', 400, 'never', 'The length of the request body is not clear.'),
  bad_proxy_header: kind('downstream', 0, 'never', 'The PROXY protocol header is missing or not valid.'),
  bad_handshake: kind('downstream', 0, 'never', 'The TLS handshake failed.'),
  plain_http: kind('downstream', 400, 'never', 'This port speaks TLS.'),
  connect_refused_here: kind('downstream', 405, 'never', 'This is not a forward proxy: CONNECT is not allowed.'),
  last_hop: kind('downstream', 405, 'never', 'The request may not be forwarded any further, and this is a proxy.'),
  head_timeout: kind('downstream', 408, 'never', 'The request head took too long to arrive.'),
  body_timeout: kind('downstream', 408, 'never', 'The request body stopped arriving.'),
  body_too_large: kind('downstream', 413, 'never', 'The request body is larger than allowed.'),
  target_too_long: kind('downstream', 414, 'never', 'The request target is longer than allowed.'),
  misdirected: kind('downstream', 421, 'never', 'This connection was made for another host name; make a new one.'),
  expectation_failed: kind('downstream', 417, 'never', 'The expectation in Expect is not known.'),
  head_too_large: kind('downstream', 431, 'never', 'The request head is larger than allowed.'),
  unknown_method: kind('downstream', 501, 'never', 'The request method is not known.'),
  unknown_coding: kind('downstream', 501, 'never', 'The transfer coding of the request is not known.'),
  unknown_version: kind('downstream', 505, 'never', 'The HTTP version of the request is not supported.'),
  client_gone: kind('downstream', 0, 'never', 'The client went away.'),
  client_slow: kind('downstream', 0, 'never', 'The client stopped reading.'),
  // What we decide.
  no_route: kind('proxy', 404, 'never', 'No route matches this request.'),
  overloaded: kind('proxy', 503, 'never', 'The proxy is at its limits; try again later.'),
  no_endpoint: kind('proxy', 503, 'never', 'No endpoint is available.'),
  queue_full: kind('proxy', 503, 'never', 'Too many requests are waiting; try again later.'),
  queue_timeout: kind('proxy', 503, 'never', 'The request waited too long for a connection.'),
  draining: kind('proxy', 503, 'never', 'The proxy is shutting down.'),
  internal: kind('proxy', 502, 'never', 'The proxy failed to handle this request.'),
  // What origins do.
  connect_refused: kind('upstream', 502, 'always', 'The origin refused the connection.'),
  connect_failed: kind('upstream', 502, 'always', 'The origin could not be reached.'),
  connect_timeout: kind('upstream', 504, 'always', 'The origin did not accept the connection in time.'),
  tls_failed: kind('upstream', 502, 'always', 'The connection to the origin could not be secured.'),
  stream_refused: kind('upstream', 502, 'always', 'The origin did not take the request.'),
  origin_closed: kind('upstream', 502, 'unsent', 'The origin closed the connection before it answered.'),
  bad_response: kind('upstream', 502, 'never', 'The answer of the origin is not valid HTTP.'),
  response_timeout: kind('upstream', 504, 'never', 'The origin did not answer in time.'),
  response_cut: kind('upstream', 502, 'never', 'The origin broke off its answer.'),
  origin_stalled: kind('upstream', 504, 'never', 'The origin stopped sending or reading.'),
} as const satisfies Record<string, ErrorKind>;

export type ErrorCode = keyof typeof ERRORS;

/** One failure. A value, not an exception: making one costs no stack trace. */
export interface ProxyError {
  readonly code: ErrorCode;
  readonly kind: ErrorKind;
  /** What the system or the parser said, for the log alone; '' when there is nothing to add. */
  readonly detail: string;
}

/** Makes a failure; `detail` is for the log and never reaches a client. */
export function proxyError(code: ErrorCode, detail = ''): ProxyError {
  return { code, kind: ERRORS[code], detail };
}

/** The failure that a system error of a dial means (`ECONNREFUSED` and friends). */
export function dialError(cause: NodeJS.ErrnoException): ProxyError {
  // Our descriptors have run out: no other endpoint would fare better.
  if (cause.code === 'EMFILE' || cause.code === 'ENFILE') return proxyError('overloaded', cause.code);
  return proxyError(cause.code === 'ECONNREFUSED' ? 'connect_refused' : 'connect_failed', cause.code ?? cause.message);
}

function kind(side: ErrorKind['side'], status: number, retry: Retry, text: string): ErrorKind {
  return { side, status, retry, text };
}
