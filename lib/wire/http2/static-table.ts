// The static table of HPACK (RFC 7541 Appendix A), and what is told about every name once instead of at every use.

import { FieldId, identifyField } from '../field-id.ts';

/** Pseudo-fields (RFC 9113 8.3, RFC 8441 4); anything else that begins with a colon is malformed. */
export const Pseudo = { NONE: 0, METHOD: 1, SCHEME: 2, AUTHORITY: 3, PATH: 4, STATUS: 5, PROTOCOL: 6 } as const;

/** One field line as it is kept in a table: `name: value` and CRLF, ready to be copied into a head. */
export interface Entry {
  readonly line: Uint8Array;
  readonly nameBytes: number;
  readonly valueBytes: number;
  /** A `FieldId`. */
  readonly id: number;
  /** A `Pseudo`; -1 for one that does not exist. */
  readonly pseudo: number;
  /** Whether the bytes may stand in a field at all (RFC 9113 8.2.1). */
  readonly valid: boolean;
}

/** Names and values in their order, the first is number 1. */
export const STATIC_FIELDS: readonly (readonly [string, string])[] = [
  [':authority', ''],
  ...pairs(':method', ['GET', 'POST']),
  ...pairs(':path', ['/', '/index.html']),
  ...pairs(':scheme', ['http', 'https']),
  ...pairs(':status', ['200', '204', '206', '304', '400', '404', '500']),
  ['accept-charset', ''],
  ['accept-encoding', 'gzip, deflate'],
  ...names('accept-language accept-ranges accept access-control-allow-origin age allow authorization cache-control'),
  ...names('content-disposition content-encoding content-language content-length content-location content-range'),
  ...names('content-type cookie date etag expect expires from host if-match if-modified-since if-none-match if-range'),
  ...names('if-unmodified-since last-modified link location max-forwards proxy-authenticate proxy-authorization range'),
  ...names('referer refresh retry-after server set-cookie strict-transport-security transfer-encoding user-agent vary'),
  ...names('via www-authenticate'),
];

// What entries are described by comes before them: they are made when this file is loaded.

const PSEUDO_NAMES: readonly (readonly [Uint8Array, number])[] = [
  [Buffer.from(':method'), Pseudo.METHOD],
  [Buffer.from(':scheme'), Pseudo.SCHEME],
  [Buffer.from(':authority'), Pseudo.AUTHORITY],
  [Buffer.from(':path'), Pseudo.PATH],
  [Buffer.from(':status'), Pseudo.STATUS],
  [Buffer.from(':protocol'), Pseudo.PROTOCOL],
];

/** Bytes that a name may have: token characters, but no capitals (RFC 9113 8.2.1, RFC 9110 5.6.2). */
const NAME_BYTES = new Uint8Array(256);
for (const character of "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz") NAME_BYTES[character.charCodeAt(0)] = 1;

export const STATIC_ENTRIES: readonly Entry[] = STATIC_FIELDS.map(([name, value]) => {
  const line = Buffer.from(`${name}: ${value}\r\n`, 'latin1');
  return describeEntry(line, name.length, value.length);
});

/** Reads what a line is; `line` is kept. */
export function describeEntry(line: Uint8Array, nameBytes: number, valueBytes: number): Entry {
  const pseudo = pseudoOf(line, 0, nameBytes);
  return {
    line,
    nameBytes,
    valueBytes,
    id: pseudo === Pseudo.NONE ? identifyField(line, 0, nameBytes) : FieldId.OTHER,
    pseudo,
    valid: isValid(line, 0, nameBytes, nameBytes + 2, nameBytes + 2 + valueBytes),
  };
}

/** Which pseudo-field a name is; NONE for a regular one, -1 for one that does not exist. */
export function pseudoOf(bytes: Uint8Array, start: number, end: number): number {
  if (start === end || bytes[start] !== 0x3a) return Pseudo.NONE;
  for (const [name, pseudo] of PSEUDO_NAMES) {
    if (end - start === name.length && same(bytes, start, name)) return pseudo;
  }
  return -1;
}

/** Whether name and value may stand in a field: a value has no control characters and no blank at either end. */
export function isValid(
  bytes: Uint8Array,
  nameStart: number,
  nameEnd: number,
  valueStart: number,
  valueEnd: number,
): boolean {
  let at = bytes[nameStart] === 0x3a ? nameStart + 1 : nameStart;
  if (at >= nameEnd) return false;
  for (; at < nameEnd; at++) if (NAME_BYTES[bytes[at]!] === 0) return false;
  for (at = valueStart; at < valueEnd; at++) {
    const byte = bytes[at]!;
    if ((byte < 0x20 && byte !== 0x09) || byte === 0x7f) return false;
  }
  if (valueStart === valueEnd) return true;
  return !isBlank(bytes[valueStart]!) && !isBlank(bytes[valueEnd - 1]!);
}

function isBlank(byte: number): boolean {
  return byte === 0x20 || byte === 0x09;
}

function same(bytes: Uint8Array, start: number, name: Uint8Array): boolean {
  for (let i = 0; i < name.length; i++) if (bytes[start + i] !== name[i]) return false;
  return true;
}

function pairs(name: string, values: readonly string[]): [string, string][] {
  return values.map((value) => [name, value]);
}

function names(list: string): [string, string][] {
  return list.split(' ').map((name) => [name, '']);
}
