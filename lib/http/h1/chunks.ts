// The chunked transfer coding on the way out (RFC 9112 7.1): each piece of a body becomes a chunk, and what is gathered
// in one event leaves together.

import type { Connection } from '../../io/connection.ts';
import { CHUNK_LINE_BYTES, literal, putChunkLine, putCrlf, putLiteral } from '../../wire/http1/writer.ts';

const LAST = literal('0\r\n');

/** Sends one piece of a body as a chunk. The answer is that of `Connection.send`. */
export function sendChunk(connection: Connection, bytes: Uint8Array, start: number, end: number): boolean {
  // A chunk of size 0 would end the body.
  if (start === end) return !connection.blocked;
  const line = connection.compose(CHUNK_LINE_BYTES);
  if (line < 0) return true;
  connection.wrote(line, putChunkLine(end - start, line));
  connection.send(bytes, start, end);
  const tail = connection.compose(2);
  if (tail < 0) return true;
  connection.wrote(tail, putCrlf(tail));
  return !connection.blocked;
}

/** Sends the last chunk and the trailer section: whole field lines, empty for none. */
export function sendLastChunk(connection: Connection, trailers: Uint8Array): void {
  const start = connection.compose(LAST.end - LAST.start + 2);
  if (start < 0) return;
  const at = putLiteral(LAST, start);
  if (trailers.length === 0) return connection.wrote(start, putCrlf(at));
  connection.wrote(start, at);
  connection.send(trailers, 0, trailers.length);
  const tail = connection.compose(2);
  if (tail >= 0) connection.wrote(tail, putCrlf(tail));
}
