// Figures, targets and settings in words, the same on a terminal, in Markdown and on the page. Plain text only: each of
// those escapes and adorns it in its own way.

import { FIGURES, type Figure, type FigureName } from '../figures.ts';
import { SUBJECT, type Target } from '../scenario.ts';
import type { Report, Row, ScenarioReport, Verdict } from './report.ts';
import type { Spread } from './statistics.ts';

/** What separates the lowest from the highest, and what stands where nothing was measured. */
export const NOTHING = '-';

/** Figures are shown with this many digits at least before decimals are dropped: more would pretend a precision. */
const DIGITS = 3;

/** `value` (base unit) in the unit of the figure's heading, without the unit. */
export function figureText(name: FigureName, value: number): string {
  return scaledText(name, value, decimalsFor(name, value));
}

/** `median (lowest-highest)` in the unit of the figure's heading; the median alone when the edges look the same. */
export function spreadText(name: FigureName, { median, lowest, highest }: Spread): string {
  const decimals = decimalsFor(name, median);
  return spreadOf([median, lowest, highest].map((value) => scaledText(name, value, decimals)));
}

/** The same for ratios: two decimals. */
export function ratioText({ median, lowest, highest }: Spread): string {
  return spreadOf([median, lowest, highest].map((value) => value.toFixed(2)));
}

/** Headings of a scenario's table; `rowCells` gives what stands below them. */
export function headings({ columns }: ScenarioReport): string[] {
  return ['peer', ...columns.map((name) => figureOf(name).heading), 'errors', 'Millrace ÷ peer'];
}

/** The same scenario with the figures that its table leaves out; null when there are none. */
export function furtherFigures(scenario: ScenarioReport): ScenarioReport | null {
  const names = Object.keys(FIGURES) as FigureName[];
  const columns = names.filter(
    (name) => !scenario.columns.includes(name) && scenario.rows.some(({ figures }) => figures[name] !== undefined),
  );
  return columns.length === 0 ? null : { ...scenario, columns };
}

/** One row of the table. The headline, throughput and p99 show their edges, the others would only crowd it. */
export function rowCells({ columns, headline }: ScenarioReport, row: Row): string[] {
  const cells = columns.map((name) => {
    const value = row.figures[name];
    if (value === undefined) return NOTHING;
    const edged = name === headline || EDGED.includes(name);
    return edged ? spreadText(name, value) : figureText(name, value.median);
  });
  const ratio = row.ratio === null ? NOTHING : ratioText(row.ratio);
  return [`${row.peer}${marksText(row)}`, ...cells, String(row.errors), ratio];
}

/** As in `CPU µs/request at most 1.10 × nginx` or `KiB/idle connection at most 6.0`. */
export function targetText(target: Target): string {
  return `${figureOf(target.figure).heading} ${boundText(target)}`;
}

/** The bound alone, as in `at most 1.10 × nginx`. */
export function boundText(target: Target): string {
  const { figure, peer, atMost, atLeast } = target;
  const write = (bound: number): string =>
    peer === null ? figureText(figure, bound) : `${bound.toFixed(2)} × ${peerTitle(peer)}`;
  const bounds: string[] = [];
  if (atMost !== undefined) bounds.push(`at most ${write(atMost)}`);
  if (atLeast !== undefined) bounds.push(`at least ${write(atLeast)}`);
  return bounds.join(' and ');
}

/** What came of a target: the value with its edges, or that there is none. */
export function valueText({ target, value }: Verdict): string {
  if (value === null) return 'not measured';
  return target.peer === null ? spreadText(target.figure, value) : ratioText(value);
}

/** `reached`, `missed`, or nothing when there is no value. */
export function outcomeText({ reached }: Verdict): string {
  if (reached === null) return '';
  return reached ? 'reached' : 'missed';
}

/** A whole sentence about a target, without a full stop. */
export function verdictText(verdict: Verdict): string {
  const outcome = outcomeText(verdict);
  return `target: ${targetText(verdict.target)}: ${valueText(verdict)}${outcome === '' ? '' : `, ${outcome}`}`;
}

/**
 * Which way a ratio of `figure` points, seen from Millrace: `better` or `worse` when all rounds agree on the side of 1,
 * else `even`.
 */
export function sideOf(figure: FigureName, { lowest, highest }: Spread): 'better' | 'worse' | 'even' {
  const lower = figureOf(figure).better === 'lower';
  if (highest < 1) return lower ? 'better' : 'worse';
  if (lowest > 1) return lower ? 'worse' : 'better';
  return 'even';
}

/** The figure's entry with the literal types taken off, so that all have one shape. */
export function figureOf(name: FigureName): Figure {
  return FIGURES[name];
}

/** Name and value of all that a reader must know to judge a run. */
export function facts(report: Omit<Report, 'scenarios'>): [name: string, value: string][] {
  const { machine, plan, workers } = report;
  const memory = `${Math.round(machine.memoryBytes / 2 ** 30)} GiB`;
  return [
    ['date', `${momentText(report.startedAt)} UTC`],
    ['revision', report.revision === null ? 'not from a checkout' : shortRevision(report.revision)],
    ['machine', `${machine.cpu}, ${machine.cores} ${machine.cores === 1 ? 'core' : 'cores'}, ${memory} of memory`],
    ['kernel', machine.kernel],
    ['runtime', machine.runtime],
    ['cores', report.cores],
    ['workers', `${workers} for each proxy`],
    ['rounds', `${plan.rounds} of ${plan.seconds} s each, after ${plan.warmUpSeconds} s of warm-up per peer`],
    ['versions', report.versions.join('; ')],
    ['load before', `load average ${machine.loadAverage.toFixed(2)}`],
    ['command', report.command],
  ];
}

/** `2026-01-02 03:04` of an ISO 8601 moment. */
export function momentText(moment: string): string {
  return moment.slice(0, 16).replace('T', ' ');
}

/** Seven digits of a commit, with the `+` of a changed checkout. */
export function shortRevision(revision: string | null): string {
  if (revision === null) return 'unknown';
  const changed = revision.endsWith('+');
  return `${(changed ? revision.slice(0, -1) : revision).slice(0, 7)}${changed ? '+' : ''}`;
}

/** A peer's name as its makers write it, for prose and charts. */
export function peerTitle(peer: string): string {
  return TITLES[peer] ?? peer;
}

/** With a capital and a full stop. */
export function sentence(text: string): string {
  const end = /[.!?]$/.test(text) ? '' : '.';
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}${end}`;
}

/** Text of others on one line and without anything that a terminal would obey: peers are quoted in remarks. */
export function plainText(text: string): string {
  return text.replace(ESCAPE_SEQUENCES, '').replace(UNPRINTABLE, ' ').trim();
}

/** `!` for errors and `~` for disturbed rounds, behind a peer's name. */
function marksText({ marks }: Row): string {
  const text = `${marks.errors === undefined ? '' : '!'}${marks.disturbed === undefined ? '' : '~'}`;
  return text === '' ? '' : ` ${text}`;
}

const EDGED: readonly FigureName[] = ['requestsPerSecond', 'p99Micros'];

const TITLES: Readonly<Record<string, string>> = {
  [SUBJECT]: 'Millrace',
  'millrace-one-route': 'Millrace with one route',
  haproxy: 'HAProxy',
  caddy: 'Caddy',
  varnish: 'Varnish',
  traefik: 'Traefik',
  envoy: 'Envoy',
};

const ESCAPE_SEQUENCES = /\u001b(?:\[[0-?]*[ -/]*[@-~]|\][^\u0007\u001b]*(?:\u0007|\u001b\\)?)/g;
/** Control characters, line separators and those that turn the direction of writing. */
const UNPRINTABLE = /[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2066-\u2069]+/g;

function spreadOf([median = '', lowest = '', highest = '']: readonly string[]): string {
  return lowest === highest ? median : `${median} (${lowest}-${highest})`;
}

function decimalsFor(name: FigureName, value: number): number {
  const { decimals, scale } = figureOf(name);
  const size = Math.abs(value * scale);
  if (size < 1) return decimals;
  const digitsBefore = Math.floor(Math.log10(size)) + 1;
  return Math.max(0, Math.min(decimals, DIGITS - digitsBefore));
}

function scaledText(name: FigureName, value: number, decimals: number): string {
  return (value * figureOf(name).scale).toFixed(decimals);
}
