// How figures moved over the runs that were kept: per scenario Millrace's own headline, and its ratio to each peer. The
// ratios are what to trust, since the machine may have changed between two runs.

import type { FigureName } from '../figures.ts';
import { SUBJECT } from '../scenario.ts';
import { inkFor } from './ink.ts';
import type { Report, ScenarioReport } from './report.ts';
import type { Spread } from './statistics.ts';
import { drawTable } from './table.ts';
import { figureOf, figureText, momentText, NOTHING, peerTitle, plainText, shortRevision } from './wording.ts';

/** One scenario over all runs. */
export interface ScenarioTrend {
  readonly name: string;
  readonly title: string;
  readonly headline: FigureName;
  readonly lines: readonly TrendLine[];
}

export interface TrendLine {
  /** Millrace itself for its headline figure, else the peer whose ratio it is. */
  readonly peer: string;
  /** One for each run, oldest first; null where the run did not measure it. */
  readonly points: readonly (Spread | null)[];
  readonly change: Change | null;
}

/** From the last run but one that has a value to the last. */
export interface Change {
  /** 0.05 for five percent more. */
  readonly share: number;
  /** Each median lies outside the spread of the other run: more than the rounds of one run differ anyway. */
  readonly significant: boolean;
  readonly better: boolean;
}

/**
 * The trends of all scenarios that at least one of `reports` (oldest first) measured, in the order of the newest run that
 * has them. Runs that compared another figure under the same name are left out of its line.
 */
export function trendsOf(reports: readonly Report[]): ScenarioTrend[] {
  const newest = new Map<string, ScenarioReport>();
  for (const report of [...reports].reverse()) {
    for (const scenario of report.scenarios) {
      if (scenario.rows.length > 0 && !newest.has(scenario.name)) newest.set(scenario.name, scenario);
    }
  }
  return [...newest.values()].map((scenario) => trendOf(scenario, reports));
}

/** As text for a terminal: the last runs in columns, all of them as a sparkline, and the last change. */
export function drawTrend(reports: readonly Report[], styled: boolean): string {
  const ink = inkFor(styled);
  const trends = trendsOf(reports);
  if (trends.length === 0) return 'No runs are kept yet.\n';
  const lines = trends.flatMap((trend) => [...drawScenarioTrend(trend, reports, styled), '']);
  if (new Set(reports.map(machineText)).size > 1) {
    lines.push('The runs were taken on different machines: ratios can be compared, figures cannot.');
  }
  lines.push(ink.dim('* beyond the spread of both runs; ratios are Millrace ÷ peer, round by round.'));
  return `${lines.join('\n')}\n`;
}

/** What names a run: its moment and revision. */
export function runText({ startedAt, revision }: Report): string {
  return `${momentText(startedAt)} ${shortRevision(revision)}`;
}

/** `+3.2 %`, with a star behind it when it is significant. */
export function changeText({ share, significant }: Change): string {
  const percent = (share * 100).toFixed(1);
  return `${share >= 0 ? '+' : ''}${percent} %${significant ? ' *' : ''}`;
}

/** The value of a line's point: the figure for Millrace itself, else a ratio. */
export function pointText(headline: FigureName, peer: string, point: Spread): string {
  return peer === SUBJECT ? figureText(headline, point.median) : point.median.toFixed(2);
}

/** Eight heights of block, lowest to highest; a gap where there is no value. */
export function drawSparkline(values: readonly (number | null)[]): string {
  const known = values.filter((value) => value !== null);
  const lowest = Math.min(...known);
  const range = Math.max(...known) - lowest;
  return values
    .map((value) => {
      if (value === null) return ' ';
      const level = range === 0 ? 3 : Math.round(((value - lowest) / range) * (BLOCKS.length - 1));
      return BLOCKS.charAt(level);
    })
    .join('');
}

const BLOCKS = '▁▂▃▄▅▆▇█';
/** Runs that get a column of their own. */
const COLUMNS = 3;
/** Runs in a sparkline. */
const SPARKS = 24;

function trendOf({ name, title, headline }: ScenarioReport, reports: readonly Report[]): ScenarioTrend {
  const runs = reports.map((report) =>
    report.scenarios.find((scenario) => scenario.name === name && scenario.headline === headline),
  );
  const peers = new Set([SUBJECT, ...runs.flatMap((run) => run?.rows.map((row) => row.peer) ?? [])]);
  const lines = [...peers].flatMap((peer): TrendLine[] => {
    const points = runs.map((run) => pointOf(run, peer));
    if (points.every((point) => point === null)) return [];
    return [{ peer, points, change: changeOf(points, headline) }];
  });
  return { name, title, headline, lines };
}

function pointOf(run: ScenarioReport | undefined, peer: string): Spread | null {
  const row = run?.rows.find((one) => one.peer === peer);
  if (run === undefined || row === undefined) return null;
  return peer === SUBJECT ? (row.figures[run.headline] ?? null) : row.ratio;
}

/** A ratio has Millrace above the line, so the side that is better is the headline's own. */
function changeOf(points: readonly (Spread | null)[], headline: FigureName): Change | null {
  const [before, after] = points.filter((point) => point !== null).slice(-2);
  if (before === undefined || after === undefined || before.median === 0) return null;
  const share = after.median / before.median - 1;
  const significant = outside(after.median, before) && outside(before.median, after);
  return { share, significant, better: figureOf(headline).better === 'lower' ? share < 0 : share > 0 };
}

function outside(value: number, { lowest, highest }: Spread): boolean {
  return value < lowest || value > highest;
}

function drawScenarioTrend(trend: ScenarioTrend, reports: readonly Report[], styled: boolean): string[] {
  const ink = inkFor(styled);
  const shown = reports.slice(-COLUMNS);
  const table = [['', 'trend', ...shown.map(runText), 'change'], ...trend.lines.map((line) => cellsOf(trend, line))];
  const drawn = drawTable(table, (padded, index, column) => {
    const change = trend.lines[index - 1]?.change ?? null;
    if (index === 0) return ink.dim(padded);
    if (column !== shown.length + 2 || change === null || !change.significant) return padded;
    return change.better ? ink.green(padded) : ink.red(padded);
  });
  const { heading, better } = figureOf(trend.headline);
  return [`${ink.bold(plainText(trend.name))}: ${heading}, ${better} is better`, ...drawn];
}

function cellsOf({ headline }: ScenarioTrend, { peer, points, change }: TrendLine): string[] {
  const label = peer === SUBJECT ? peerTitle(peer) : `÷ ${plainText(peerTitle(peer))}`;
  const values = points.slice(-COLUMNS).map((point) => (point === null ? NOTHING : pointText(headline, peer, point)));
  const sparks = drawSparkline(points.slice(-SPARKS).map((point) => point?.median ?? null));
  return [label, sparks, ...values, change === null ? NOTHING : changeText(change)];
}

function machineText({ machine }: Report): string {
  return `${machine.cpu} ${machine.cores}`;
}
