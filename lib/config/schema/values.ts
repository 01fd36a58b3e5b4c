// The kinds of values a document is made of: durations, sizes, addresses, names, numbers, choices and sections of keys.
// Each says in plain words what would be right. What the keys mean is left to the other files of this folder.

import * as z from 'zod';
import { type Address, parseAddress } from '../../base/address.ts';
import { didYouMean } from '../../base/nearest.ts';
import {
  DURATION_PATTERN,
  formatDuration,
  formatSize,
  parseDuration,
  parseSize,
  type Quantity,
  SIZE_PATTERN,
} from '../units.ts';

/** Shown in the reference instead of the JSON type, and as `title` in the JSON Schema. */
const kind = (title: string, extra: { pattern?: string } = {}) => ({ title, ...extra });

/** Keys and choices that are planned but not built: refused by name rather than called unknown. */
const planned = new WeakMap<object, readonly string[]>();

/** A map of known keys. `later` are keys that are planned but not supported yet. */
export function section<Shape extends z.ZodRawShape>(shape: Shape, later: readonly string[] = []) {
  const schema = z.strictObject(shape);
  planned.set(schema.def, later);
  return schema;
}

/** One of a few words. `later` are words that are planned but not supported yet. */
export function choice<const Words extends readonly [string, ...string[]]>(
  words: Words,
  later: readonly string[] = [],
) {
  const schema = z.enum(words, {
    error: ({ input }) =>
      typeof input === 'string' && later.includes(input)
        ? `"${input}" is not supported yet; ${mustBe(words)}`
        : `${mustBe(words)}${typeof input === 'string' ? didYouMean(input, words) : ''}`,
  });
  return schema;
}

/** What is planned for a section but not supported yet. */
export function plannedKeys(schema: { readonly _zod: { readonly def: object } }): readonly string[] {
  return planned.get(schema._zod.def) ?? [];
}

/** Milliseconds out of `10s`, `300ms` and the like. */
export function duration(range: { min?: number; max?: number } = {}) {
  return quantity(parseDuration, { min: 0, max: LONGEST_MS, ...range }, formatDuration).meta(
    kind('duration', { pattern: DURATION_PATTERN }),
  );
}

/** Bytes out of `16KiB`, `10MB` and the like. */
export function size(range: { min?: number; max?: number } = {}) {
  return quantity(parseSize, { min: 0, max: Number.MAX_SAFE_INTEGER, ...range }, formatSize).meta(
    kind('size', { pattern: SIZE_PATTERN }),
  );
}

/** `20%` and the like as a number from 0 to 1. */
export function share() {
  return z
    .union([z.string(), z.number()])
    .transform((value, context): number => {
      const percent = /^(\d{1,3}(\.\d+)?)%$/.exec(String(value))?.[1];
      if (percent !== undefined && Number(percent) <= 100) return Number(percent) / 100;
      context.addIssue({ code: 'custom', message: 'must be a percentage from 0% to 100%, such as 20%' });
      return z.NEVER;
    })
    .meta(kind('percentage', { pattern: '^[0-9]{1,3}(\\.[0-9]+)?%$' }));
}

/** Text, or a number that stands for its digits, that `check` finds nothing wrong with. */
export function word(title: string, check: (value: string) => string) {
  return z
    .union([z.string(), z.number()])
    .transform((value, context): string => {
      const fault = check(String(value));
      if (fault === '') return String(value);
      context.addIssue({ code: 'custom', message: fault });
      return z.NEVER;
    })
    .meta(kind(title));
}

/** A whole number in a range, both ends included. */
export function whole(min: number, max: number) {
  const fault = {
    error: ({ input }: { readonly input?: unknown }) =>
      `must be a whole number from ${min} to ${max}${typeof input === 'string' && /^\d+$/.test(input) ? ', without quotes' : ''}`,
  };
  return z.int(fault).min(min, fault).max(max, fault);
}

/** Text that `check` finds nothing wrong with; it returns '' or the fault in words. */
export function text(title = 'text', check: (value: string) => string = () => '') {
  return z
    .string()
    .check((context) => {
      const fault = check(context.value);
      if (fault !== '') context.issues.push({ code: 'custom', input: context.value, message: fault });
    })
    .meta(kind(title));
}

/** The name of a listener or cluster, where it is referred to. */
export function reference(title: string) {
  return text(title, (value) =>
    value === '' ? `must be ${title.startsWith('cluster') ? 'a cluster name' : 'a name'}` : '',
  );
}

/** An address that can be listened on or, when `dialed`, connected to. */
export function address(dialed: boolean) {
  return z
    .string()
    .transform((value, context): Address => {
      const found = readAddress(value, dialed);
      if (!('fault' in found)) return found;
      context.addIssue({ code: 'custom', message: found.fault });
      return z.NEVER;
    })
    .meta(kind('address'));
}

/** Reads an address for listening or dialing; dialed ones without a host mean this machine. */
export function readAddress(value: string, dialed: boolean): Address | { fault: string } {
  const found = parseAddress(value);
  if ('fault' in found) return found;
  if (found.kind === 'fd' && dialed) return { fault: 'must be HOST:PORT or unix:PATH' };
  if (!dialed || found.kind === 'unix') return found;
  if (found.port === 0) return { fault: 'must have a port from 1 to 65535' };
  return found.host === '' ? { ...found, host: 'localhost' } : found;
}

/** One value or a list of at least one; always a list afterwards. */
export function oneOrMore<Schema extends z.ZodType>(schema: Schema) {
  return z
    .union([schema, z.array(schema).min(1)])
    .transform((value) => (Array.isArray(value) ? value : [value]) as z.output<Schema>[]);
}

/** `must be a, b or c`. */
export function mustBe(words: readonly string[]): string {
  return `must be ${words.slice(0, -1).join(', ')}${words.length > 1 ? ' or ' : ''}${words.at(-1)}`;
}

// The longest delay that a Node timer takes is 2^31 - 1 ms; longer ones would fire at once.
const LONGEST_MS = 2_147_483_647;

function quantity(
  parse: (text: string) => Quantity,
  range: { min: number; max: number },
  format: (value: number) => string,
) {
  return z.union([z.string(), z.number()]).transform((value, context): number => {
    const found = parse(String(value));
    const fault = 'fault' in found ? found.fault : outside(found.value, range, format);
    if (fault === '' && 'value' in found) return found.value;
    context.addIssue({ code: 'custom', message: fault });
    return z.NEVER;
  });
}

function outside(value: number, { min, max }: { min: number; max: number }, format: (value: number) => string): string {
  if (value >= min && value <= max) return '';
  return max >= LONGEST_MS && value < min
    ? `must be at least ${format(min)}`
    : `must be from ${format(min)} to ${format(max)}`;
}
