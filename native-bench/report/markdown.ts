// A run as Markdown: the whole of it as the page docs/benchmarks.md, and in short between two marks of README.md.

import type { FigureName } from '../figures.ts';
import { SUBJECT, type Target } from '../scenario.ts';
import type { Report, Row, ScenarioReport, Verdict } from './report.ts';
import {
  boundText,
  facts,
  figureOf,
  figureText,
  furtherFigures,
  headings,
  NOTHING,
  outcomeText,
  peerTitle,
  plainText,
  rowCells,
  sentence,
  targetText,
  valueText,
} from './wording.ts';

/** The whole run as a page of its own. Whatever others said in it is escaped. */
export function writeMarkdown(report: Report): string {
  const lines = ['# Benchmarks', '', ...INTRODUCTION, '', ...factTable(report)];
  lines.push('', '## Figures', '', ...figureList(report.scenarios));
  for (const scenario of report.scenarios) if (scenario.omitted === null) lines.push('', ...section(scenario));
  const omitted = report.scenarios.filter((scenario) => scenario.omitted !== null);
  if (omitted.length > 0) lines.push('', '## Not measured', '');
  for (const { name, omitted: reason } of omitted) {
    lines.push(`- ${escapeMarkdown(name)}: ${escapeMarkdown(sentence(reason ?? ''))}`);
  }
  return `${lines.join('\n')}\n`;
}

/**
 * `readme` with a compact table of `report` between its marks. Without the marks, or with them in the wrong order, the
 * text comes back as it is, with an error in words.
 */
export function spliceReadme(readme: string, report: Report): { text: string; error: string | null } {
  const start = readme.indexOf(OPENING);
  const end = readme.indexOf(CLOSING);
  if (start < 0 || end < start) {
    return { text: readme, error: `there is no place for the table: it stands between ${OPENING} and ${CLOSING}` };
  }
  const text = `${readme.slice(0, start)}${OPENING}\n\n${summary(report).join('\n')}\n\n${readme.slice(end)}`;
  return { text, error: null };
}

const OPENING = '<!-- bench -->';
const CLOSING = '<!-- /bench -->';

/** Peers that have a column in the short table. */
const BESIDE = ['nginx', 'haproxy'] as const;

const INTRODUCTION = [
  'Written by the harness in `native-bench/`. Figures are medians over rounds, with the lowest and the highest round in',
  'brackets. Peers take turns within each round, and `Millrace ÷ peer` is the median of the ratios taken round by round,',
  'so that what slows the machine for a while slows both sides alike. CPU time is the figure to look at first, since',
  'throughput and latency also depend on the origin and the load generator. Unless a scenario says otherwise its load is',
  'a closed loop: latency then shows queueing at full load and is not the latency of a proxy with time to spare. Behind a',
  'name, `!` marks a peer that had errors, and `~` one whose core was disturbed by other work.',
  '',
  'What clusters choose and publish in, and what clients notice of origins that fail, is measured by other programs:',
  '[clusters](decisions/clusters.md).',
];

function factTable(report: Report): string[] {
  return drawMarkdownTable([['', ''], ...facts(report).map(([name, value]) => [name, escapeMarkdown(value)])], [0, 1]);
}

function figureList(scenarios: readonly ScenarioReport[]): string[] {
  return figuresOf(scenarios).map((name) => {
    const { heading, meaning, better } = figureOf(name);
    return `- **${heading}**: ${meaning}; ${better} is better.`;
  });
}

/** Figures that some table shows, in the order in which they are met. */
function figuresOf(scenarios: readonly ScenarioReport[]): FigureName[] {
  const measured = scenarios.filter(({ omitted }) => omitted === null);
  return [...new Set(measured.flatMap(({ columns }) => columns))];
}

function section(scenario: ScenarioReport): string[] {
  const { name, title, headline, rows, verdicts, remarks, originPerSecond } = scenario;
  const lines = [`## ${escapeMarkdown(name)}`, '', escapeMarkdown(sentence(title)), ''];
  if (rows.length === 0) lines.push('Nothing measured.');
  else {
    const cells = rows.map((row) => rowCells(scenario, row).map(escapeMarkdown));
    lines.push(...drawMarkdownTable([headings(scenario), ...cells], [0]));
    lines.push('', `The ratio compares ${figureOf(headline).heading}; ${figureOf(headline).better} is better.`);
  }
  const below = verdicts.map((verdict) => `- ${verdictLine(verdict)}`);
  if (originPerSecond !== null) {
    below.push(`- Without a proxy, origin and load generator reach ${Math.round(originPerSecond)} requests/s.`);
  }
  below.push(...remarks.map((remark) => `- ${escapeMarkdown(remark)}`));
  if (below.length > 0) lines.push('', ...below);
  const further = furtherFigures(scenario);
  if (further !== null) {
    const cells = rows.map((row) => rowCells(further, row).map(escapeMarkdown));
    const table = drawMarkdownTable([headings(further), ...cells], [0]);
    lines.push('', '<details><summary>More figures</summary>', '', ...table, '', '</details>');
  }
  return lines;
}

function verdictLine(verdict: Verdict): string {
  const outcome = outcomeText(verdict);
  const ending = outcome === '' ? '' : `, **${outcome}**`;
  return `Target: ${escapeMarkdown(targetText(verdict.target))}: ${valueText(verdict)}${ending}.`;
}

function summary(report: Report): string[] {
  const measured = report.scenarios.filter(({ rows }) => rows.length > 0);
  const table = [['scenario', 'Millrace', ...BESIDE.map(peerTitle), 'target', '']];
  for (const scenario of measured) table.push(...summaryRows(scenario));
  // Text stands left: what is measured, and the two columns about its target.
  return [...drawMarkdownTable(table, [0, 4, 5]), '', ...summaryProse(report, measured)];
}

/** A scenario's row, and one more for each further target. */
function summaryRows(scenario: ScenarioReport): string[][] {
  const { title, headline, rows } = scenario;
  const unit = headline === 'cpuMicros' ? '' : `: ${figureOf(headline).heading}`;
  const figures = [SUBJECT, ...BESIDE].map((peer) => headlineText(scenario, rows, peer));
  const verdicts = scenario.verdicts.filter(({ target }) => tellsBriefly(target));
  const [first, ...others] = verdicts;
  const head = [escapeMarkdown(`${title}${unit}`), ...figures];
  return [
    [...head, ...verdictCells(scenario, first)],
    ...others.map((verdict) => [...head.map(() => ''), ...verdictCells(scenario, verdict)]),
  ];
}

function headlineText({ headline }: ScenarioReport, rows: readonly Row[], peer: string): string {
  const value = rows.find((row) => row.peer === peer)?.figures[headline];
  return value === undefined ? NOTHING : figureText(headline, value.median);
}

/** Targets that the columns explain, and those that Millrace sets itself. */
function tellsBriefly({ peer }: Target): boolean {
  return peer === null || peer.startsWith(SUBJECT) || (BESIDE as readonly string[]).includes(peer);
}

function verdictCells({ headline }: ScenarioReport, verdict: Verdict | undefined): string[] {
  if (verdict === undefined) return ['', ''];
  const { target, value, reached } = verdict;
  const bound = escapeMarkdown(target.figure === headline ? boundText(target) : targetText(target));
  if (value === null) return [bound, 'not measured'];
  const median = target.peer === null ? figureText(target.figure, value.median) : value.median.toFixed(2);
  return [bound, reached === false ? `${median}, **missed**` : median];
}

function summaryProse(report: Report, measured: readonly ScenarioReport[]): string[] {
  const { machine, plan } = report;
  const others = othersText(measured);
  const unit = measured.some(({ headline }) => headline === 'cpuMicros')
    ? ' Figures are microseconds of CPU time per request where nothing else is said;'
    : '';
  const column = `${unit === '' ? ' The' : ' the'} last column is the median of the ratios round by round where a peer is named.`;
  return [
    `Medians of ${plan.rounds} interleaved ${plan.rounds === 1 ? 'round' : 'rounds'} of ${plan.seconds} s on ` +
      `${escapeMarkdown(machine.cpu)} (${machine.cores} ${machine.cores === 1 ? 'core' : 'cores'}), ${machine.date}.` +
      `${unit}${column}${others}`,
  ];
}

/** What the other proxies cost in the first scenario that has any. */
function othersText(measured: readonly ScenarioReport[]): string {
  const known: readonly string[] = [SUBJECT, ...BESIDE];
  for (const { name, headline, rows } of measured) {
    const others = rows.flatMap(({ peer, figures }) => {
      const value = figures[headline];
      if (known.includes(peer) || peer.startsWith(SUBJECT) || value === undefined) return [];
      return [`${escapeMarkdown(peerTitle(peer))} ${figureText(headline, value.median)}`];
    });
    if (others.length > 0) return ` Others in ${escapeMarkdown(name)}: ${others.join(', ')}.`;
  }
  return '';
}

/** A table whose source can be read as well: columns padded, those in `words` to the left, figures to the right. */
function drawMarkdownTable(table: readonly (readonly string[])[], words: readonly number[]): string[] {
  const [head = [], ...rows] = table;
  const widths = head.map((_, column) => Math.max(3, ...table.map((row) => row[column]?.length ?? 0)));
  const pad = (cell: string, column: number): string =>
    words.includes(column) ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!);
  const draw = (row: readonly string[]): string => `| ${row.map(pad).join(' | ')} |`;
  const rule = widths.map((width, column) =>
    words.includes(column) ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`,
  );
  return [draw(head), `| ${rule.join(' | ')} |`, ...rows.map(draw)];
}

function escapeMarkdown(text: string): string {
  return plainText(text)
    .replace(/[\\`*_[\]|~]/g, '\\$&')
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;');
}
