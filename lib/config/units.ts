// Durations and sizes as people write them. What range a setting allows is left to the schema.

/** A quantity, or what is wrong with it in words. */
export type Quantity = { readonly value: number } | { readonly fault: string };

export const DURATION_FAULT =
  'must be a duration with its unit (ms, s, m, h or d), like 500ms, 10s or 1m; 0 needs no unit';
export const SIZE_FAULT =
  'must be a size with its unit (B, KB, MB, GB, KiB, MiB or GiB), like 16KiB or 10MB; 0 needs no unit';

/** Patterns for editors; `${...}` passes because it is substituted before anything is checked. */
export const DURATION_PATTERN = '^\\s*(0|\\d+(\\.\\d+)?\\s*(ms|s|m|h|d))\\s*$|\\$\\{';
export const SIZE_PATTERN = '^\\s*(0|\\d+(\\.\\d+)?\\s*([KMG]i?)?B)\\s*$|\\$\\{';

/** Reads a duration such as `300ms`, `10s` or `1.5h` as whole milliseconds. */
export function parseDuration(text: string): Quantity {
  return parseQuantity(text, DURATION_UNITS, DURATION_FAULT);
}

/** Reads a size such as `16KiB` (1024) or `10MB` (1000 each) as whole bytes. */
export function parseSize(text: string): Quantity {
  return parseQuantity(text, SIZE_UNITS, SIZE_FAULT);
}

/** The shortest text that `parseDuration` reads as this many milliseconds. */
export function formatDuration(ms: number): string {
  return formatQuantity(ms, DURATION_UNITS, 'ms');
}

/** The shortest text that `parseSize` reads as this many bytes; binary units when they divide it. */
export function formatSize(bytes: number): string {
  return formatQuantity(bytes, SIZE_UNITS, 'B');
}

// Largest first, so that formatting takes the first that divides.
const DURATION_UNITS = new Map([
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1_000],
  ['ms', 1],
]);

const SIZE_UNITS = new Map([
  ['GiB', 1_073_741_824],
  ['GB', 1_000_000_000],
  ['MiB', 1_048_576],
  ['MB', 1_000_000],
  ['KiB', 1024],
  ['KB', 1000],
  ['B', 1],
]);

function parseQuantity(text: string, units: ReadonlyMap<string, number>, fault: string): Quantity {
  const found = /^\s*(\d{1,15}(?:\.\d{1,9})?)\s*([A-Za-z]*)\s*$/.exec(text);
  if (found === null) return { fault };
  const amount = Number(found[1]);
  const unit = found[2]!;
  if (unit === '') return amount === 0 ? { value: 0 } : { fault };
  const factor = units.get(unit);
  if (factor === undefined) return { fault };
  const value = Math.round(amount * factor);
  // Rounding to nothing would turn a tiny limit into "no limit".
  if (amount > 0 && value === 0) return { fault };
  return Number.isSafeInteger(value) ? { value } : { fault };
}

function formatQuantity(value: number, units: ReadonlyMap<string, number>, smallest: string): string {
  if (value === 0) return '0';
  for (const [unit, factor] of units) if (value % factor === 0) return `${value / factor}${unit}`;
  return `${value}${smallest}`;
}
