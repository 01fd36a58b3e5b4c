// Request-targets, authorities and paths of HTTP/1 (RFC 9112 3.2, RFC 3986) as offsets into the bytes they came in.
// Which form fits which method, and what a name resolves to, is left to others. Only `normalisePath` allocates.

import { hexDigit, isDigit, readIPv6 } from './ip-address.ts';

/** Forms of a request-target (RFC 9112 3.2). */
export const TargetForm = { ORIGIN: 0, ABSOLUTE: 1, AUTHORITY: 2, ASTERISK: 3 } as const;

/** A request-target as ranges. A part that is not there has start and end -1; an empty one has start equal to end. */
export class Target {
  /** One of `TargetForm`. */
  form: number = TargetForm.ORIGIN;
  /** Whether the absolute form says https. */
  secure = false;
  /** Host and port as written: of the absolute and authority forms. */
  authorityStart = -1;
  authorityEnd = -1;
  /** Of the origin and absolute forms. Empty for `http://a?b`: send `/`, or `*` with OPTIONS (RFC 9112 3.2.4). */
  pathStart = -1;
  pathEnd = -1;
  /** After the `?`: -1 without one, empty for a `?` at the end. */
  queryStart = -1;
  queryEnd = -1;
}

/** Host and port as read by `readAuthority`. */
export class Authority {
  /** The host, brackets excluded. */
  hostStart = -1;
  hostEnd = -1;
  /** Whether the host is an IPv6 address and was written in brackets. */
  bracketed = false;
  /** 0 to 65535, or -1 when there is none or it is empty (RFC 3986 6.2.3 counts both as the scheme's own). */
  port = -1;
}

/** Longest host; DNS names have at most 253 bytes in text and one trailing dot. */
const LONGEST_HOST_BYTES = 255;

/**
 * Reads the request-target `start..end`. False when it is none: then `into` is undefined and the answer is 400.
 *
 * In paths and queries every byte above space but DEL and `#` is taken: besides what RFC 3986 allows, clients are
 * widely seen to send `" < > [ ] ^ backtick { | }`, backslash and bytes from 0x80 unescaped, and they are passed on as
 * they are. Escapes are not looked at here. The absolute form is for http and https (RFC 9110 4.2), with an
 * authority as in `readAuthority`; the authority form needs its port (RFC 9110 9.3.6).
 */
export function readTarget(bytes: Uint8Array, start: number, end: number, into: Target): boolean {
  into.form = TargetForm.ORIGIN;
  into.secure = false;
  into.authorityStart = into.authorityEnd = -1;
  into.pathStart = into.pathEnd = -1;
  into.queryStart = into.queryEnd = -1;
  if (start >= end) return false;
  const first = bytes[start]!;
  if (first === 0x2f) return readPathAndQuery(bytes, start, end, into);
  if (first === 0x2a && end - start === 1) {
    into.form = TargetForm.ASTERISK;
    return true;
  }
  const scheme = schemeLength(bytes, start, end);
  if (scheme > 0) {
    into.form = TargetForm.ABSOLUTE;
    into.secure = scheme === 8;
    const authorityStart = start + scheme;
    let at = authorityStart;
    while (at < end && bytes[at] !== 0x2f && bytes[at] !== 0x3f) at++;
    into.authorityStart = authorityStart;
    into.authorityEnd = at;
    return readAuthority(bytes, authorityStart, at, SCRATCH) && readPathAndQuery(bytes, at, end, into);
  }
  into.form = TargetForm.AUTHORITY;
  into.authorityStart = start;
  into.authorityEnd = end;
  return readAuthority(bytes, start, end, SCRATCH) && SCRATCH.port >= 0;
}

/**
 * Reads `start..end` as host and optional port: a Host field's value (RFC 9110 7.2) or the authority of a target.
 * False when it is none, and `into` is then undefined.
 *
 * The host is a bracketed IPv6 address without zone or a name of unreserved characters and sub-delims (RFC 3986
 * 3.2.2), 1 to 255 bytes. Refused although the grammar has them: an empty host, which means no http resource
 * (RFC 9110 4.2.1); user information (RFC 9110 4.2.4); commas, which only appear when two Host fields were joined;
 * percent escapes, since they spell one host in two ways and so pass by routes; addresses of IP versions to come; and
 * ports of more than five digits.
 */
export function readAuthority(bytes: Uint8Array, start: number, end: number, into: Authority): boolean {
  into.port = -1;
  into.bracketed = start < end && bytes[start] === 0x5b;
  let at = start;
  if (into.bracketed) {
    while (at < end && bytes[at] !== 0x5d) at++;
    // The longest text of an IPv6 address has 45 bytes.
    if (at === end || at - start > 46 || !readIPv6(bytes, start + 1, at, ADDRESS, 0)) return false;
    into.hostStart = start + 1;
    into.hostEnd = at;
    at++;
  } else {
    while (at < end && CLASS[bytes[at]!]! & HOST) at++;
    if (at === start || at - start > LONGEST_HOST_BYTES) return false;
    into.hostStart = start;
    into.hostEnd = at;
  }
  if (at === end) return true;
  if (bytes[at] !== 0x3a) return false;
  at++;
  if (at === end) return true;
  if (end - at > 5) return false;
  let port = 0;
  for (; at < end; at++) {
    if (!isDigit(bytes[at]!)) return false;
    port = port * 10 + bytes[at]! - 0x30;
  }
  into.port = port;
  return port <= 65535;
}

/**
 * Whether the path `start..end` is already as `normalisePath` would leave it: it begins with `/` and has no escape, no
 * dot segment and no backslash, which some back ends take for a slash. True for almost every path there is.
 */
export function pathIsPlain(bytes: Uint8Array, start: number, end: number): boolean {
  if (start >= end || bytes[start] !== 0x2f) return false;
  for (let at = start; at < end; at++) {
    const kind = CLASS[bytes[at]!]!;
    if ((kind & WATCHED) === 0) continue;
    const byte = bytes[at];
    if (byte !== 0x2f) return false; // an escape or a backslash
    if (at + 1 === end || bytes[at + 1] !== 0x2e) continue;
    const second = at + 2 < end ? bytes[at + 2] : 0x2f;
    if (second === 0x2f) return false;
    if (second === 0x2e && (at + 3 === end || bytes[at + 3] === 0x2f)) return false;
  }
  return true;
}

/**
 * The path in the one spelling that routes compare: escapes of unreserved characters decoded, the hex digits of the
 * others in upper case (RFC 3986 6.2.2), then dot segments removed (5.2.4), so that `%2e%2E` counts as `..`.
 * `%2F`, `//`, backslashes and unescaped bytes stay as they are. Doing it again changes nothing.
 *
 * Null when the path does not begin with `/`, an escape lacks its two digits or stands for NUL, or `..` climbs above
 * the root (RFC 3986 would ignore it; nobody sends it in good faith).
 */
export function normalisePath(path: string): string | null {
  if (path.charCodeAt(0) !== 0x2f) return null;
  const unescaped = decodeUnreserved(path);
  return unescaped === null ? null : removeDotSegments(unescaped);
}

/** The byte may stand in a host name. */
const HOST = 1;
/** The byte may stand in a path or query. */
const TEXT = 2;
/** `pathIsPlain` stops at the byte. */
const WATCHED = 4;
/** RFC 3986 2.3. */
const UNRESERVED = 8;

const CLASS = new Uint8Array(256);
for (let byte = 0x21; byte < 256; byte++) if (byte !== 0x23 && byte !== 0x7f) CLASS[byte]! |= TEXT;
for (const char of 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~') {
  CLASS[char.charCodeAt(0)]! |= HOST | UNRESERVED;
}
for (const char of "!$&'()*+;=") CLASS[char.charCodeAt(0)]! |= HOST;
for (const char of '/%\\') CLASS[char.charCodeAt(0)]! |= WATCHED;

/** Filled and used within one call. */
const SCRATCH = new Authority();
const ADDRESS = new Uint8Array(16);

function readPathAndQuery(bytes: Uint8Array, start: number, end: number, into: Target): boolean {
  into.pathStart = start;
  let at = start;
  for (; at < end; at++) {
    const byte = bytes[at]!;
    if (byte === 0x3f) break;
    if ((CLASS[byte]! & TEXT) === 0) return false;
  }
  into.pathEnd = at;
  if (at === end) return true;
  into.queryStart = ++at;
  into.queryEnd = end;
  for (; at < end; at++) if ((CLASS[bytes[at]!]! & TEXT) === 0) return false;
  return true;
}

/** 7 for `http://`, 8 for `https://`, in either case (RFC 9110 4.2.3), else 0. */
function schemeLength(bytes: Uint8Array, start: number, end: number): number {
  if (end - start < 7) return 0;
  if ((bytes[start]! | 0x20) !== 0x68 || (bytes[start + 1]! | 0x20) !== 0x74) return 0;
  if ((bytes[start + 2]! | 0x20) !== 0x74 || (bytes[start + 3]! | 0x20) !== 0x70) return 0;
  const colon = (bytes[start + 4]! | 0x20) === 0x73 ? start + 5 : start + 4;
  if (end - colon < 3 || bytes[colon] !== 0x3a || bytes[colon + 1] !== 0x2f || bytes[colon + 2] !== 0x2f) return 0;
  return colon + 3 - start;
}

function decodeUnreserved(path: string): string | null {
  let cut = path.indexOf('%');
  if (cut < 0) return path;
  let text = '';
  let kept = 0;
  for (; cut >= 0; cut = path.indexOf('%', kept)) {
    if (path.length - cut < 3) return null;
    const high = hexDigit(path.charCodeAt(cut + 1));
    const low = hexDigit(path.charCodeAt(cut + 2));
    const byte = high * 16 + low;
    if (high < 0 || low < 0 || byte === 0) return null;
    text += path.slice(kept, cut);
    text += CLASS[byte]! & UNRESERVED ? String.fromCharCode(byte) : path.slice(cut, cut + 3).toUpperCase();
    kept = cut + 3;
  }
  return text + path.slice(kept);
}

function removeDotSegments(path: string): string | null {
  if (!path.includes('/.')) return path;
  const segments = path.split('/');
  const kept: string[] = [];
  // The first piece is the nothing before the first slash.
  for (let i = 1; i < segments.length; i++) {
    const segment = segments[i]!;
    const last = i === segments.length - 1;
    if (segment === '.') {
      if (last) kept.push('');
    } else if (segment === '..') {
      if (kept.pop() === undefined) return null;
      if (last) kept.push('');
    } else {
      kept.push(segment);
    }
  }
  return `/${kept.join('/')}`;
}
