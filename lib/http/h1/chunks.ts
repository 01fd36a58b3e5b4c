// The chunked transfer coding on the way out (RFC 9112 7.1): each piece of a body becomes a chunk, and what is gathered
// in one event leaves together.

import type { Connection } from '../../io/connection.ts';
import { FieldId } from '../../wire/field-id.ts';
import type { Fields } from '../../wire/fields.ts';
import { CHUNK_LINE_BYTES, literal, putChunkLine, putCrlf, putLiteral, putRange } from '../../wire/http1/writer.ts';

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

/** Sends the last chunk and the trailer section. */
export function sendLastChunk(connection: Connection, trailers: Fields | null): void {
  const room = trailers === null ? 0 : trailerBytes(trailers);
  const start = connection.compose(LAST.end - LAST.start + room + 2);
  if (start < 0) return;
  let at = putLiteral(LAST, start);
  if (trailers !== null) {
    for (let field = 0; field < trailers.count; field++) {
      if (isTrailer(trailers, field)) {
        at = putRange(trailers.bytes, trailers.nameStart(field), trailers.lineEnd(field), at);
      }
    }
  }
  connection.wrote(start, putCrlf(at));
}

/** Fields about framing, routing or the connection mean nothing after the body and are dropped (RFC 9110 6.5.1). */
export function isTrailer(fields: Fields, field: number): boolean {
  const id = fields.id(field);
  return id === FieldId.OTHER || id === FieldId.DATE;
}

function trailerBytes(fields: Fields): number {
  return fields.count === 0 ? 0 : fields.lineEnd(fields.count - 1) - fields.nameStart(0);
}
