// Request methods as the small numbers that llhttp speaks. Which methods are allowed where is decided by others.

/**
 * Names of the methods, indexed by code: llhttp 9's `llhttp_method_t`, whose numbers are part of its interface.
 * Names are case-sensitive (RFC 9110 9.1).
 */
export const METHODS: readonly string[] = Object.freeze([
  ...['DELETE', 'GET', 'HEAD', 'POST', 'PUT', 'CONNECT', 'OPTIONS', 'TRACE'],
  // WebDAV and its extensions (RFC 4918, 3253, 3744, 5323, 5842)
  ...['COPY', 'LOCK', 'MKCOL', 'MOVE', 'PROPFIND', 'PROPPATCH', 'SEARCH', 'UNLOCK', 'BIND', 'REBIND', 'UNBIND', 'ACL'],
  ...['REPORT', 'MKACTIVITY', 'CHECKOUT', 'MERGE'],
  // UPnP
  ...['M-SEARCH', 'NOTIFY', 'SUBSCRIBE', 'UNSUBSCRIBE'],
  // RFC 5789, cache purging, CalDAV (RFC 4791), RFC 2068 19.6.1, Icecast, the HTTP/2 preface
  ...['PATCH', 'PURGE', 'MKCALENDAR', 'LINK', 'UNLINK', 'SOURCE', 'PRI'],
  // RTSP, which shares the parser
  ...['DESCRIBE', 'ANNOUNCE', 'SETUP', 'PLAY', 'PAUSE', 'TEARDOWN', 'GET_PARAMETER', 'SET_PARAMETER', 'REDIRECT'],
  ...['RECORD', 'FLUSH'],
  'QUERY',
]);

/** Codes of the methods that a proxy asks for by name. */
export const Method = { DELETE: 0, GET: 1, HEAD: 2, POST: 3, PUT: 4, CONNECT: 5, OPTIONS: 6, TRACE: 7 } as const;

/** The code of a method, 0 to 46, or -1 if the parser does not know it. Case matters (RFC 9110 9.1). */
export function methodCode(name: string): number {
  return CODES.get(name) ?? -1;
}

const CODES: ReadonlyMap<string, number> = new Map(METHODS.map((name, code) => [name, code]));
