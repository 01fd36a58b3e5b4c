// Trailers on their way out: the lines that may stand behind a body, as text to be compressed or kept.

import type { FieldEdits } from '../../route/field-edits.ts';
import type { Fields } from '../../wire/fields.ts';
import { isTrailer } from '../h1/chunks.ts';

/** Copies the lines that go on; empty when there is none. */
export function trailerLines(trailers: Fields, edits: FieldEdits | null): Buffer {
  const lines: Buffer[] = [];
  for (let field = 0; field < trailers.count; field++) {
    if (!isTrailer(trailers, field, edits)) continue;
    lines.push(trailers.bytes.subarray(trailers.nameStart(field), trailers.lineEnd(field)));
  }
  return Buffer.concat(lines);
}
