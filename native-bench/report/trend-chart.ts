// The trend as small charts of the page: one for each scenario, a line for each peer's ratio over the runs that were kept,
// with a band from the lowest to the highest round. What the points are stands in trend.ts.

import { SUBJECT } from '../scenario.ts';
import { escapeMarkup, length, percent, tipText } from './markup.ts';
import { peerClass } from './palette.ts';
import type { Report } from './report.ts';
import { ratioScale, type Scale } from './scale.ts';
import { changeText, pointText, runText, type ScenarioTrend, type TrendLine, trendsOf } from './trend.ts';
import { figureOf, NOTHING, peerTitle, ratioText, shortRevision, spreadText } from './wording.ts';

/** A section of charts and their tables over `reports`, oldest first; empty with fewer than two runs. */
export function drawTrendSection(reports: readonly Report[]): string {
  const runs = reports.slice(-MOST_RUNS);
  if (runs.length < 2) return '';
  const figures = trendsOf(runs).map((trend) => drawTrendFigure(trend, runs));
  return `<section id="trend"><h2>Trend</h2>
<p class="title">The last ${runs.length} runs, oldest to newest: Millrace ÷ peer, with bands from the lowest to the highest round.</p>
<div class="small-charts">${figures.join('\n')}</div></section>`;
}

const MOST_RUNS = 30;
/** More lines would only hide one another; the table has them all. */
const MOST_LINES = 2;
const FOREMOST = ['nginx', 'haproxy'];
const HEIGHT = 130;

function drawTrendFigure(trend: ScenarioTrend, runs: readonly Report[]): string {
  const ratios = trend.lines.filter(({ peer }) => peer !== SUBJECT);
  const foremost = ratios.filter(({ peer }) => FOREMOST.includes(peer));
  const shown = foremost.length > 0 ? foremost : ratios.slice(0, MOST_LINES);
  const chart = shown.length === 0 ? '' : drawChart(trend, shown, runs);
  return `<figure class="trend"><h3>${escapeMarkup(trend.name)} <small>${escapeMarkup(figureOf(trend.headline).heading)}</small></h3>
${chart}<details><summary>All values</summary><div class="scroll">${drawTrendTable(trend, runs)}</div></details></figure>`;
}

function drawChart(trend: ScenarioTrend, lines: readonly TrendLine[], runs: readonly Report[]): string {
  const spreads = lines.flatMap(({ points }) => points.filter((point) => point !== null));
  const scale = ratioScale(
    spreads.flatMap(({ lowest, highest }) => [lowest, highest]),
    0.05,
  );
  const x = (at: number): number => (runs.length === 1 ? 0.5 : 0.03 + (at / (runs.length - 1)) * 0.94);
  const ticks = scale.ticks.filter((tick) => tick === 1 || apart(tick, scale));
  const grid = ticks.map((tick) => {
    const y = length(height(tick, scale));
    return `<line class="${tick === 1 ? 'one' : 'grid'}" x1="0" x2="100%" y1="${y}" y2="${y}"/>`;
  });
  const label = `${trend.name}: Millrace divided by ${lines.map(({ peer }) => peerTitle(peer)).join(', ')} over ${runs.length} runs`;
  const description = lines.map((line) => `${peerTitle(line.peer)}: ${medians(line)}`).join('; ');
  const drawn = lines.map((line) => drawLine(line, scale, x));
  const dots = lines.map((line) => drawDots(line, scale, x, runs));
  return `<div class="chart"><svg class="ylabels" height="${HEIGHT}" aria-hidden="true">${ticks.map((tick) => `<text class="tick end${tick === 1 ? ' one' : ''}" x="100%" dx="-6" y="${length(height(tick, scale) + 4)}">${tick}</text>`).join('')}</svg>
<svg class="plot" height="${HEIGHT}" role="img"><title>${escapeMarkup(label)}</title><desc>${escapeMarkup(description)}</desc>${grid.join('')}<svg width="100%" height="${HEIGHT}" viewBox="0 0 1000 ${HEIGHT}" preserveAspectRatio="none">${drawn.join('')}</svg>${dots.join('')}</svg></div>
<div class="ends"><span>${escapeMarkup(endText(runs[0]!))}</span><span>${escapeMarkup(endText(runs.at(-1)!))}</span></div>
<div class="legend">${lines.map(legendItem).join('')}</div>
`;
}

/** A run by its day: there is no room for the hour. */
function endText({ startedAt, revision }: Report): string {
  return `${startedAt.slice(0, 10)} ${shortRevision(revision)}`;
}

/** Ticks too near to 1 would write over it. */
function apart(tick: number, scale: Scale): boolean {
  return Math.abs(height(tick, scale) - height(1, scale)) > 13;
}

function height(value: number, { place }: Scale): number {
  return (1 - place(value)) * HEIGHT;
}

function drawLine({ peer, points }: TrendLine, scale: Scale, x: (at: number) => number): string {
  const known = points.flatMap((point, at) => (point === null ? [] : [{ point, x: length(x(at) * 1000) }]));
  const upper = known.map(({ point, x }) => `${x},${length(height(point.highest, scale))}`);
  const lower = known.map(({ point, x }) => `${x},${length(height(point.lowest, scale))}`).reverse();
  const middle = known.map(({ point, x }) => `${x},${length(height(point.median, scale))}`);
  return `<g class="${peerClass(peer)}"><polygon class="band" points="${[...upper, ...lower].join(' ')}"/><polyline class="line" points="${middle.join(' ')}"/></g>`;
}

function drawDots(
  { peer, points }: TrendLine,
  scale: Scale,
  x: (at: number) => number,
  runs: readonly Report[],
): string {
  const dots = points.map((point, at) => {
    if (point === null) return '';
    const tip = tipText([runText(runs[at]!), `Millrace ÷ ${peerTitle(peer)}: ${ratioText(point)}`]);
    return `<circle cx="${percent(x(at))}" cy="${length(height(point.median, scale))}" r="3.5" data-tip="${tip}"/>`;
  });
  return `<g class="dots ${peerClass(peer)}">${dots.join('')}</g>`;
}

function medians({ points }: TrendLine): string {
  return points.map((point) => (point === null ? NOTHING : point.median.toFixed(2))).join(', ');
}

function legendItem({ peer, change }: TrendLine): string {
  const side = change?.significant === true ? (change.better ? ' reached' : ' missed') : '';
  const moved = change === null ? '' : ` <small class="${side}">${escapeMarkup(changeText(change))}</small>`;
  return `<span class="key ${peerClass(peer)}"><svg width="26" height="12" aria-hidden="true"><line class="line" x1="1" x2="25" y1="6" y2="6"/></svg>÷ ${escapeMarkup(peerTitle(peer))}${moved}</span>`;
}

function drawTrendTable({ headline, lines }: ScenarioTrend, runs: readonly Report[]): string {
  const head = lines.map(({ peer }) => {
    const name = escapeMarkup(peerTitle(peer));
    return `<th scope="col">${peer === SUBJECT ? `${name}, ${escapeMarkup(figureOf(headline).heading)}` : `÷ ${name}`}</th>`;
  });
  const rows = runs.map((run, at) => {
    const cells = lines.map(({ peer, points }) => {
      const point = points[at] ?? null;
      if (point === null) return `<td>${NOTHING}</td>`;
      const whole = peer === SUBJECT ? spreadText(headline, point) : ratioText(point);
      return `<td title="${escapeMarkup(whole)}">${pointText(headline, peer, point)}</td>`;
    });
    return `<tr><th scope="row">${escapeMarkup(endText(run))}</th>${cells.join('')}</tr>`;
  });
  return `<table><thead><tr><th scope="col">run</th>${head.join('')}</tr></thead><tbody>${rows.join('')}</tbody></table>`;
}
