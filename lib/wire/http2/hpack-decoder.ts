// Header compression of HTTP/2 backwards (RFC 7541): a block's bytes into a FieldBlock. One decoder for each connection
// and direction, for blocks change its table; so even a block that is refused is decoded to its end.

import { FieldId, identifyField } from '../field-id.ts';
import { memory } from '../http1/llhttp.ts';
import { BLOCK_ROOM_BYTES, type FieldBlock } from './field-block.ts';
import { decodeHuffman } from './huffman.ts';
import { describeEntry, type Entry, isValid, Pseudo, pseudoOf, STATIC_ENTRIES } from './static-table.ts';

/** What an entry costs beside its bytes (RFC 7541 4.1). */
const ENTRY_BYTES = 32;
/** The table that everybody begins with (RFC 9113 6.5.2), and the largest that we allow. */
export const TABLE_BYTES = 4096;

// Where the reading of a block stands; one is read at a time.
let bytes: Uint8Array = new Uint8Array(0);
let at = 0;
let end = 0;
let faulty = false;

export class HpackDecoder {
  /** The newest first, in a ring. */
  #entries: (Entry | undefined)[] = new Array(16).fill(undefined);
  #first = 0;
  #count = 0;
  #usedBytes = 0;
  #most = TABLE_BYTES;

  /** Decodes `from[start..to]` into `block`, which has been begun. False: the connection cannot go on (4.3, 6.3). */
  decode(from: Uint8Array, start: number, to: number, block: FieldBlock): boolean {
    bytes = from;
    at = start;
    end = to;
    faulty = false;
    let begun = false;
    while (at < end && !faulty) {
      const first = bytes[at]!;
      if (first >= 0x80) {
        const entry = this.#entry(readInteger(0x7f));
        if (entry === undefined) return false;
        block.add(entry);
      } else if (first >= 0x40) this.#readLiteral(0x3f, true, block);
      else if (first >= 0x20) {
        // Only at the beginning of a block (4.2).
        if (begun || !this.#resize(readInteger(0x1f))) return false;
        continue;
      } else this.#readLiteral(0x0f, false, block);
      begun = true;
    }
    if (faulty) return false;
    block.finish();
    return true;
  }

  #readLiteral(mask: number, keeping: boolean, block: FieldBlock): void {
    const index = readInteger(mask);
    const named = index === 0 ? undefined : this.#entry(index);
    if (faulty || (index !== 0 && named === undefined)) {
      faulty = true;
      return;
    }
    // The line of a block that is refused is read where it does no harm: behind what there is, or from the start again.
    if (named === undefined ? !nextIsPseudo() : named.pseudo === Pseudo.NONE) block.open();
    const limit = block.start + BLOCK_ROOM_BYTES;
    const start = block.tooLarge ? block.start : block.at;
    const nameEnd = named === undefined ? readString(start, limit) : copyName(named, start);
    if (nameEnd < 0 || nameEnd + 4 > limit) {
      faulty = true;
      return;
    }
    memory[nameEnd] = 0x3a;
    memory[nameEnd + 1] = 0x20;
    const valueEnd = readString(nameEnd + 2, limit - 2);
    if (valueEnd < 0) {
      faulty = true;
      return;
    }
    memory[valueEnd] = 0x0d;
    memory[valueEnd + 1] = 0x0a;
    const nameBytes = nameEnd - start;
    const valueBytes = valueEnd - nameEnd - 2;
    if (keeping) {
      const entry = describeEntry(Uint8Array.prototype.slice.call(memory, start, valueEnd + 2), nameBytes, valueBytes);
      this.#insert(entry);
      block.written(start, nameBytes, valueBytes, entry.id, entry.pseudo, entry.valid);
      return;
    }
    const pseudo = named === undefined ? pseudoOf(memory, start, nameEnd) : named.pseudo;
    const id =
      named !== undefined ? named.id : pseudo === Pseudo.NONE ? identifyField(memory, start, nameEnd) : FieldId.OTHER;
    const valid = isValid(memory, start, nameEnd, nameEnd + 2, valueEnd);
    block.written(start, nameBytes, valueBytes, id, pseudo, valid);
  }

  #entry(index: number): Entry | undefined {
    if (index <= STATIC_ENTRIES.length) return STATIC_ENTRIES[index - 1];
    const place = index - STATIC_ENTRIES.length - 1;
    if (place >= this.#count) return undefined;
    return this.#entries[(this.#first + place) & (this.#entries.length - 1)];
  }

  #insert(entry: Entry): void {
    const cost = entry.nameBytes + entry.valueBytes + ENTRY_BYTES;
    this.#evict(this.#most - cost);
    // Longer than the table: it empties it, and that is all (4.4).
    if (cost > this.#most) return;
    if (this.#count === this.#entries.length) this.#grow();
    this.#first = (this.#first - 1) & (this.#entries.length - 1);
    this.#entries[this.#first] = entry;
    this.#count++;
    this.#usedBytes += cost;
  }

  /** Drops the oldest until at most `most` bytes are used. */
  #evict(most: number): void {
    while (this.#count > 0 && this.#usedBytes > most) {
      const place = (this.#first + --this.#count) & (this.#entries.length - 1);
      const { nameBytes, valueBytes } = this.#entries[place]!;
      this.#usedBytes -= nameBytes + valueBytes + ENTRY_BYTES;
      this.#entries[place] = undefined;
    }
  }

  #grow(): void {
    const grown: (Entry | undefined)[] = new Array(this.#entries.length * 2).fill(undefined);
    for (let place = 0; place < this.#count; place++) {
      grown[place] = this.#entries[(this.#first + place) & (this.#entries.length - 1)];
    }
    this.#entries = grown;
    this.#first = 0;
  }

  #resize(most: number): boolean {
    if (faulty || most > TABLE_BYTES) return false;
    this.#most = most;
    this.#evict(most);
    return true;
  }
}

/** An integer (5.1) whose first byte is at `at`; 28 bits are more than anything here needs. */
function readInteger(mask: number): number {
  let value = bytes[at++]! & mask;
  if (value < mask) return value;
  for (let shift = 0; ; shift += 7) {
    if (at === end || shift > 21) {
      faulty = true;
      return 0;
    }
    const byte = bytes[at++]!;
    value += (byte & 0x7f) << shift;
    if (byte < 0x80) return value;
  }
}

/** Whether the name that is to be read begins with a colon; one that is Huffman coded has `10111 00` in front. */
function nextIsPseudo(): boolean {
  if (at >= end) return false;
  const huffman = bytes[at]! >= 0x80;
  const length = bytes[at]! & 0x7f;
  if (length === 0 || length === 0x7f || at + 1 >= end) return false;
  return huffman ? bytes[at + 1]! >> 1 === 0x5c : bytes[at + 1] === 0x3a;
}

/** A string (5.2) to `to` of the shared memory; answers the offset after it, -1 when it is wrong or too long. */
function readString(to: number, limit: number): number {
  if (at >= end) return -1;
  const huffman = bytes[at]! >= 0x80;
  const length = readInteger(0x7f);
  if (faulty || length > end - at) return -1;
  const start = at;
  at += length;
  if (huffman) return decodeHuffman(bytes, start, at, memory, to, limit);
  if (length > limit - to) return -1;
  if (length > 48) {
    if (bytes === memory) memory.copyWithin(to, start, at);
    else memory.set(bytes.subarray(start, at), to);
  } else for (let i = 0; i < length; i++) memory[to + i] = bytes[start + i]!;
  return to + length;
}

function copyName({ line, nameBytes }: Entry, to: number): number {
  for (let i = 0; i < nameBytes; i++) memory[to + i] = line[i]!;
  return to + nameBytes;
}
