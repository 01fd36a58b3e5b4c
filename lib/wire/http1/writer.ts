// Writing HTTP/1 into the shared memory: literals that lie ready in it, numbers, chunk framing, ranges copied in blocks.
// Every function takes the offset to write at and answers the offset after what it wrote; room is the caller's concern.

import { carve, memory } from './llhttp.ts';

/** Text that lies ready in the shared memory, so that writing it is one block copy. */
export interface Literal {
  readonly start: number;
  readonly end: number;
}

/** Puts `text` (latin1) into the memory for good. For start-up and configuration, not per message. */
export function literal(text: string): Literal {
  const start = carve(text.length);
  if (start === 0) throw new Error('no memory left for literals');
  memory.write(text, start, 'latin1');
  return { start, end: start + text.length };
}

export function putLiteral(text: Literal, at: number): number {
  memory.copyWithin(at, text.start, text.end);
  return at + text.end - text.start;
}

/** Writes a string of latin1 characters. */
export function putText(text: string, at: number): number {
  return at + memory.write(text, at, 'latin1');
}

/** Copies `bytes[start..end]`, which may lie in the shared memory or elsewhere. */
export function putRange(bytes: Uint8Array, start: number, end: number, at: number): number {
  if (bytes === memory) memory.copyWithin(at, start, end);
  else memory.set(bytes.subarray(start, end), at);
  return at + end - start;
}

/** Bytes that a chunk's size line takes at most: 8 hexadecimal digits and CRLF. */
export const CHUNK_LINE_BYTES = 10;

/** Writes a chunk's size line: hexadecimal size and CRLF (RFC 9112 7.1). `size` is 1 to 2^32 - 1. */
export function putChunkLine(size: number, at: number): number {
  let shift = 28;
  while (shift > 0 && size >>> shift === 0) shift -= 4;
  for (; shift >= 0; shift -= 4) {
    const digit = (size >>> shift) & 15;
    memory[at++] = digit < 10 ? 0x30 + digit : 0x57 + digit;
  }
  return putCrlf(at);
}

export function putCrlf(at: number): number {
  memory[at] = 0x0d;
  memory[at + 1] = 0x0a;
  return at + 2;
}
