// The PROXY protocol, versions 1 and 2, both directions (haproxy's proxy-protocol.txt of 2020/03/05, called PP below).
// Whom to believe is left to the listener: it must only ask for a header from addresses that the operator trusts.

import { formatIPv4, formatIPv6, isDigit, isMapped, readIPv4, readIPv6 } from './ip-address.ts';
import { latin1 } from './latin1.ts';

/** Answers of `readProxyHeader`. */
export const ProxyRead = {
  /** The range is the beginning of a header: wait for more. */
  MORE: 0,
  /** A whole header was read. */
  DONE: 1,
  /** The first bytes are not those of a header. */
  NONE: 2,
  /** It begins as a header and goes wrong; `fault` says how. */
  MALFORMED: 3,
} as const;

/** Longest version 1 line, CRLF included (PP 2.1). */
export const PROXY_V1_BYTES = 107;
/** Most bytes accepted after the 16 fixed ones of version 2; everyday headers have 12 to 300, and certificates fit. */
export const PROXY_V2_PAYLOAD_BYTES = 4096;

/** What a header says. One object can be read into again and again; every field is set anew by each reading. */
export class ProxyHeader {
  version: 1 | 2 = 1;
  /** Whether the connection's own addresses count: LOCAL, UNKNOWN, or a family or transport that says nothing here. */
  local = true;
  family: 'tcp4' | 'tcp6' | 'unix' | 'unspecified' = 'unspecified';
  /** IP literal in canonical text, or path of a unix socket ('' for abstract ones); '' when local. */
  sourceAddress = '';
  /** 0 to 65535; 0 for unix and when local. */
  sourcePort = 0;
  destinationAddress = '';
  destinationPort = 0;
  /** Host name that the client asked for (PP2_TYPE_AUTHORITY), as sent; '' if none. */
  authority = '';
  /** Bytes of the range that the header took. */
  length = 0;
  /** Why the reading ended in `MALFORMED`, in one word; else ''. */
  fault = '';

  clear(): void {
    this.version = 1;
    this.local = true;
    this.family = 'unspecified';
    this.sourceAddress = '';
    this.sourcePort = 0;
    this.destinationAddress = '';
    this.destinationPort = 0;
    this.authority = '';
    this.length = 0;
    this.fault = '';
  }
}

/** One end of a connection, as the writers take it. */
export interface ProxyEnd {
  /** IP literal (a zone is dropped); anything else counts as unknown. */
  readonly address: string;
  /** 0 to 65535. */
  readonly port: number;
}

/** What a version 2 header may carry besides addresses. */
export interface ProxyExtras {
  /** Host name that the client asked for, at most 255 bytes in UTF-8; '' for none. */
  readonly authority?: string;
  /** Whether a CRC32C of the header is added (PP 2.2.3). */
  readonly checksummed?: boolean;
}

/**
 * Reads the header that the connection's first bytes, `start..end`, hold. Returns one of `ProxyRead`, in time linear
 * in the range; nothing is decided by bytes outside it.
 *
 * Version 1 is strict: one space between words, no leading zeros, CRLF within 107 bytes; an IPv6 address may end in
 * dotted form, as inet_ntop writes mapped ones. Version 2 has its TLVs walked where the family tells where they
 * begin: lengths must add up, a checksum must match, checksum and authority come at most once. What LOCAL and
 * unspecified families carry may be anything, so there only a checksum that is recognisably one is held against it.
 * Datagram transports are read as unspecified, since no datagram comes over a stream.
 */
export function readProxyHeader(bytes: Uint8Array, start: number, end: number, into: ProxyHeader): number {
  into.clear();
  if (start >= end) return ProxyRead.MORE;
  const version = bytes[start] === V1_SIGNATURE[0] ? 1 : 2;
  const signature = version === 1 ? V1_SIGNATURE : V2_SIGNATURE;
  for (let i = 0; i < signature.length; i++) {
    if (start + i === end) return ProxyRead.MORE;
    if (bytes[start + i] !== signature[i]) return ProxyRead.NONE;
  }
  into.version = version;
  return version === 1 ? readLine(bytes, start, end, into) : readBinary(bytes, start, end, into);
}

/**
 * A version 1 line. UNKNOWN when an end is missing or is not an IP address and a port: unix peers, or a socket that
 * closed before it was asked. Two IPv4-mapped ends are written as IPv4, a mix of families as IPv6 (PP 2.1).
 */
export function writeProxyHeaderV1(source: ProxyEnd | null, destination: ProxyEnd | null): Buffer {
  const width = placeEnds(source, destination);
  if (width === 0) return Buffer.from('PROXY UNKNOWN\r\n', 'latin1');
  const [word, from, to] =
    width === 4
      ? ['TCP4', formatIPv4(ENDS, MAPPED_AT), formatIPv4(ENDS, 16 + MAPPED_AT)]
      : ['TCP6', formatIPv6(ENDS, 0), formatIPv6(ENDS, 16)];
  return Buffer.from(`PROXY ${word} ${from} ${to} ${source!.port} ${destination!.port}\r\n`, 'latin1');
}

/** A version 2 header, with the same rules for addresses as version 1; LOCAL when an end is missing (PP 2.2). */
export function writeProxyHeaderV2(
  source: ProxyEnd | null,
  destination: ProxyEnd | null,
  extras: ProxyExtras = {},
): Buffer {
  const width = placeEnds(source, destination);
  const addresses = width === 0 ? 0 : width * 2 + 4;
  const name = Buffer.from(extras.authority ?? '', 'utf8');
  // A name that no reader would take is worth less than the connection.
  const authority = name.length > 0 && name.length <= LONGEST_AUTHORITY_BYTES ? TLV_HEADER_BYTES + name.length : 0;
  const checksum = extras.checksummed === true ? TLV_HEADER_BYTES + 4 : 0;
  const header = Buffer.alloc(V2_FIXED_BYTES + addresses + authority + checksum);
  V2_SIGNATURE.copy(header);
  header[12] = width === 0 ? 0x20 : 0x21;
  header[13] = width === 0 ? 0x00 : width === 4 ? 0x11 : 0x21;
  header.writeUInt16BE(addresses + authority + checksum, 14);
  let at = V2_FIXED_BYTES;
  if (width > 0) {
    const skipped = 16 - width;
    header.set(ENDS.subarray(skipped, 16), at);
    header.set(ENDS.subarray(16 + skipped, 32), at + width);
    header.writeUInt16BE(source!.port, at + width * 2);
    header.writeUInt16BE(destination!.port, at + width * 2 + 2);
    at += addresses;
  }
  if (authority > 0) {
    header[at] = Tlv.AUTHORITY;
    header.writeUInt16BE(name.length, at + 1);
    name.copy(header, at + TLV_HEADER_BYTES);
    at += authority;
  }
  if (checksum > 0) {
    header[at] = Tlv.CRC32C;
    header.writeUInt16BE(4, at + 1);
    header.writeUInt32BE(crc32c(header, 0, header.length, -1), at + TLV_HEADER_BYTES);
  }
  return header;
}

const V1_SIGNATURE = Buffer.from('PROXY', 'latin1');
const V2_SIGNATURE = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1');
const V2_FIXED_BYTES = 16;
const UNIX_PATH_BYTES = 108;
const TLV_HEADER_BYTES = 3;
const LONGEST_AUTHORITY_BYTES = 255;
const Tlv = { AUTHORITY: 0x02, CRC32C: 0x03 } as const;

/** Both ends in network byte order, sixteen bytes each; filled and used within one call. */
const ENDS = Buffer.alloc(32);
/** Where an IPv4 address lies in its IPv4-mapped IPv6 form. */
const MAPPED_AT = 12;

function refuse(into: ProxyHeader, fault: string): number {
  const version = into.version;
  into.clear();
  into.version = version;
  into.fault = fault;
  return ProxyRead.MALFORMED;
}

function readLine(bytes: Uint8Array, start: number, end: number, into: ProxyHeader): number {
  const stop = Math.min(end, start + PROXY_V1_BYTES);
  let at = start + V1_SIGNATURE.length;
  if (at < end && bytes[at] !== 0x20) return refuse(into, 'words');
  while (at < stop && bytes[at] !== 0x0d && bytes[at] !== 0x0a) at++;
  // PP 2.1: neither a CR nor an LF alone ends the line.
  if (at < stop && bytes[at] === 0x0a) return refuse(into, 'line_end');
  if (at + 1 >= stop) return stop < start + PROXY_V1_BYTES ? ProxyRead.MORE : refuse(into, 'line_length');
  if (bytes[at + 1] !== 0x0a) return refuse(into, 'line_end');
  into.length = at + 2 - start;
  const words = latin1(bytes, start, at).split(' ');
  // PP 2.1: what follows UNKNOWN is ignored.
  if (words[1] === 'UNKNOWN') return ProxyRead.DONE;
  if (words.length !== 6 || (words[1] !== 'TCP4' && words[1] !== 'TCP6')) return refuse(into, 'words');
  const read = words[1] === 'TCP4' ? readIPv4 : readIPv6;
  for (let end = 0; end < 2; end++) {
    const text = Buffer.from(words[2 + end]!, 'latin1');
    if (!read(text, 0, text.length, ENDS, end * 16)) return refuse(into, 'address');
  }
  into.sourcePort = readPort(words[4]!);
  into.destinationPort = readPort(words[5]!);
  if (into.sourcePort < 0 || into.destinationPort < 0) return refuse(into, 'port');
  into.local = false;
  into.family = words[1] === 'TCP4' ? 'tcp4' : 'tcp6';
  const format = words[1] === 'TCP4' ? formatIPv4 : formatIPv6;
  into.sourceAddress = format(ENDS, 0);
  into.destinationAddress = format(ENDS, 16);
  return ProxyRead.DONE;
}

/** A port without leading zeros, or -1. */
function readPort(text: string): number {
  if (text.length === 0 || text.length > 5 || (text.length > 1 && text[0] === '0')) return -1;
  for (let i = 0; i < text.length; i++) if (!isDigit(text.charCodeAt(i))) return -1;
  const port = Number(text);
  return port <= 65535 ? port : -1;
}

function readBinary(bytes: Uint8Array, start: number, end: number, into: ProxyHeader): number {
  const size = end - start;
  if (size > 12 && bytes[start + 12]! >> 4 !== 2) return refuse(into, 'version');
  const command = bytes[start + 12]! & 0x0f;
  if (size > 12 && command > 1) return refuse(into, 'command');
  const family = bytes[start + 13]! >> 4;
  const transport = bytes[start + 13]! & 0x0f;
  // PP 2.2: a LOCAL header's family is ignored, whatever it is.
  if (size > 13 && command === 1 && (family > 3 || transport > 2)) return refuse(into, 'family');
  if (size < V2_FIXED_BYTES) return ProxyRead.MORE;
  const payload = u16(bytes, start + 14);
  if (payload > PROXY_V2_PAYLOAD_BYTES) return refuse(into, 'too_large');
  const located = command === 1 && family !== 0 && transport !== 0;
  const addresses = located ? ADDRESS_BYTES[family]! : 0;
  if (payload < addresses) return refuse(into, 'address_length');
  if (size < V2_FIXED_BYTES + payload) return ProxyRead.MORE;
  into.length = V2_FIXED_BYTES + payload;
  const at = start + V2_FIXED_BYTES;
  const fault = readTlvs(bytes, start, at + addresses, start + into.length, into);
  // With LOCAL or nothing specified the payload need not be TLVs; a checksum in what walks as TLVs still counts.
  if (fault !== '' && (located || fault === 'checksum')) return refuse(into, fault);
  if (fault !== '') into.authority = '';
  if (located && transport === 1) readEnds(bytes, at, family, into);
  return ProxyRead.DONE;
}

/** By address family: both ends with their ports (PP 2.2). */
const ADDRESS_BYTES: readonly number[] = [0, 12, 36, UNIX_PATH_BYTES * 2];

/**
 * Walks `at..end` as TLVs. The checksum is looked at last, so that it is only compared when the lengths added up.
 */
function readTlvs(bytes: Uint8Array, start: number, at: number, end: number, into: ProxyHeader): string {
  let checksumAt = -1;
  let named = false;
  while (at < end) {
    if (end - at < TLV_HEADER_BYTES) return 'tlv_length';
    const kind = bytes[at];
    const length = u16(bytes, at + 1);
    at += TLV_HEADER_BYTES;
    if (length > end - at) return 'tlv_length';
    if (kind === Tlv.CRC32C) {
      if (length !== 4) return 'checksum_length';
      if (checksumAt >= 0) return 'checksum_twice';
      checksumAt = at;
    } else if (kind === Tlv.AUTHORITY) {
      if (named) return 'authority_twice';
      if (length > LONGEST_AUTHORITY_BYTES || hasControls(bytes, at, at + length)) return 'authority';
      named = true;
      into.authority = utf8(bytes, at, at + length);
    }
    at += length;
  }
  if (checksumAt < 0) return '';
  const sent = ((u16(bytes, checksumAt) << 16) | u16(bytes, checksumAt + 2)) >>> 0;
  return crc32c(bytes, start, end, checksumAt) === sent ? '' : 'checksum';
}

function readEnds(bytes: Uint8Array, at: number, family: number, into: ProxyHeader): void {
  into.local = false;
  if (family === 3) {
    into.family = 'unix';
    into.sourceAddress = readPath(bytes, at);
    into.destinationAddress = readPath(bytes, at + UNIX_PATH_BYTES);
    return;
  }
  const width = family === 1 ? 4 : 16;
  const format = family === 1 ? formatIPv4 : formatIPv6;
  into.family = family === 1 ? 'tcp4' : 'tcp6';
  into.sourceAddress = format(bytes, at);
  into.destinationAddress = format(bytes, at + width);
  into.sourcePort = u16(bytes, at + width * 2);
  into.destinationPort = u16(bytes, at + width * 2 + 2);
}

function readPath(bytes: Uint8Array, start: number): string {
  let at = start;
  while (at < start + UNIX_PATH_BYTES && bytes[at] !== 0) at++;
  return utf8(bytes, start, at);
}

/**
 * Places both ends in `ENDS`, IPv4 in mapped form. Returns the bytes per address to write: 4 when both are IPv4, else
 * 16, or 0 when the ends are not both known.
 */
function placeEnds(source: ProxyEnd | null, destination: ProxyEnd | null): number {
  if (source === null || destination === null) return 0;
  if (!placeEnd(source, 0) || !placeEnd(destination, 16)) return 0;
  return isMapped(ENDS, 0) && isMapped(ENDS, 16) ? 4 : 16;
}

function placeEnd(end: ProxyEnd, at: number): boolean {
  if (!Number.isInteger(end.port) || end.port < 0 || end.port > 65535) return false;
  const zone = end.address.indexOf('%');
  const text = Buffer.from(zone < 0 ? end.address : end.address.slice(0, zone), 'utf8');
  if (readIPv4(text, 0, text.length, ENDS, at + MAPPED_AT)) {
    ENDS.fill(0, at, at + 10).fill(0xff, at + 10, at + MAPPED_AT);
    return true;
  }
  return readIPv6(text, 0, text.length, ENDS, at);
}

/** CRC32C (Castagnoli, reflected) of `start..end`, the four bytes at `zeroedAt` counted as zeros if that is not -1. */
function crc32c(bytes: Uint8Array, start: number, end: number, zeroedAt: number): number {
  let crc = 0xffffffff;
  for (let at = start; at < end; at++) {
    const zeroed = zeroedAt >= 0 && at >= zeroedAt && at < zeroedAt + 4;
    crc = CRC_TABLE[(crc ^ (zeroed ? 0 : bytes[at]!)) & 0xff]! ^ (crc >>> 8);
  }
  return (crc ^ 0xffffffff) >>> 0;
}

const CRC_TABLE = Int32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  return crc;
});

function hasControls(bytes: Uint8Array, start: number, end: number): boolean {
  for (let at = start; at < end; at++) if (bytes[at]! < 0x20 || bytes[at] === 0x7f) return true;
  return false;
}

function utf8(bytes: Uint8Array, start: number, end: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString('utf8');
}

function u16(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 8) | bytes[at + 1]!;
}
