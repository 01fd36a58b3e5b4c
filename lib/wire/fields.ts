// A header block as offsets into bytes: names and values are never made into strings unless somebody asks.
// Who fills the table (the parser) and who edits it (http/request-writer, http/reply-writer) know the bytes; this file only points.

import { FieldId } from './field-id.ts';

/** Numbers kept per field: name start, name end, value start, value end, line end, id. */
const STRIDE = 6;

/**
 * The fields of one head or trailer section. Offsets are absolute in `bytes`, which is borrowed: the table is valid
 * as long as those bytes are. `lineEnd` is the offset after the line's CRLF, so kept lines can be copied verbatim.
 */
export class Fields {
  /** The bytes that every offset points into. */
  readonly bytes: Buffer;
  /** How many fields there are. */
  count = 0;
  table: Int32Array;

  constructor(bytes: Buffer, capacity = 32) {
    this.bytes = bytes;
    this.table = new Int32Array(capacity * STRIDE);
  }

  clear(): void {
    this.count = 0;
  }

  /** Appends a field; line end and id are set when the block is complete. */
  add(nameStart: number, nameEnd: number): void {
    const at = this.count * STRIDE;
    if (at === this.table.length) {
      const grown = new Int32Array(this.table.length * 2);
      grown.set(this.table);
      this.table = grown;
    }
    const table = this.table;
    table[at] = nameStart;
    table[at + 1] = nameEnd;
    table[at + 2] = nameEnd;
    table[at + 3] = nameEnd;
    table[at + 4] = nameEnd;
    table[at + 5] = FieldId.OTHER;
    this.count++;
  }

  nameStart(field: number): number {
    return this.table[field * STRIDE]!;
  }
  nameEnd(field: number): number {
    return this.table[field * STRIDE + 1]!;
  }
  /** First byte of the value, leading white space excluded. */
  valueStart(field: number): number {
    return this.table[field * STRIDE + 2]!;
  }
  /** Offset after the value's last byte, trailing white space excluded. */
  valueEnd(field: number): number {
    return this.table[field * STRIDE + 3]!;
  }
  lineEnd(field: number): number {
    return this.table[field * STRIDE + 4]!;
  }
  /** Which well-known field this is, else `FieldId.OTHER`. */
  id(field: number): number {
    return this.table[field * STRIDE + 5]!;
  }

  setNameEnd(field: number, offset: number): void {
    this.table[field * STRIDE + 1] = offset;
  }
  setValue(field: number, start: number, end: number): void {
    this.table[field * STRIDE + 2] = start;
    this.table[field * STRIDE + 3] = end;
  }
  setValueEnd(field: number, end: number): void {
    this.table[field * STRIDE + 3] = end;
  }
  setLineEnd(field: number, offset: number): void {
    this.table[field * STRIDE + 4] = offset;
  }
  setId(field: number, id: number): void {
    this.table[field * STRIDE + 5] = id;
  }

  /** Moves every offset by `delta`: the bytes were copied elsewhere in `bytes`. */
  shift(delta: number): void {
    const table = this.table;
    for (let at = 0, end = this.count * STRIDE; at < end; at += STRIDE) {
      table[at]! += delta;
      table[at + 1]! += delta;
      table[at + 2]! += delta;
      table[at + 3]! += delta;
      table[at + 4]! += delta;
    }
  }

  /** A copy that outlives the bytes. */
  copy(): Fields {
    if (this.count === 0) return new Fields(Buffer.alloc(0), 1);
    const start = this.nameStart(0);
    const copied = new Fields(Buffer.from(this.bytes.subarray(start, this.lineEnd(this.count - 1))), 1);
    copied.table = this.table.slice();
    copied.count = this.count;
    copied.shift(-start);
    return copied;
  }

  /** The first field at or after `from` with this lower-case name, or -1. Names compare without case (RFC 9110 5.1). */
  find(lowerCaseName: Uint8Array, from = 0): number {
    for (let field = from; field < this.count; field++) {
      const start = this.nameStart(field);
      if (this.nameEnd(field) - start === lowerCaseName.length && sameIgnoringCase(this.bytes, start, lowerCaseName)) {
        return field;
      }
    }
    return -1;
  }

  /** A name as a string; allocates, so not for the hot path. */
  name(field: number): string {
    return this.bytes.toString('latin1', this.nameStart(field), this.nameEnd(field));
  }
  /** A value as a string; allocates, so not for the hot path. */
  value(field: number): string {
    return this.bytes.toString('latin1', this.valueStart(field), this.valueEnd(field));
  }
}

/** Whether the bytes at `start` equal `lowerCase`, letters of the bytes folded to lower case. */
export function sameIgnoringCase(bytes: Uint8Array, start: number, lowerCase: Uint8Array): boolean {
  for (let i = 0; i < lowerCase.length; i++) {
    const byte = bytes[start + i]!;
    if ((byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte) !== lowerCase[i]) return false;
  }
  return true;
}
