// Applying the fields that a route sets and removes while a head is copied.

import type { FieldEdits } from '../route/field-edits.ts';
import type { Fields } from '../wire/fields.ts';

/** Whether this field is removed or replaced. */
export function drops(edits: FieldEdits, fields: Fields, field: number): boolean {
  for (const name of edits.drop) if (isNamed(fields, field, name)) return true;
  return false;
}

/**
 * Whether a field has this lower-case name. `_` counts as `-` on both sides, as in `identifyField` and for the same
 * reason: origins with CGI-style variables cannot tell them apart.
 */
export function isNamed(fields: Fields, field: number, lowerCase: Uint8Array): boolean {
  const start = fields.nameStart(field);
  if (fields.nameEnd(field) - start !== lowerCase.length) return false;
  const { bytes } = fields;
  for (let i = 0; i < lowerCase.length; i++) if (fold(bytes[start + i]!) !== fold(lowerCase[i]!)) return false;
  return true;
}

function fold(byte: number): number {
  if (byte === 0x5f) return 0x2d;
  return byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte;
}
