// Tables of text for a terminal: the setting of a run, and one scenario at a time as it is done.

import { SUBJECT } from '../scenario.ts';
import { type Ink, inkFor } from './ink.ts';
import type { Report, Row, ScenarioReport, Verdict } from './report.ts';
import { facts, headings, outcomeText, plainText, rowCells, sideOf, verdictText } from './wording.ts';

/** Head of a report: a line for each thing that a reader must know. */
export function drawSetting(report: Omit<Report, 'scenarios'>): string {
  return `${facts(report)
    .map(([name, value]) => `${`${name}:`.padEnd(13)}${plainText(value)}`)
    .join('\n')}\n`;
}

/**
 * One scenario's table with its targets and remarks below; one line for a scenario that was not measured. Styled: bold
 * for Millrace, green and red for what came of a target and for ratios on whose side all rounds agree.
 */
export function drawScenario(scenario: ScenarioReport, styled: boolean): string {
  const ink = inkFor(styled);
  const name = ink.bold(plainText(scenario.name));
  if (scenario.omitted !== null) return `${name}: not measured: ${plainText(scenario.omitted)}\n`;
  const lines = [`${name}: ${plainText(scenario.title)}`];
  if (scenario.rows.length === 0) lines.push('nothing measured');
  else lines.push(...drawRows(scenario, ink));
  for (const verdict of scenario.verdicts) lines.push(drawVerdict(verdict, ink));
  for (const remark of scenario.remarks) lines.push(`- ${plainText(remark)}`);
  return `${lines.join('\n')}\n`;
}

/** Adorns a cell that has its full width already. Rows count from 0, which is the headings. */
export type CellPaint = (padded: string, row: number, column: number) => string;

/** Columns padded to their widest cell; the first to the left, figures to the right. */
export function drawTable(table: readonly (readonly string[])[], paint: CellPaint = (padded) => padded): string[] {
  const widths = (table[0] ?? []).map((_, column) => Math.max(...table.map((row) => row[column]?.length ?? 0)));
  return table.map((row, index) =>
    row
      .map((cell, column) => {
        const padded = column === 0 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!);
        return paint(padded, index, column);
      })
      .join('  ')
      .trimEnd(),
  );
}

function drawRows(scenario: ScenarioReport, ink: Ink): string[] {
  const table = [headings(scenario), ...scenario.rows.map((row) => rowCells(scenario, row).map(plainText))];
  const ratioColumn = table[0]!.length - 1;
  return drawTable(table, (padded, index, column) => {
    const row = scenario.rows[index - 1];
    if (row === undefined) return ink.dim(padded);
    if (column === ratioColumn) return paintRatio(scenario, row, padded, ink);
    return row.peer === SUBJECT ? ink.bold(padded) : padded;
  });
}

function paintRatio({ headline }: ScenarioReport, { ratio }: Row, padded: string, ink: Ink): string {
  if (ratio === null) return padded;
  const side = sideOf(headline, ratio);
  if (side === 'even') return padded;
  return side === 'better' ? ink.green(padded) : ink.red(padded);
}

function drawVerdict(verdict: Verdict, ink: Ink): string {
  const text = plainText(verdictText(verdict));
  const outcome = outcomeText(verdict);
  if (outcome === '') return text;
  const paint = verdict.reached === true ? ink.green : ink.red;
  return `${text.slice(0, -outcome.length)}${paint(outcome)}`;
}
