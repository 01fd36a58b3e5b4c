// The chunked transfer coding on the way out (RFC 9112 7.1): each piece of a body becomes a chunk, and what is gathered
// in one event leaves together.

import type { Connection } from '../../io/connection.ts';
import type { FieldEdits } from '../../route/field-edits.ts';
import { FieldId } from '../../wire/field-id.ts';
import type { Fields } from '../../wire/fields.ts';
import { CHUNK_LINE_BYTES, literal, putChunkLine, putCrlf, putLiteral, putRange } from '../../wire/http1/writer.ts';
import { drops, isNamed } from '../field-edits.ts';

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

/** Sends the last chunk and the trailer section, without what `edits` would drop from the head. */
export function sendLastChunk(connection: Connection, trailers: Fields | null, edits: FieldEdits | null): void {
  const room = trailers === null ? 0 : trailerBytes(trailers);
  const start = connection.compose(LAST.end - LAST.start + room + 2);
  if (start < 0) return;
  let at = putLiteral(LAST, start);
  if (trailers !== null) {
    for (let field = 0; field < trailers.count; field++) {
      if (isTrailer(trailers, field, edits)) {
        at = putRange(trailers.bytes, trailers.nameStart(field), trailers.lineEnd(field), at);
      }
    }
  }
  connection.wrote(start, putCrlf(at));
}

/**
 * Whether a field may stand after the body. What is about framing, routing, authentication, the request's conditions or
 * the handling of the content may not (RFC 9110 6.5.1): some recipients merge trailers into the head.
 */
export function isTrailer(fields: Fields, field: number, edits: FieldEdits | null): boolean {
  const id = fields.id(field);
  if (id !== FieldId.OTHER && id !== FieldId.DATE) return false;
  for (const name of HEAD_ONLY) if (isNamed(fields, field, name)) return false;
  return edits === null || !drops(edits, fields, field);
}

const HEAD_ONLY = [
  ...['authorization', 'cookie', 'set-cookie', 'www-authenticate', 'authentication-info', 'proxy-authentication-info'],
  ...['content-encoding', 'content-type', 'content-range', 'cache-control', 'age', 'expires', 'location', 'vary'],
  ...['range', 'if-match', 'if-none-match', 'if-modified-since', 'if-unmodified-since', 'if-range', 'retry-after'],
  ...['max-forwards', 'pragma', 'warning', 'x-forwarded-port', 'x-real-ip'],
].map((name) => Buffer.from(name));

function trailerBytes(fields: Fields): number {
  return fields.count === 0 ? 0 : fields.lineEnd(fields.count - 1) - fields.nameStart(0);
}
