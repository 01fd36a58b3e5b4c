// What the head of an HTTP/1 message means: framing, connection options and the faults that llhttp lets through.
// Pure reading of a parsed head; which fields go on to the next hop is decided in http/request-writer and http/reply-writer.

import { type ErrorCode, type ProxyError, proxyError } from '../../base/errors.ts';
import { FieldId } from '../field-id.ts';
import { type Fields, sameIgnoringCase } from '../fields.ts';
import { Method, methodCode } from './method.ts';
import type { Parser } from './parser.ts';

const CLOSE = Buffer.from('close');
const KEEP_ALIVE = Buffer.from('keep-alive');
const UPGRADE = Buffer.from('upgrade');
const TE = Buffer.from('te');
const CHUNKED = Buffer.from('chunked');
const TRAILERS = Buffer.from('trailers');
const CONTINUE = Buffer.from('100-continue');
const H2C = Buffer.from('h2c');

/** What both directions have: the fields and what they say about the connection and the body. */
class MessageHead {
  /** Valid as long as the bytes of the head are: until the receiver of the head returns. */
  fields: Fields = NO_FIELDS;
  /** Minor version of HTTP/1: 0 or 1. */
  minor = 1;
  /** Length of the body in bytes, -1 when no Content-Length was given. */
  contentLength = -1;
  chunked = false;
  /** Connection options (RFC 9110 7.6.1). */
  close = false;
  keepAlive = false;
  upgrade = false;
  /** Whether Connection names fields beside the well-known options, which must then be dropped. */
  nominating = false;

  protected clear(fields: Fields, minor: number): void {
    this.fields = fields;
    this.minor = minor;
    this.contentLength = -1;
    this.chunked = false;
    this.close = false;
    this.keepAlive = false;
    this.upgrade = false;
    this.nominating = false;
  }

  /** Reads one Connection line. */
  protected readConnection(field: number): void {
    const { bytes } = this.fields;
    let at = this.fields.valueStart(field);
    const end = this.fields.valueEnd(field);
    while (at < end) {
      const tokenEnd = endOfToken(bytes, at, end);
      const start = skipBlanks(bytes, at, tokenEnd);
      const stop = trimBlanks(bytes, start, tokenEnd);
      if (equals(bytes, start, stop, KEEP_ALIVE)) this.keepAlive = true;
      else if (equals(bytes, start, stop, CLOSE)) this.close = true;
      else if (equals(bytes, start, stop, UPGRADE)) this.upgrade = true;
      else if (stop > start && !equals(bytes, start, stop, TE)) this.nominating = true;
      at = tokenEnd + 1;
    }
  }

  /** Whether some Connection line names this field, so that it must not be forwarded (RFC 9110 7.6.1). */
  nominates(field: number): boolean {
    const { fields } = this;
    const { bytes } = fields;
    const nameStart = fields.nameStart(field);
    const nameBytes = fields.nameEnd(field) - nameStart;
    for (let line = 0; line < fields.count; line++) {
      if (fields.id(line) !== FieldId.CONNECTION) continue;
      let at = fields.valueStart(line);
      const end = fields.valueEnd(line);
      while (at < end) {
        const tokenEnd = endOfToken(bytes, at, end);
        const start = skipBlanks(bytes, at, tokenEnd);
        const stop = trimBlanks(bytes, start, tokenEnd);
        if (stop - start === nameBytes && sameLetters(bytes, start, nameStart, nameBytes)) return true;
        at = tokenEnd + 1;
      }
    }
    return false;
  }
}

const NO_FIELDS = { count: 0, bytes: Buffer.alloc(0) } as Fields;

/** A head that lies in memory as HTTP/1.1 would have it. */
export interface LaidOut {
  readonly fields: Fields;
  readonly lineStart: number;
  readonly targetStart: number;
  readonly targetEnd: number;
}

/** The head of a request. One object serves one connection; its offsets are borrowed like the fields. */
export class RequestHead extends MessageHead {
  /** The version that it came by: 1, or 2 for a head that was laid out as one of HTTP/1. */
  major = 1;
  /** Number of the method (see method.ts) and where its name stands. */
  method = 0;
  methodStart = 0;
  targetStart = 0;
  targetEnd = 0;
  /** The one Host field, -1 when there is none (HTTP/1.0). */
  host = -1;
  expectsContinue = false;
  /** Whether the client takes trailers (`TE: trailers`, RFC 9110 10.1.4). */
  takesTrailers = false;
  /** Max-Forwards of a TRACE or OPTIONS request, -1 when there is none or it does not count (RFC 9110 7.6.2). */
  maxForwards = -1;
  /** Whether Upgrade offers h2c, which is answered as if it had not been offered. */
  offersH2c = false;

  /** Reads what `parser` has just completed. Answers null or why the request is refused. */
  read(parser: Parser): ProxyError | null {
    const { fields } = parser;
    this.#begin(fields, parser.minor, parser.targetStart, parser.targetEnd);
    this.major = 1;
    this.method = parser.method;
    return this.#readLine(parser.headStart, fields.bytes) ?? this.#readFields();
  }

  /**
   * Reads a head that came by another version and was laid out as one of HTTP/1.1. `last`: nothing follows it; else a body
   * without a length is one of chunks here. Answers null or why the request is refused.
   */
  adopt(laid: LaidOut, last: boolean): ProxyError | null {
    const { fields, lineStart, targetStart, targetEnd } = laid;
    this.#begin(fields, 1, targetStart, targetEnd);
    this.major = 2;
    this.methodStart = lineStart;
    this.method = methodCode(fields.bytes.toString('latin1', lineStart, targetStart - 1));
    if (this.method < 0) return proxyError('unknown_method');
    const fault = this.#readFields();
    if (fault !== null) return fault;
    if (last && this.contentLength > 0) return proxyError('bad_framing', 'Content-Length without a body');
    this.chunked = !last && this.contentLength < 0;
    return null;
  }

  #begin(fields: Fields, minor: number, targetStart: number, targetEnd: number): void {
    this.clear(fields, minor);
    this.targetStart = targetStart;
    this.targetEnd = targetEnd;
    this.host = -1;
    this.expectsContinue = false;
    this.takesTrailers = false;
    this.offersH2c = false;
    this.maxForwards = -1;
  }

  #readFields(): ProxyError | null {
    const { fields } = this;
    const { bytes } = fields;
    let codings = 0;
    for (let field = 0; field < fields.count; field++) {
      switch (fields.id(field)) {
        case FieldId.OTHER:
          break;
        case FieldId.HOST:
          // `_` counts as `-` for identification only; "host" has neither.
          if (this.host >= 0) return proxyError('bad_host', 'more than one Host');
          this.host = field;
          break;
        case FieldId.CONTENT_LENGTH:
          if (this.contentLength >= 0) return proxyError('bad_framing', 'more than one Content-Length');
          if (!isExact(fields, field, 7)) return proxyError('bad_framing', 'content_length');
          this.contentLength = readLength(fields, field);
          if (this.contentLength < 0) return proxyError('bad_framing', 'Content-Length is not a number');
          break;
        case FieldId.TRANSFER_ENCODING:
          if (!isExact(fields, field, 8)) return proxyError('bad_framing', 'transfer_encoding');
          codings++;
          break;
        case FieldId.CONNECTION:
          this.readConnection(field);
          break;
        case FieldId.EXPECT:
          if (!equals(bytes, fields.valueStart(field), fields.valueEnd(field), CONTINUE)) {
            return proxyError('expectation_failed');
          }
          this.expectsContinue = true;
          break;
        case FieldId.TE:
          if (listHas(fields, field, TRAILERS)) this.takesTrailers = true;
          break;
        case FieldId.UPGRADE:
          if (listHas(fields, field, H2C)) this.offersH2c = true;
          break;
        case FieldId.MAX_FORWARDS:
          if (this.method === Method.TRACE || this.method === Method.OPTIONS) {
            this.maxForwards = readLength(fields, field);
          }
          break;
      }
    }
    if (this.host < 0 && this.minor === 1) return proxyError('bad_host', 'no Host');
    return codings > 0 ? this.#readCoding(codings) : null;
  }

  /** One space on either side of the target and exactly HTTP/1.0 or HTTP/1.1: llhttp takes more than that. */
  #readLine(headStart: number, bytes: Buffer): ProxyError | null {
    let start = headStart;
    // RFC 9112 2.2: empty lines before the request line are skipped.
    while (bytes[start] === 0x0d && bytes[start + 1] === 0x0a) start += 2;
    if (bytes[start] === 0x0d || bytes[start] === 0x0a) return proxyError('bad_request', 'bare CR or LF');
    this.methodStart = start;
    const { targetStart, targetEnd } = this;
    if (targetStart === targetEnd) return proxyError('bad_target', 'no target');
    for (let at = start; at < targetStart - 1; at++) {
      if (bytes[at] === 0x20) return proxyError('bad_request', 'more than one space before the target');
    }
    if (
      bytes[targetEnd] !== 0x20 ||
      bytes[targetEnd + 1] !== 0x48 ||
      bytes[targetEnd + 2] !== 0x54 ||
      bytes[targetEnd + 3] !== 0x54 ||
      bytes[targetEnd + 4] !== 0x50 ||
      bytes[targetEnd + 5] !== 0x2f
    ) {
      return proxyError('bad_request', 'the request line does not end in HTTP/1.1');
    }
    if (bytes[targetEnd + 6] !== 0x31) return proxyError('unknown_version');
    return null;
  }

  #readCoding(lines: number): ProxyError | null {
    // RFC 9112 6.1: a server may refuse both lengths, and coding in HTTP/1.0; both are how requests are smuggled.
    if (this.contentLength >= 0) return proxyError('bad_framing', 'Content-Length and Transfer-Encoding');
    if (this.minor === 0) return proxyError('bad_framing', 'Transfer-Encoding in HTTP/1.0');
    const code = lines > 1 ? 'unknown_coding' : codingFault(this.fields);
    if (code !== '') return proxyError(code === 'not_final' ? 'bad_framing' : code, 'Transfer-Encoding is not chunked');
    this.chunked = true;
    return null;
  }
}

/** The head of a response. */
export class ResponseHead extends MessageHead {
  status = 0;
  /** Where the status line begins; it is 8 bytes of version, a space, 3 digits, perhaps a space and a reason, CRLF. */
  lineStart = 0;
  /** Where the status line's reason phrase stands in `fields.bytes`; may be empty. */
  reasonStart = 0;
  reasonEnd = 0;

  /** As `read`, for a head that came by another version and was laid out as one of HTTP/1.1; `lineEnd`: behind the CRLF of its first line. */
  adopt(fields: Fields, lineStart: number, lineEnd: number, status: number): ProxyError | null {
    this.clear(fields, 1);
    this.status = status;
    this.lineStart = lineStart;
    this.reasonStart = lineStart + 13;
    this.reasonEnd = lineEnd - 2;
    if (status < 100 || status > 999 || status === 101) return proxyError('bad_response', `status ${status}`);
    return this.#readFields();
  }

  /** Reads what `parser` has just completed. Answers null or what is wrong with the response. */
  read(parser: Parser): ProxyError | null {
    const { fields } = parser;
    const { bytes } = fields;
    this.clear(fields, parser.minor);
    this.status = parser.status;
    this.lineStart = parser.headStart;
    this.reasonStart = parser.headStart + 13;
    this.reasonEnd = parser.headStart + 12;
    const lineEnd = fields.count > 0 ? fields.nameStart(0) : parser.headEnd - 2;
    // llhttp takes an empty line before the status line, HTTP/2.0 in it and statuses from 000; 1xx is unknown to HTTP/1.0
    // (RFC 9110 15.2).
    if (
      parser.major !== 1 ||
      parser.status < 100 ||
      bytes[parser.headStart] !== 0x48 ||
      (parser.status < 200 && parser.minor === 0) ||
      lineEnd < parser.headStart + 14
    ) {
      return proxyError('bad_response', `HTTP/${parser.major}.${parser.minor} ${parser.status}`);
    }
    this.reasonEnd = Math.max(this.reasonStart, lineEnd - 2);
    // RFC 9112 4: blanks and visible bytes; llhttp lets control characters through here.
    for (let at = this.reasonStart; at < this.reasonEnd; at++) {
      const byte = bytes[at]!;
      if ((byte < 0x20 && byte !== 0x09) || byte === 0x7f) return proxyError('bad_response', 'reason phrase');
    }
    return this.#readFields();
  }

  #readFields(): ProxyError | null {
    const { fields } = this;
    let codings = 0;
    for (let field = 0; field < fields.count; field++) {
      switch (fields.id(field)) {
        case FieldId.OTHER:
          break;
        case FieldId.CONTENT_LENGTH:
          if (this.contentLength >= 0) return proxyError('bad_response', 'more than one Content-Length');
          if (!isExact(fields, field, 7)) return proxyError('bad_response', 'content_length');
          this.contentLength = readLength(fields, field);
          if (this.contentLength < 0) return proxyError('bad_response', 'Content-Length is not a number');
          break;
        case FieldId.TRANSFER_ENCODING:
          if (!isExact(fields, field, 8)) return proxyError('bad_response', 'transfer_encoding');
          codings++;
          break;
        case FieldId.CONNECTION:
          this.readConnection(field);
          break;
      }
    }
    if (codings === 0) return null;
    if (this.contentLength >= 0) return proxyError('bad_response', 'Content-Length and Transfer-Encoding');
    if (this.minor === 0) return proxyError('bad_response', 'Transfer-Encoding in HTTP/1.0');
    if (codings > 1 || codingFault(fields) !== '')
      return proxyError('bad_response', 'Transfer-Encoding is not chunked');
    this.chunked = true;
    return null;
  }
}

/** '' when the one Transfer-Encoding line is exactly `chunked`; else why not. RFC 9112 6.1, 6.3. */
function codingFault(fields: Fields): '' | 'not_final' | Extract<ErrorCode, 'unknown_coding'> {
  const { bytes } = fields;
  for (let field = 0; field < fields.count; field++) {
    if (fields.id(field) !== FieldId.TRANSFER_ENCODING) continue;
    const start = fields.valueStart(field);
    const end = fields.valueEnd(field);
    if (equals(bytes, start, end, CHUNKED)) return '';
    // Not final: nobody can tell where the body ends. Final, after something else: a coding that we do not know.
    return end - start > CHUNKED.length && equals(bytes, end - CHUNKED.length, end, CHUNKED)
      ? 'unknown_coding'
      : 'not_final';
  }
  return '';
}

/** Decimal digits only, at most 15 of them: every value is exact in a double. -1 otherwise. */
function readLength(fields: Fields, field: number): number {
  const { bytes } = fields;
  const start = fields.valueStart(field);
  const end = fields.valueEnd(field);
  if (start === end || end - start > 15) return -1;
  let length = 0;
  for (let at = start; at < end; at++) {
    const digit = bytes[at]! - 0x30;
    if (digit < 0 || digit > 9) return -1;
    length = length * 10 + digit;
  }
  return length;
}

/** Whether the name has a real `-` at `hyphen`: framing under a look-alike name is refused rather than ignored. */
function isExact(fields: Fields, field: number, hyphen: number): boolean {
  return fields.bytes[fields.nameStart(field) + hyphen] === 0x2d;
}

/** Whether a comma-separated list has this member, parameters aside. */
function listHas(fields: Fields, field: number, lowerCase: Uint8Array): boolean {
  const { bytes } = fields;
  let at = fields.valueStart(field);
  const end = fields.valueEnd(field);
  while (at < end) {
    const tokenEnd = endOfToken(bytes, at, end);
    const start = skipBlanks(bytes, at, tokenEnd);
    let stop = start;
    while (stop < tokenEnd && bytes[stop] !== 0x3b) stop++;
    if (equals(bytes, start, trimBlanks(bytes, start, stop), lowerCase)) return true;
    at = tokenEnd + 1;
  }
  return false;
}

function endOfToken(bytes: Buffer, at: number, end: number): number {
  while (at < end && bytes[at] !== 0x2c) at++;
  return at;
}

function skipBlanks(bytes: Buffer, at: number, end: number): number {
  while (at < end && (bytes[at] === 0x20 || bytes[at] === 0x09)) at++;
  return at;
}

function trimBlanks(bytes: Buffer, start: number, end: number): number {
  while (end > start && (bytes[end - 1] === 0x20 || bytes[end - 1] === 0x09)) end--;
  return end;
}

function equals(bytes: Buffer, start: number, end: number, lowerCase: Uint8Array): boolean {
  return end - start === lowerCase.length && sameIgnoringCase(bytes, start, lowerCase);
}

function sameLetters(bytes: Buffer, a: number, b: number, length: number): boolean {
  for (let i = 0; i < length; i++) {
    if (lower(bytes[a + i]!) !== lower(bytes[b + i]!)) return false;
  }
  return true;
}

function lower(byte: number): number {
  return byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte;
}
