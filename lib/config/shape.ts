// The document as written, before anything is known of its shape: what checks look at, and what they answer.

import type { Finding } from './error.ts';

export interface CheckResult {
  readonly errors: Finding[];
  /** What will work, but hardly as meant. */
  readonly warnings: Finding[];
}

/** A map of the document, or an empty one when it is something else. */
export function record(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {};
}

/** A list of the document; a single value counts as a list of one where the document allows both. */
export function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : value === undefined ? [] : [value];
}
