// What the schema library found, in the words of people who write configurations: what is wrong and what would be right.

import type * as z from 'zod';
import { didYouMean } from '../base/nearest.ts';
import type { Finding } from './error.ts';
import { mustBe, plannedKeys } from './schema/values.ts';

/**
 * The error map that every parse of the document is given. Unknown keys get one line each, in the order of `issue.keys`:
 * the library reports them together, and only here is the section that refused them at hand.
 */
export function describeIssue(issue: z.core.$ZodRawIssue): string {
  switch (issue.code) {
    case 'unrecognized_keys': {
      const schema = issue.inst as unknown as z.ZodObject;
      return issue.keys.map((key) => unknownKey(key, Object.keys(schema.shape), plannedKeys(schema))).join('\n');
    }
    case 'invalid_type': {
      const right = mustBeKind(issue.expected);
      if (issue.input === undefined) return `is missing; it ${right}`;
      if (issue.input === null) return `is empty; it ${right}`;
      const quote = issue.expected === 'string' && /number|boolean/.test(typeof issue.input);
      return `${right}${quote ? `; write it in quotes: "${issue.input}"` : `, not ${kindOf(issue.input)}`}`;
    }
    case 'invalid_value':
      return mustBe(issue.values.map(String));
    case 'too_small':
      return issue.origin === 'array' ? 'must have at least one entry' : `must be at least ${issue.minimum}`;
    case 'too_big':
      return issue.origin === 'array'
        ? `must have at most ${issue.maximum} entries`
        : `must be at most ${issue.maximum}`;
    default:
      return 'is not valid';
  }
}

/** Issues of a failed parse as findings, unions resolved to the alternative that was meant. */
export function wordFindings(issues: readonly z.core.$ZodIssue[], base: readonly (string | number)[] = []): Finding[] {
  return issues.flatMap((issue): Finding[] => {
    const path = [...base, ...(issue.path as (string | number)[])];
    if (issue.code === 'unrecognized_keys') {
      const lines = issue.message.split('\n');
      return issue.keys.map((key, index) => ({ path: [...path, key], message: lines[index]!, atKey: true }));
    }
    if (issue.code === 'invalid_union') {
      // The alternative whose outermost type fits is the one that was meant; its own faults are what to tell.
      const meant = issue.errors.find(
        (found) => !found.some((one) => one.path.length === 0 && one.code === 'invalid_type'),
      );
      if (meant !== undefined) return wordFindings(meant, path);
      const rights = issue.errors.map((found) =>
        found[0]?.code === 'invalid_type' ? kindName(found[0].expected) : '',
      );
      const missing = issue.errors[0]?.[0]?.message.match(/^is (missing|empty); it /)?.[0] ?? '';
      return [{ path, message: `${missing}${mustBe([...new Set(rights.filter((right) => right !== ''))])}` }];
    }
    return [{ path, message: issue.message }];
  });
}

function unknownKey(key: string, known: readonly string[], planned: readonly string[]): string {
  if (planned.includes(key)) return 'is not supported yet; remove it';
  const meant = didYouMean(key, [...known, ...planned]);
  return `is not a known key${meant === '' ? `; known here: ${known.join(', ')}` : meant}`;
}

function mustBeKind(expected: string): string {
  return `must be ${kindName(expected)}`;
}

function kindName(expected: string): string {
  return KINDS[expected] ?? expected;
}

const KINDS: Record<string, string> = {
  object: 'a map of keys',
  record: 'a map of keys',
  array: 'a list',
  string: 'text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
};

function kindOf(value: unknown): string {
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object') return 'a map of keys';
  return typeof value === 'string' ? 'text' : typeof value === 'number' ? 'a number' : String(value);
}
