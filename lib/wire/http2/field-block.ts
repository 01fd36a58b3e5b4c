// A header block of HTTP/2 as the head of HTTP/1 that says the same: a first line made of the pseudo-fields, then one
// line for each field, in the shared memory. So routes, rewriting and everything behind them know one form only. Checks
// what RFC 9113 8.2 and 8.3 demand of the fields; what a request means is read where HTTP/1's is.

import { FieldId } from '../field-id.ts';
import { Fields } from '../fields.ts';
import { carve, memory } from '../http1/llhttp.ts';
import { REASONS } from '../http1/reason.ts';
import { literal, putCrlf, putLiteral, putRange, putText } from '../http1/writer.ts';
import { type Entry, Pseudo } from './static-table.ts';

export const BlockKind = { REQUEST: 0, RESPONSE: 1, TRAILERS: 2 } as const;

/** Room for one block: the longest head, and the longest single field after Huffman decoding behind it. */
export const BLOCK_ROOM_BYTES = 256 * 1024;

const VERSION = literal(' HTTP/1.1\r\n');
const STATUS = literal('HTTP/1.1 ');
const HOST = literal('host: ');
const COOKIE = literal('cookie: ');
const TRAILERS = Buffer.from('trailers');

/** One block at a time: it is borrowed until the next one is read. */
export class FieldBlock {
  readonly fields = new Fields(memory, 64);
  /** Where the block is written, for good. */
  readonly start = carve(BLOCK_ROOM_BYTES);
  /** Where the next byte goes. */
  at = this.start;
  /** '' or why the block is malformed (RFC 9113 8.1.1). */
  fault = '';
  /** Whether it is longer or has more fields than allowed; its fields are incomplete then. */
  tooLarge = false;
  /** The first line: `GET /path` or the status line. */
  lineStart = 0;
  lineEnd = 0;
  targetStart = 0;
  targetEnd = 0;
  /** Number of the Host field, -1 for none. */
  host = -1;
  kind = 0;

  #most = 0;
  #allowed = 0;
  #mostFields = 0;
  #opened = false;
  /** By `Pseudo`: where its value stands, -1 for none. */
  readonly #starts = new Int32Array(7);
  readonly #ends = new Int32Array(7);
  #cookies = 0;

  /** Begins a block of this kind; at most `bytes` and `fields`. */
  begin(kind: number, bytes: number, fields: number): void {
    this.kind = kind;
    this.fields.clear();
    this.at = this.start;
    this.fault = '';
    this.tooLarge = false;
    this.host = -1;
    this.#most = this.start + bytes;
    this.#allowed = bytes;
    this.#mostFields = fields;
    this.#opened = false;
    this.#starts.fill(-1);
    this.#cookies = 0;
  }

  /** Value of a pseudo-field as a string, '' when it is missing. */
  pseudo(which: number): string {
    const start = this.#starts[which]!;
    return start < 0 ? '' : memory.toString('latin1', start, this.#ends[which]!);
  }

  has(which: number): boolean {
    return this.#starts[which]! >= 0;
  }

  /** Adds a field that a table holds. */
  add({ line, nameBytes, valueBytes, id, pseudo, valid }: Entry): void {
    if (this.tooLarge) return;
    if (this.at + line.length > this.#most) {
      this.tooLarge = true;
      return;
    }
    if (pseudo === Pseudo.NONE) this.open();
    const { at } = this;
    copyLine(line, at);
    this.written(at, nameBytes, valueBytes, id, pseudo, valid);
  }

  /** A line has been written at `at`, where the next one belongs (after `open`, for a regular field). */
  written(at: number, nameBytes: number, valueBytes: number, id: number, pseudo: number, valid: boolean): void {
    const valueStart = at + nameBytes + 2;
    const valueEnd = valueStart + valueBytes;
    if (valueEnd + 2 > this.#most) this.tooLarge = true;
    if (this.tooLarge) return;
    this.at = valueEnd + 2;
    if (!valid) this.fault ||= 'a field with bytes that do not belong there';
    else if (pseudo !== Pseudo.NONE) this.#keepPseudo(pseudo, valueStart, valueEnd);
    else if (this.fields.count === this.#mostFields) this.tooLarge = true;
    else this.#addField(at, nameBytes, valueStart, valueEnd, id);
  }

  /** The block is complete: its first line is there even if no field followed, and cookies are one line. */
  finish(): void {
    if (this.fault !== '' || this.tooLarge) return;
    this.open();
    if (this.#cookies > 1) this.#joinCookies();
  }

  #addField(at: number, nameBytes: number, valueStart: number, valueEnd: number, id: number): void {
    const { fields } = this;
    switch (id) {
      case FieldId.CONNECTION:
      case FieldId.KEEP_ALIVE:
      case FieldId.PROXY_CONNECTION:
      case FieldId.TRANSFER_ENCODING:
      case FieldId.UPGRADE:
      case FieldId.HTTP2_SETTINGS:
        // RFC 9113 8.2.2.
        this.fault ||= 'a field that is about a connection of HTTP/1';
        return;
      case FieldId.TE:
        if (!holds(TRAILERS, valueStart, valueEnd)) this.fault ||= 'TE other than trailers';
        break;
      case FieldId.HOST:
        // RFC 9113 8.3.1: as the authority says, which stands there already.
        if (this.host < 0) this.host = fields.count;
        else if (!this.#sameHost(valueStart, valueEnd)) this.fault ||= 'Host and :authority differ';
        else {
          this.at = at;
          return;
        }
        break;
      case FieldId.COOKIE:
        this.#cookies++;
        break;
    }
    const field = fields.count;
    fields.add(at, at + nameBytes);
    fields.setValue(field, valueStart, valueEnd);
    fields.setLineEnd(field, valueEnd + 2);
    fields.setId(field, id);
  }

  #keepPseudo(pseudo: number, start: number, end: number): void {
    const ofResponse = pseudo === Pseudo.STATUS;
    if (pseudo < 0) this.fault ||= 'an unknown pseudo-field';
    else if (this.#opened) this.fault ||= 'a pseudo-field behind fields';
    else if (this.kind === BlockKind.TRAILERS) this.fault ||= 'a pseudo-field in trailers';
    else if (ofResponse !== (this.kind === BlockKind.RESPONSE)) this.fault ||= 'a pseudo-field of the other direction';
    else if (this.#starts[pseudo]! >= 0) this.fault ||= 'a pseudo-field twice';
    else {
      this.#starts[pseudo] = start;
      this.#ends[pseudo] = end;
    }
  }

  /** All pseudo-fields are known: writes the first line, once. */
  open(): void {
    if (this.#opened) return;
    this.#opened = true;
    if (this.kind === BlockKind.TRAILERS) return;
    if (this.kind === BlockKind.RESPONSE) return this.#openResponse();
    const extended = this.has(Pseudo.PROTOCOL);
    const connecting = this.pseudo(Pseudo.METHOD) === 'CONNECT';
    if (!this.has(Pseudo.METHOD)) this.fault ||= 'no :method';
    else if (extended && !connecting) this.fault ||= ':protocol without CONNECT';
    else if (connecting && !extended) {
      // RFC 9113 8.5: to a host, without path and scheme.
      if (this.has(Pseudo.PATH) || this.has(Pseudo.SCHEME)) this.fault ||= 'CONNECT with :path or :scheme';
    } else if (!this.has(Pseudo.PATH) || !this.has(Pseudo.SCHEME)) this.fault ||= 'no :path or no :scheme';
    if (this.fault !== '') return;
    const target = connecting && !extended ? Pseudo.AUTHORITY : Pseudo.PATH;
    let { at } = this;
    this.lineStart = at;
    // The pseudo-fields are written once more; only this counts.
    this.#most = at + this.#allowed;
    at = this.#put(Pseudo.METHOD, at);
    memory[at++] = 0x20;
    this.targetStart = at;
    at = this.#put(target, at);
    this.targetEnd = at;
    at = putLiteral(VERSION, at);
    if (this.has(Pseudo.AUTHORITY)) {
      const valueStart = putLiteral(HOST, at);
      const valueEnd = this.#put(Pseudo.AUTHORITY, valueStart);
      this.host = 0;
      this.#addField(at, 4, valueStart, valueEnd, FieldId.OTHER);
      this.fields.setId(0, FieldId.HOST);
      at = putCrlf(valueEnd);
    }
    this.at = at;
  }

  #openResponse(): void {
    const start = this.#starts[Pseudo.STATUS]!;
    if (start < 0 || this.#ends[Pseudo.STATUS]! - start !== 3) {
      this.fault ||= 'no :status';
      return;
    }
    this.lineStart = this.at;
    this.#most = this.at + this.#allowed;
    // HTTP/2 has no reasons any more, but clients of HTTP/1 may look for one.
    let at = this.#put(Pseudo.STATUS, putLiteral(STATUS, this.at));
    memory[at++] = 0x20;
    at = putText(REASONS[Number(this.pseudo(Pseudo.STATUS))] ?? '', at);
    this.lineEnd = this.at = putCrlf(at);
  }

  #put(pseudo: number, at: number): number {
    const start = this.#starts[pseudo]!;
    return start < 0 ? at : putRange(memory, start, this.#ends[pseudo]!, at);
  }

  #sameHost(start: number, end: number): boolean {
    const { fields, host } = this;
    const first = fields.valueStart(host);
    if (fields.valueEnd(host) - first !== end - start) return false;
    for (let i = 0; i < end - start; i++) if (lower(memory[first + i]!) !== lower(memory[start + i]!)) return false;
    return true;
  }

  /** RFC 9113 8.2.3: several lines become one, since HTTP/1 knows one only. */
  #joinCookies(): void {
    const { fields } = this;
    let bytes = 10;
    for (let field = 0; field < fields.count; field++) {
      if (fields.id(field) === FieldId.COOKIE) bytes += fields.valueEnd(field) - fields.valueStart(field) + 2;
    }
    const start = this.at;
    if (start + bytes > this.#most) {
      this.tooLarge = true;
      return;
    }
    let at = putLiteral(COOKIE, start);
    const valueStart = at;
    for (let field = 0; field < fields.count; field++) {
      if (fields.id(field) !== FieldId.COOKIE) continue;
      if (at > valueStart) {
        memory[at++] = 0x3b;
        memory[at++] = 0x20;
      }
      at = putRange(memory, fields.valueStart(field), fields.valueEnd(field), at);
      // Concerns this hop alone from here on, and so is dropped where the head is written; no route asks for it either.
      fields.setId(field, FieldId.KEEP_ALIVE);
      fields.setNameEnd(field, fields.nameStart(field));
    }
    this.at = putCrlf(at);
    this.#addField(start, 6, valueStart, at, FieldId.OTHER);
  }
}

function copyLine(line: Uint8Array, at: number): void {
  const { length } = line;
  // A call costs more than copying most lines by hand.
  if (length > 48) memory.set(line, at);
  else for (let i = 0; i < length; i++) memory[at + i] = line[i]!;
}

function holds(text: Uint8Array, start: number, end: number): boolean {
  if (end - start !== text.length) return false;
  for (let i = 0; i < text.length; i++) if (lower(memory[start + i]!) !== text[i]) return false;
  return true;
}

function lower(byte: number): number {
  return byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte;
}
