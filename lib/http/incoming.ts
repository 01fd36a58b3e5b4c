// A request as it comes in, by whatever version: its head, target, Host and path, refused where HTTP leaves no other
// choice. Which route it takes is decided by who asks.

import { type ProxyError, proxyError } from '../base/errors.ts';
import { RouteQuery } from '../route/match.ts';
import { FieldId } from '../wire/field-id.ts';
import { Fields } from '../wire/fields.ts';
import { type LaidOut, RequestHead } from '../wire/http1/head.ts';
import { memory } from '../wire/http1/llhttp.ts';
import { Method } from '../wire/http1/method.ts';
import type { Parser } from '../wire/http1/parser.ts';
import { Authority, normalisePath, pathIsPlain, readAuthority, readTarget, Target, TargetForm } from '../wire/uri.ts';

// Heads are borrowed and read one at a time, so these serve all connections.

/** The head that was read last. */
export const head = new RequestHead();
/** Its target, as ranges of the shared memory. */
export const target = new Target();
/** What routes are asked for it. */
export const query = new RouteQuery(new Fields(memory, 1));

const authority = new Authority();
const SLASH = Buffer.from('/');

/**
 * Reads the head that `parser` has just completed into `head`, `target` and `query`. Answers why the request is refused,
 * or null. `bodyBytes` is the longest body allowed, 0 for any.
 */
export function readIncoming(parser: Parser, bodyBytes: number): ProxyError | null {
  return head.read(parser) ?? locate(bodyBytes);
}

/** As `readIncoming`, for a head that HTTP/2 has laid out; `last`: no body follows. */
export function adoptIncoming(laid: LaidOut, last: boolean, bodyBytes: number): ProxyError | null {
  return head.adopt(laid, last) ?? locate(bodyBytes);
}

function locate(bodyBytes: number): ProxyError | null {
  if (head.method === Method.CONNECT) return proxyError('connect_refused_here');
  if (!readTarget(memory, head.targetStart, head.targetEnd, target)) return proxyError('bad_target');
  const { form } = target;
  if (form === TargetForm.AUTHORITY || (form === TargetForm.ASTERISK && head.method !== Method.OPTIONS)) {
    return proxyError('bad_target', 'this form of target does not go with the method');
  }
  if (bodyBytes > 0 && head.contentLength > bodyBytes) return proxyError('body_too_large');
  query.fields = head.fields;
  query.method = head.method;
  return locateHost() ?? locatePath();
}

/** Whether the head that was read asks for another protocol, and one that we pass on. */
export function asksForUpgrade(): boolean {
  return head.major === 1 && head.upgrade && !head.offersH2c && head.minor === 1 && findField(FieldId.UPGRADE) >= 0;
}

/** The request id that the head brings, at most `most` characters of it; '' if none. */
export function incomingId(most: number): string {
  const field = findField(FieldId.X_REQUEST_ID);
  return field < 0 ? '' : head.fields.value(field).slice(0, most);
}

/** The host as routes see it. */
function locateHost(): ProxyError | null {
  const { fields } = head;
  const absolute = target.form === TargetForm.ABSOLUTE;
  query.hostStart = query.hostEnd = 0;
  if (head.host >= 0) {
    // Checked even where the target's authority wins: what is wrong must not reach anybody.
    const start = fields.valueStart(head.host);
    if (!readAuthority(memory, start, fields.valueEnd(head.host), authority)) return proxyError('bad_host');
  }
  // RFC 9112 3.2.2: the authority of an absolute target wins over Host.
  if (absolute && !readAuthority(memory, target.authorityStart, target.authorityEnd, authority)) {
    return proxyError('bad_target', 'authority');
  }
  if (head.host < 0 && !absolute) return null;
  const bracket = authority.bracketed ? 1 : 0;
  query.hostStart = authority.hostStart - bracket;
  query.hostEnd = authority.hostEnd + bracket;
  return null;
}

/** The path as routes see it: where it stands, or normalised elsewhere. */
function locatePath(): ProxyError | null {
  const whole = target.form === TargetForm.ASTERISK;
  query.pathBytes = memory;
  query.pathStart = whole ? head.targetStart : target.pathStart;
  query.pathEnd = whole ? head.targetEnd : target.pathEnd;
  if (whole) return null;
  // RFC 9110 4.2.3: an empty path is the same as "/".
  if (query.pathEnd === query.pathStart) return point(SLASH);
  if (pathIsPlain(memory, query.pathStart, query.pathEnd)) return null;
  const path = normalisePath(memory.toString('latin1', query.pathStart, query.pathEnd));
  return path === null ? proxyError('bad_target', 'path') : point(Buffer.from(path, 'latin1'));
}

function point(path: Buffer): null {
  query.pathBytes = path;
  query.pathStart = 0;
  query.pathEnd = path.length;
  return null;
}

function findField(id: number): number {
  const { fields } = head;
  for (let field = 0; field < fields.count; field++) if (fields.id(field) === id) return field;
  return -1;
}
