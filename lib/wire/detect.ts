// What a connection speaks, told from its first bytes. Reading what was recognised is left to the parsers of each
// protocol; what to do with silence is left to the listener.

/** Answers of `detect`. */
export const Detected = {
  /** The bytes begin more than one protocol: wait for more. */
  MORE: 0,
  /** A TLS record that begins a ClientHello. */
  TLS: 1,
  /** The request line of HTTP/1, whether or not it is a good one. */
  HTTP1: 2,
  /** The connection preface of HTTP/2 with prior knowledge. */
  HTTP2: 3,
  /** None of these. */
  OTHER: 4,
} as const;

/** Longest method recognised; the longest registered one, UPDATEREDIRECTREF, has 17 letters. */
const LONGEST_METHOD_BYTES = 24;
/** Empty lines tolerated before a request line (RFC 9112 2.2 asks for at least one). */
const BLANK_LINES = 4;
/** Blank lines, method, space, `https://`: `detect` never asks for more when it was given this many bytes. */
export const DETECT_BYTES = BLANK_LINES * 2 + LONGEST_METHOD_BYTES + 1 + 8;

/** RFC 9113 3.4. */
const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1');
const CONNECT = Buffer.from('CONNECT', 'latin1');
const HTTP = Buffer.from('http', 'latin1');
/** Largest fragment of a plaintext record (RFC 8446 5.1). */
const LARGEST_FRAGMENT_BYTES = 16384;

/**
 * Which protocol the bytes `start..end`, the first of a connection, begin. One of `Detected`, decided as early as it
 * is safe: a further byte never changes an answer other than `MORE`.
 *
 * TLS is a handshake record (RFC 8446 5.1) of major version 3 whose message is a ClientHello. HTTP/1 is a method of
 * capital letters, `-` and `_`, a space, and the start of a request-target: `/`, `* `, `http://`, `https://`, or after
 * CONNECT a host. A word alone would also fit the greeting of a mail or chat client (`HELO host`, `NICK h`).
 */
export function detect(bytes: Uint8Array, start: number, end: number): number {
  if (start >= end) return Detected.MORE;
  const first = bytes[start]!;
  if (first === 0x16) return detectTls(bytes, start, end);
  if (first === 0x50) {
    let same = 1;
    while (same < PREFACE.length && start + same < end && bytes[start + same] === PREFACE[same]) same++;
    if (same === PREFACE.length) return Detected.HTTP2;
    if (start + same === end) return Detected.MORE;
  }
  let at = start;
  while (at < end && bytes[at] === 0x0d) {
    if (at - start === BLANK_LINES * 2) return Detected.OTHER;
    if (at + 1 === end) return Detected.MORE;
    if (bytes[at + 1] !== 0x0a) return Detected.OTHER;
    at += 2;
  }
  return detectRequestLine(bytes, at, end);
}

function detectTls(bytes: Uint8Array, start: number, end: number): number {
  const size = end - start;
  if (size > 1 && bytes[start + 1] !== 3) return Detected.OTHER;
  if (size > 2 && bytes[start + 2]! > 4) return Detected.OTHER;
  if (size > 4) {
    const length = (bytes[start + 3]! << 8) | bytes[start + 4]!;
    if (length === 0 || length > LARGEST_FRAGMENT_BYTES) return Detected.OTHER;
  }
  if (size < 6) return Detected.MORE;
  return bytes[start + 5] === 1 ? Detected.TLS : Detected.OTHER;
}

function detectRequestLine(bytes: Uint8Array, start: number, end: number): number {
  let at = start;
  while (at < end && isMethodByte(bytes[at]!)) {
    if (at - start === LONGEST_METHOD_BYTES) return Detected.OTHER;
    at++;
  }
  if (at === end) return Detected.MORE;
  if (at === start || bytes[at] !== 0x20) return Detected.OTHER;
  const connecting = at - start === CONNECT.length && CONNECT.equals(bytes.subarray(start, at));
  at++;
  if (at === end) return Detected.MORE;
  const first = bytes[at]!;
  if (first === 0x2f) return Detected.HTTP1;
  if (first === 0x2a) {
    if (at + 1 === end) return Detected.MORE;
    return bytes[at + 1] === 0x20 ? Detected.HTTP1 : Detected.OTHER;
  }
  if (connecting) return first === 0x5b || isHostByte(first) ? Detected.HTTP1 : Detected.OTHER;
  return detectScheme(bytes, at, end);
}

/** `http://` or `https://` in either case (RFC 9110 4.2.3). */
function detectScheme(bytes: Uint8Array, start: number, end: number): number {
  let at = start;
  for (; at - start < HTTP.length; at++) {
    if (at === end) return Detected.MORE;
    if ((bytes[at]! | 0x20) !== HTTP[at - start]) return Detected.OTHER;
  }
  if (at < end && (bytes[at]! | 0x20) === 0x73) at++;
  for (let mark = 0; mark < 3; mark++, at++) {
    if (at === end) return Detected.MORE;
    if (bytes[at] !== (mark === 0 ? 0x3a : 0x2f)) return Detected.OTHER;
  }
  return Detected.HTTP1;
}

function isMethodByte(byte: number): boolean {
  return (byte >= 0x41 && byte <= 0x5a) || byte === 0x2d || byte === 0x5f;
}

function isHostByte(byte: number): boolean {
  const letter = byte | 0x20;
  return (byte >= 0x30 && byte <= 0x39) || (letter >= 0x61 && letter <= 0x7a) || byte === 0x5f;
}
