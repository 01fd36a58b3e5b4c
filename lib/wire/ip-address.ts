// IP addresses between text as bytes and network byte order, for the parsers that meet them inside other messages.
// Addresses that people write in configurations are base/address; names are left to whoever resolves them.

const DOT = 0x2e;
const COLON = 0x3a;

/**
 * Reads `start..end` as a dotted IPv4 address in canonical form (four decimal numbers, no leading zeros) into
 * `out[at..at+4]` in network byte order. False when it is anything else; `out` is then undefined.
 */
export function readIPv4(bytes: Uint8Array, start: number, end: number, out: Uint8Array, at: number): boolean {
  let cursor = start;
  for (let octet = 0; octet < 4; octet++) {
    if (octet > 0) {
      if (cursor >= end || bytes[cursor] !== DOT) return false;
      cursor++;
    }
    const first = cursor;
    let value = 0;
    while (cursor < end && cursor - first < 3 && isDigit(bytes[cursor]!)) {
      value = value * 10 + bytes[cursor]! - 0x30;
      cursor++;
    }
    const digits = cursor - first;
    if (digits === 0 || value > 255 || (digits > 1 && bytes[first] === 0x30)) return false;
    out[at + octet] = value;
  }
  return cursor === end;
}

/**
 * Reads `start..end` as an IPv6 address without brackets or zone (RFC 4291 2.2, all three forms) into
 * `out[at..at+16]` in network byte order. False when it is anything else; `out` is then undefined.
 */
export function readIPv6(bytes: Uint8Array, start: number, end: number, out: Uint8Array, at: number): boolean {
  let cursor = start;
  let filled = 0;
  let gap = -1; // how many bytes were filled before "::"
  if (end - start < 2) return false;
  if (bytes[start] === COLON) {
    if (bytes[start + 1] !== COLON) return false;
    gap = 0;
    cursor += 2;
  }
  while (cursor < end) {
    const first = cursor;
    let value = 0;
    while (cursor < end && cursor - first < 4) {
      const digit = hexDigit(bytes[cursor]!);
      if (digit < 0) break;
      value = value * 16 + digit;
      cursor++;
    }
    if (cursor < end && bytes[cursor] === DOT) {
      if (filled > 12 || !readIPv4(bytes, first, end, out, at + filled)) return false;
      filled += 4;
      break;
    }
    if (cursor === first || filled === 16) return false;
    out[at + filled] = value >> 8;
    out[at + filled + 1] = value & 0xff;
    filled += 2;
    if (cursor === end) break;
    if (bytes[cursor] !== COLON) return false;
    cursor++;
    if (cursor === end) return false;
    if (bytes[cursor] === COLON) {
      if (gap >= 0) return false;
      gap = filled;
      cursor++;
    }
  }
  if (gap < 0) return filled === 16;
  // "::" stands for at least one group.
  if (filled > 14) return false;
  out.copyWithin(at + 16 - (filled - gap), at + gap, at + filled);
  out.fill(0, at + gap, at + 16 - (filled - gap));
  return true;
}

/** The four bytes at `at` as dotted text. */
export function formatIPv4(bytes: Uint8Array, at: number): string {
  return `${bytes[at]}.${bytes[at + 1]}.${bytes[at + 2]}.${bytes[at + 3]}`;
}

/** The sixteen bytes at `at` as text in the form of RFC 5952; IPv4-mapped addresses end in dotted form (its section 5). */
export function formatIPv6(bytes: Uint8Array, at: number): string {
  if (isMapped(bytes, at)) return `::ffff:${formatIPv4(bytes, at + 12)}`;
  let longest = 0;
  let longestFirst = -1;
  let run = 0;
  for (let group = 0; group < 8; group++) {
    run = bytes[at + group * 2] === 0 && bytes[at + group * 2 + 1] === 0 ? run + 1 : 0;
    // Strictly longer: of equal runs the first is shortened, and a single group never is (RFC 5952 4.2).
    if (run > 1 && run > longest) {
      longest = run;
      longestFirst = group - run + 1;
    }
  }
  let text = '';
  for (let group = 0; group < 8; group++) {
    if (group === longestFirst) {
      text += '::';
      group += longest - 1;
      continue;
    }
    if (text !== '' && !text.endsWith(':')) text += ':';
    text += ((bytes[at + group * 2]! << 8) | bytes[at + group * 2 + 1]!).toString(16);
  }
  return text;
}

/** Whether the sixteen bytes at `at` are an IPv4-mapped address, `::ffff:0:0/96` (RFC 4291 2.5.5.2). */
export function isMapped(bytes: Uint8Array, at: number): boolean {
  for (let i = 0; i < 10; i++) if (bytes[at + i] !== 0) return false;
  return bytes[at + 10] === 0xff && bytes[at + 11] === 0xff;
}

/** The value of a hexadecimal digit of either case, or -1. */
export function hexDigit(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const letter = byte | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1;
}

/** Whether the byte is `0` to `9`. */
export function isDigit(byte: number): boolean {
  return byte >= 0x30 && byte <= 0x39;
}
