// Trailers on their way through: which of them go on, as lines of text that each version sends in its own way.

import type { FieldEdits } from '../route/field-edits.ts';
import { FieldId } from '../wire/field-id.ts';
import type { Fields } from '../wire/fields.ts';
import { drops, isNamed } from './field-edits.ts';

const NONE = Buffer.alloc(0);

/** Copies the lines that go on, without what `edits` would drop from the head; empty when there is none. */
export function trailerLines(trailers: Fields | null, edits: FieldEdits | null): Buffer {
  if (trailers === null || trailers.count === 0) return NONE;
  const lines: Buffer[] = [];
  for (let field = 0; field < trailers.count; field++) {
    if (!isTrailer(trailers, field, edits)) continue;
    lines.push(trailers.bytes.subarray(trailers.nameStart(field), trailers.lineEnd(field)));
  }
  return Buffer.concat(lines);
}

/**
 * Whether a field may stand after the body. What is about framing, routing, authentication, the request's conditions or
 * the handling of the content may not (RFC 9110 6.5.1): some recipients merge trailers into the head.
 */
function isTrailer(fields: Fields, field: number, edits: FieldEdits | null): boolean {
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
