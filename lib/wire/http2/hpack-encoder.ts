// Header compression of HTTP/2 forwards (RFC 7541): heads that lie there as HTTP/1 has them become a block. Names of the
// static table are numbers, everything else is written as it is: a table of our own and Huffman coding would save some
// bytes and cost more time than all the rest of a reply's head. So it needs no state, and no decoder's limits matter.

import { STATIC_FIELDS } from './static-table.ts';

/** Literals are written as never to be indexed where somebody could guess at secrets through a table (7.1.3). */
const NEVER = 0x10;
const PLAIN = 0x00;

interface Name {
  readonly name: Uint8Array;
  readonly index: number;
  readonly flags: number;
  readonly next: Name | null;
}

// One slot per length and last letter, as for the fields that the proxy itself must know.
const LONGEST = 27;
const SLOTS: (Name | null)[] = new Array((LONGEST + 1) * 32).fill(null);
const SECRET = ['authorization', 'proxy-authorization', 'cookie', 'set-cookie'];
const known = new Set<string>();
for (const [place, [name]] of STATIC_FIELDS.entries()) {
  if (name.startsWith(':') || known.has(name)) continue;
  known.add(name);
  const slot = name.length * 32 + (name.charCodeAt(name.length - 1) & 31);
  const flags = SECRET.includes(name) ? NEVER : PLAIN;
  SLOTS[slot] = { name: Buffer.from(name), index: place + 1, flags, next: SLOTS[slot]! };
}

const AUTHORITY = 1;
const METHOD_GET = 2;
const METHOD_POST = 3;
const PATH_SLASH = 4;
const SCHEME_HTTP = 6;
const SCHEME_HTTPS = 7;
const STATUS_200 = 8;
const INDEXED = 0x80;
const INDEXED_STATUS: ReadonlyMap<number, number> = new Map([
  [200, 8],
  [204, 9],
  [206, 10],
  [304, 11],
  [400, 12],
  [404, 13],
  [500, 14],
]);

/** Upper bound of what a head of `bytes` bytes of text becomes. */
export function blockRoom(bytes: number): number {
  return bytes + (bytes >> 1) + 64;
}

/** Writes `:status`; 100 to 999. */
export function putStatus(status: number, into: Uint8Array, at: number): number {
  const index = status === 200 ? STATUS_200 : INDEXED_STATUS.get(status);
  if (index !== undefined) {
    into[at] = INDEXED | index;
    return at + 1;
  }
  into[at] = PLAIN | STATUS_200;
  into[at + 1] = 3;
  into[at + 2] = 0x30 + Math.floor(status / 100);
  into[at + 3] = 0x30 + (Math.floor(status / 10) % 10);
  into[at + 4] = 0x30 + (status % 10);
  return at + 5;
}

/** Writes `:method`. */
export function putMethodName(bytes: Uint8Array, start: number, end: number, into: Uint8Array, at: number): number {
  if (isExactly(GET, bytes, start, end)) into[at] = INDEXED | METHOD_GET;
  else if (isExactly(POST, bytes, start, end)) into[at] = INDEXED | METHOD_POST;
  else return putPseudo(METHOD_GET, bytes, start, end, into, at);
  return at + 1;
}

const GET = Buffer.from('GET');
const POST = Buffer.from('POST');

export function putScheme(scheme: 'http' | 'https', into: Uint8Array, at: number): number {
  into[at] = INDEXED | (scheme === 'http' ? SCHEME_HTTP : SCHEME_HTTPS);
  return at + 1;
}

export function putPath(bytes: Uint8Array, start: number, end: number, into: Uint8Array, at: number): number {
  if (end - start !== 1 || bytes[start] !== 0x2f) return putPseudo(PATH_SLASH, bytes, start, end, into, at);
  into[at] = INDEXED | PATH_SLASH;
  return at + 1;
}

export function putAuthority(bytes: Uint8Array, start: number, end: number, into: Uint8Array, at: number): number {
  return putPseudo(AUTHORITY, bytes, start, end, into, at);
}

/**
 * Writes the field lines `start..end`, each `name: value` and CRLF, with names in lower case. `skipped`: lower-case names
 * that are left out.
 */
export function putLines(
  bytes: Uint8Array,
  start: number,
  end: number,
  skipped: readonly Uint8Array[] | null,
  into: Uint8Array,
  at: number,
): number {
  let line = start;
  while (line < end) {
    let nameEnd = line;
    while (bytes[nameEnd] !== 0x3a) nameEnd++;
    let valueStart = nameEnd + 1;
    while (bytes[valueStart] === 0x20 || bytes[valueStart] === 0x09) valueStart++;
    let lineEnd = valueStart;
    // Values have neither CR nor LF.
    while (bytes[lineEnd] !== 0x0d) lineEnd++;
    let valueEnd = lineEnd;
    while (valueEnd > valueStart && (bytes[valueEnd - 1] === 0x20 || bytes[valueEnd - 1] === 0x09)) valueEnd--;
    if (skipped === null || !isOneOf(skipped, bytes, line, nameEnd)) {
      at = putName(bytes, line, nameEnd, into, at);
      at = putString(bytes, valueStart, valueEnd, into, at);
    }
    line = lineEnd + 2;
  }
  return at;
}

function putPseudo(index: number, bytes: Uint8Array, start: number, end: number, into: Uint8Array, at: number): number {
  into[at] = PLAIN | index;
  return putString(bytes, start, end, into, at + 1);
}

/** The first byte of a literal, and its name unless that is a number. */
function putName(bytes: Uint8Array, start: number, end: number, into: Uint8Array, at: number): number {
  const length = end - start;
  let candidate = length > LONGEST || length === 0 ? null : SLOTS[length * 32 + (bytes[end - 1]! & 31)]!;
  for (; candidate !== null; candidate = candidate.next) {
    if (!isNamed(candidate.name, bytes, start, end)) continue;
    const { index, flags } = candidate;
    if (index < 15) {
      into[at] = flags | index;
      return at + 1;
    }
    into[at] = flags | 15;
    into[at + 1] = index - 15;
    return at + 2;
  }
  into[at] = PLAIN;
  at = putLength(length, into, at + 1);
  for (let from = start; from < end; from++) {
    const byte = bytes[from]!;
    into[at++] = byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte;
  }
  return at;
}

function putString(bytes: Uint8Array, start: number, end: number, into: Uint8Array, at: number): number {
  const length = end - start;
  at = putLength(length, into, at);
  if (length > 64) into.set(bytes.subarray(start, end), at);
  else for (let i = 0; i < length; i++) into[at + i] = bytes[start + i]!;
  return at + length;
}

/** A string's length (5.2), not Huffman coded. */
function putLength(length: number, into: Uint8Array, at: number): number {
  if (length < 0x7f) {
    into[at] = length;
    return at + 1;
  }
  into[at++] = 0x7f;
  let rest = length - 0x7f;
  for (; rest >= 0x80; rest >>>= 7) into[at++] = 0x80 | (rest & 0x7f);
  into[at] = rest;
  return at + 1;
}

function isExactly(name: Uint8Array, bytes: Uint8Array, start: number, end: number): boolean {
  if (end - start !== name.length) return false;
  for (let i = 0; i < name.length; i++) if (bytes[start + i] !== name[i]) return false;
  return true;
}

function isOneOf(names: readonly Uint8Array[], bytes: Uint8Array, start: number, end: number): boolean {
  for (const name of names) if (isNamed(name, bytes, start, end)) return true;
  return false;
}

function isNamed(name: Uint8Array, bytes: Uint8Array, start: number, end: number): boolean {
  if (end - start !== name.length) return false;
  for (let i = 0; i < name.length; i++) {
    const byte = bytes[start + i]!;
    if ((byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte) !== name[i]) return false;
  }
  return true;
}
