// Reads a TLS ClientHello from raw records without decrypting: enough to route a connection that stays encrypted.
// Choosing a cluster by name, and any judgement of ciphers or keys, is left to others.

import { readIPv4, readIPv6 } from './ip-address.ts';
import { latin1 } from './latin1.ts';

/** Answers of `readClientHello`. */
export const Hello = {
  /** The range is the beginning of a ClientHello: wait for more. */
  MORE: 0,
  /** A whole ClientHello was read. */
  DONE: 1,
  /** No ClientHello begins like this; `fault` says why. */
  MALFORMED: 2,
} as const;

/**
 * Largest ClientHello accepted, record headers included. Post-quantum key shares make hellos of 1.5 to 4 KiB; a range
 * of this size is never answered with `MORE`.
 */
export const HELLO_BYTES = 65536;

/** Longest DNS name in text (RFC 1035 2.3.4). */
const LONGEST_NAME_BYTES = 253;
const LARGEST_FRAGMENT_BYTES = 16384;
const RECORD_HEADER_BYTES = 5;
const MESSAGE_HEADER_BYTES = 4;

const Extension = { SERVER_NAME: 0, ALPN: 16, SUPPORTED_VERSIONS: 43, ENCRYPTED_CLIENT_HELLO: 0xfe0d } as const;

/** Filled and used within one call. */
const SCRATCH = new Uint8Array(16);

/** What a ClientHello says. One object can be read into again and again; every field is set anew by each reading. */
export class ClientHello {
  /**
   * Name asked for (RFC 6066 3) in lower case; '' if there is none or it is an IP literal, which that section forbids
   * but some clients send. With encrypted ClientHello this is the outer, public name.
   */
  serverName = '';
  /** Application protocols in the client's order (RFC 7301 3.1), GREASE (RFC 8701) left out. */
  alpn: string[] = [];
  /** The version field of the message itself: 0x0303 for TLS 1.2 and for 1.3. */
  legacyVersion = 0;
  /** Versions of the supported_versions extension in the client's order, GREASE left out; empty before TLS 1.3. */
  supportedVersions: number[] = [];
  /** Whether an encrypted ClientHello extension is there, real or GREASE: nobody on the way can tell them apart. */
  ech = false;
  /** Bytes of the range that the ClientHello took. */
  length = 0;
  /** Why the reading ended in `MALFORMED`, in one word; also `ip_literal` where a name was passed over; else ''. */
  fault = '';

  clear(): void {
    this.serverName = '';
    this.alpn = [];
    this.legacyVersion = 0;
    this.supportedVersions = [];
    this.ech = false;
    this.length = 0;
    this.fault = '';
  }
}

/**
 * Reads the ClientHello (RFC 8446 4.1.2; earlier versions look the same) that the connection's first bytes,
 * `start..end`, hold. Returns one of `Hello`, in time linear in the range; nothing is decided by bytes outside it.
 *
 * It may be cut over any number of records. Refused besides wrong lengths: other records in between, bytes after it in
 * its last record, an extension or a kind of name given twice, and names that no DNS name looks like: other bytes than
 * letters, digits, `-`, `_` and `.`, a trailing dot, empty or over-long labels, more than 253 bytes.
 */
export function readClientHello(bytes: Uint8Array, start: number, end: number, into: ClientHello): number {
  into.clear();
  let at = start;
  let seen = 0; // bytes of the message in the records so far
  let header = 0; // the message's type and length
  let size = MESSAGE_HEADER_BYTES; // bytes of the whole message, once its header was seen
  while (true) {
    const fault = checkRecordHeader(bytes, at, end);
    if (fault !== '') return refuse(into, fault);
    if (end - at < RECORD_HEADER_BYTES) return moreUnlessLarge(start, end, into);
    const fragment = u16(bytes, at + 3);
    at += RECORD_HEADER_BYTES;
    const stop = Math.min(end, at + fragment);
    for (let i = at; i < stop && seen + i - at < MESSAGE_HEADER_BYTES; i++) {
      header = header * 256 + bytes[i]!;
      const position = seen + i - at;
      if (position === 0 && header !== 1) return refuse(into, 'message_type');
      if (position === MESSAGE_HEADER_BYTES - 1) size = MESSAGE_HEADER_BYTES + (header & 0xffffff);
    }
    if (leastWireBytes(size) > HELLO_BYTES) return refuse(into, 'too_large');
    const whole = seen + fragment >= size && seen + stop - at >= MESSAGE_HEADER_BYTES;
    // RFC 8446 5.1: what precedes a change of keys ends with its record, and a client has nothing else to say yet.
    if (whole && seen + fragment > size) return refuse(into, 'bytes_after_message');
    if (end < at + fragment) return moreUnlessLarge(start, end, into);
    seen += fragment;
    at += fragment;
    if (whole) break;
  }
  if (at - start > HELLO_BYTES) return refuse(into, 'too_large');
  into.length = at - start;
  const fault = readMessage(gatherMessage(bytes, start, at), into);
  return fault === '' ? Hello.DONE : refuse(into, fault);
}

function refuse(into: ClientHello, fault: string): number {
  into.clear();
  into.fault = fault;
  return Hello.MALFORMED;
}

function moreUnlessLarge(start: number, end: number, into: ClientHello): number {
  return end - start < HELLO_BYTES ? Hello.MORE : refuse(into, 'too_large');
}

/** RFC 8446 5.1. The minor version is not compared further: clients write 1 or 3 here whatever they speak. */
function checkRecordHeader(bytes: Uint8Array, at: number, end: number): string {
  const size = end - at;
  if (size > 0 && bytes[at] !== 22) return 'record_type';
  if (size > 1 && bytes[at + 1] !== 3) return 'record_version';
  if (size > 2 && bytes[at + 2]! > 4) return 'record_version';
  if (size >= RECORD_HEADER_BYTES) {
    const fragment = u16(bytes, at + 3);
    if (fragment === 0 || fragment > LARGEST_FRAGMENT_BYTES) return 'record_length';
  }
  return '';
}

/** Bytes that a message of `size` takes in records as large as they may be. */
function leastWireBytes(size: number): number {
  return size + RECORD_HEADER_BYTES * Math.ceil(size / LARGEST_FRAGMENT_BYTES);
}

/** The message out of its records, which `readClientHello` has found whole in `start..end`: a copy if they are several. */
export function gatherMessage(bytes: Uint8Array, start: number, end: number): Uint8Array {
  const first = start + RECORD_HEADER_BYTES;
  if (first + u16(bytes, start + 3) >= end) return bytes.subarray(first, end);
  const message = new Uint8Array(end - start);
  let filled = 0;
  for (let at = start; at < end; ) {
    const fragment = u16(bytes, at + 3);
    at += RECORD_HEADER_BYTES;
    message.set(bytes.subarray(at, at + fragment), filled);
    filled += fragment;
    at += fragment;
  }
  return message.subarray(0, filled);
}

function readMessage(message: Uint8Array, into: ClientHello): string {
  const end = message.length;
  let at = MESSAGE_HEADER_BYTES;
  if (end - at < 35) return 'truncated';
  into.legacyVersion = u16(message, at);
  at += 2 + 32;
  const session = message[at]!;
  if (session > 32) return 'session_length';
  at += 1 + session;
  if (end - at < 2) return 'truncated';
  const suites = u16(message, at);
  if (suites === 0 || suites % 2 === 1) return 'cipher_length';
  at += 2 + suites;
  if (end - at < 1) return 'truncated';
  const compressions = message[at]!;
  if (compressions === 0) return 'compression_length';
  at += 1 + compressions;
  if (at > end) return 'truncated';
  if (at === end) return ''; // before TLS 1.3 a hello may end here (RFC 5246 7.4.1.2)
  if (end - at < 2 || u16(message, at) !== end - at - 2) return 'extensions_length';
  return readExtensions(message, at + 2, end, into);
}

function readExtensions(message: Uint8Array, start: number, end: number, into: ClientHello): string {
  const kinds = new Set<number>();
  let at = start;
  while (at < end) {
    if (end - at < 4) return 'extension_length';
    const kind = u16(message, at);
    const length = u16(message, at + 2);
    at += 4;
    if (length > end - at) return 'extension_length';
    if (kinds.has(kind)) return 'extension_twice';
    kinds.add(kind);
    const fault = readExtension(message, kind, at, at + length, into);
    if (fault !== '') return fault;
    at += length;
  }
  return '';
}

function readExtension(message: Uint8Array, kind: number, start: number, end: number, into: ClientHello): string {
  switch (kind) {
    case Extension.SERVER_NAME:
      return readServerName(message, start, end, into);
    case Extension.ALPN:
      return readAlpn(message, start, end, into);
    case Extension.SUPPORTED_VERSIONS:
      return readVersions(message, start, end, into);
    case Extension.ENCRYPTED_CLIENT_HELLO:
      into.ech = true;
      return '';
    default:
      return '';
  }
}

/** RFC 6066 3. Only host_name (0) is defined; other kinds are passed over by the length they must begin with. */
function readServerName(message: Uint8Array, start: number, end: number, into: ClientHello): string {
  if (end - start < 2 || u16(message, start) !== end - start - 2 || end - start === 2) return 'name_list_length';
  const kinds = new Set<number>();
  let at = start + 2;
  while (at < end) {
    if (end - at < 3) return 'name_length';
    const kind = message[at]!;
    const length = u16(message, at + 1);
    at += 3;
    if (length > end - at) return 'name_length';
    if (kinds.has(kind)) return 'name_twice';
    kinds.add(kind);
    if (kind === 0) {
      const fault = checkName(message, at, at + length);
      if (fault !== '') return fault;
      if (isLiteral(message, at, at + length)) into.fault = 'ip_literal';
      else into.serverName = latin1(message, at, at + length).toLowerCase();
    }
    at += length;
  }
  return '';
}

function checkName(message: Uint8Array, start: number, end: number): string {
  const length = end - start;
  if (length === 0 || length > LONGEST_NAME_BYTES) return 'name_length';
  let label = 0;
  let colons = false;
  for (let at = start; at < end; at++) {
    const byte = message[at]!;
    if (byte === 0x2e) {
      if (label === 0) return 'name_label';
      label = 0;
      continue;
    }
    if (byte === 0x3a) colons = true;
    else if (!isNameByte(byte)) return 'name_bytes';
    if (++label > 63) return 'name_label';
  }
  if (label === 0) return 'name_label';
  // The one thing with colons that is passed over rather than refused.
  return colons && !isLiteral(message, start, end) ? 'name_bytes' : '';
}

function isLiteral(message: Uint8Array, start: number, end: number): boolean {
  return readIPv4(message, start, end, SCRATCH, 0) || readIPv6(message, start, end, SCRATCH, 0);
}

/** RFC 7301 3.1. */
function readAlpn(message: Uint8Array, start: number, end: number, into: ClientHello): string {
  if (end - start < 2 || u16(message, start) !== end - start - 2 || end - start === 2) return 'alpn_length';
  let at = start + 2;
  while (at < end) {
    const length = message[at]!;
    at++;
    if (length === 0 || length > end - at) return 'alpn_length';
    if (length !== 2 || !isGrease(u16(message, at))) into.alpn.push(latin1(message, at, at + length));
    at += length;
  }
  return '';
}

/** RFC 8446 4.2.1. */
function readVersions(message: Uint8Array, start: number, end: number, into: ClientHello): string {
  const length = end - start;
  if (length < 3 || length % 2 === 0 || message[start] !== length - 1) return 'versions_length';
  for (let at = start + 1; at < end; at += 2) {
    const version = u16(message, at);
    if (!isGrease(version)) into.supportedVersions.push(version);
  }
  return '';
}

/** Values that clients sprinkle in to keep servers tolerant: 0x0a0a, 0x1a1a ... 0xfafa (RFC 8701 2). */
export function isGrease(value: number): boolean {
  return (value & 0x0f0f) === 0x0a0a && value >> 8 === (value & 0xff);
}

function isNameByte(byte: number): boolean {
  const letter = byte | 0x20;
  return (letter >= 0x61 && letter <= 0x7a) || (byte >= 0x30 && byte <= 0x39) || byte === 0x2d || byte === 0x5f;
}

function u16(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 8) | bytes[at + 1]!;
}
