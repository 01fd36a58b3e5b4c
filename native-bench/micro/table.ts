// Timings as text: one table for each trial, its cases below each other, and below the tables of a subject what must be
// known to compare them.

import type { Spread } from '../report/statistics.ts';
import type { Timing } from './timing.ts';

/** The line above a subject's tables. */
export function drawSubject(name: string, about: string): string {
  return `${name}: ${about}\n`;
}

/** One trial. A ratio above 1 means that the case takes longer than ours. */
export function drawTrial(name: string, timings: readonly Timing[]): string {
  const rows = [
    [`  ${name}`, 'ns', '(spread)', '÷ ours'],
    ...timings.map((timing) => [
      `    ${timing.name}`,
      figure(timing.nanoseconds.median),
      `(${figure(timing.nanoseconds.lowest)}-${figure(timing.nanoseconds.highest)})`,
      timing.ratio === null ? '' : factor(timing.ratio),
    ]),
  ];
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  const lines = rows.map((row) =>
    row
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!)))
      .join('  ')
      .trimEnd(),
  );
  return `${lines.join('\n')}\n`;
}

/** What the cases of a subject do less or more than ours, each said once; '' if there is nothing to say. */
export function drawNotes(timings: readonly Timing[]): string {
  const notes = new Set(timings.filter(({ note }) => note !== '').map(({ name, note }) => `  * ${name}: ${note}\n`));
  return [...notes].join('');
}

/** Three digits are all that a run says. */
function figure(nanoseconds: number): string {
  const decimals = nanoseconds >= 100 ? 0 : nanoseconds >= 10 ? 1 : 2;
  return nanoseconds.toFixed(decimals);
}

function factor({ median }: Spread): string {
  return `${median.toFixed(median >= 10 ? 0 : 2)} ×`;
}
