// Applying the fields that a route sets and removes while a head is copied.

import type { FieldEdits } from '../route/field-edits.ts';
import { type Fields, sameIgnoringCase } from '../wire/fields.ts';

/** Whether this field is removed or replaced. */
export function drops(edits: FieldEdits, fields: Fields, field: number): boolean {
  const start = fields.nameStart(field);
  const length = fields.nameEnd(field) - start;
  for (const name of edits.drop) {
    if (name.length === length && sameIgnoringCase(fields.bytes, start, name)) return true;
  }
  return false;
}
