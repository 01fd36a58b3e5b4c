// The chart at the top of the page: in every scenario how Millrace compares with its two foremost peers, on one axis
// around 1. Each scenario is a drawing of its own that stretches with the page while its text keeps its size.

import { SUBJECT } from '../scenario.ts';
import { anchor, escapeMarkup, length, percent, tipText } from './markup.ts';
import { peerClass } from './palette.ts';
import type { Report, Row, ScenarioReport, Verdict } from './report.ts';
import { ratioScale, type Scale } from './scale.ts';
import type { Spread } from './statistics.ts';
import { boundText, figureOf, outcomeText, peerTitle, ratioText, verdictText } from './wording.ts';

/** The peers that the overview compares with: nginx and HAProxy, and where they did not take part the first two others. */
export function foremostPeers({ scenarios }: Report): string[] {
  const present = [...new Set(scenarios.flatMap(({ rows }) => rows.filter(({ ratio }) => ratio !== null)))];
  const names = [...new Set(present.map(({ peer }) => peer))];
  const favoured = FAVOURED.filter((peer) => names.includes(peer));
  return favoured.length > 0 ? favoured : names.slice(0, 2);
}

/** The chart as a figure of the page; empty where Millrace was compared with nobody. */
export function drawOverview(report: Report): string {
  const peers = foremostPeers(report);
  const entries = report.scenarios.flatMap((scenario) => entryOf(scenario, peers));
  if (entries.length === 0) return '';
  const scale = ratioScale(
    entries.flatMap(({ marks }) => marks.flatMap(({ drawn, bounds }) => [drawn.lowest, drawn.highest, ...bounds])),
    MARGIN,
    LEAST_SIDE,
  );
  const inverted = entries.some(({ scenario }) => figureOf(scenario.headline).better === 'higher');
  return `<figure class="overview">
<div class="legend">${peers.map((peer, place) => legendItem(peer, place)).join('')}${TARGET_LEGEND}</div>
${drawAxis(scale, true)}
${entries.map((entry) => drawEntry(entry, scale)).join('\n')}
${drawAxis(scale, false)}
<figcaption>Millrace divided by the peer, on a logarithmic axis: dots are medians of the ratios taken round by round, lines reach from the lowest to the highest round, and a hollow dot missed its target.${inverted ? ' Where higher is better (↑) the ratio is drawn upside down, so that left is always in favour of Millrace.' : ''}</figcaption>
</figure>`;
}

/** A dot for one peer: circle, diamond, so that colour is never all that tells them apart. */
export function drawDot(x: string, y: number, place: number, open = false): string {
  const shape = place % 2 === 0 ? '<circle r="5.5"/>' : '<path d="M0-7L7 0 0 7-7 0Z"/>';
  return `<svg class="dot${open ? ' open' : ''}" x="${x}" y="${length(y)}" overflow="visible" width="1" height="1">${shape}</svg>`;
}

interface Entry {
  readonly scenario: ScenarioReport;
  readonly marks: readonly Comparison[];
}

interface Comparison {
  readonly peer: string;
  /** Place among the foremost peers, which gives the shape. */
  readonly place: number;
  readonly ratio: Spread;
  /** The same, upside down where higher is better. */
  readonly drawn: Spread;
  readonly verdict: Verdict | null;
  /** Where its target's ticks stand. */
  readonly bounds: readonly number[];
}

const FAVOURED = ['nginx', 'haproxy'];
const MARGIN = 0.04;
/** Room enough for the words above it, on a phone too. */
const LEAST_SIDE = 0.6;
const LANE = 22;

const TARGET_LEGEND =
  '<span class="key"><svg width="14" height="16" aria-hidden="true"><line class="target" x1="7" x2="7" y1="1" y2="15"/></svg>target</span>';

function entryOf(scenario: ScenarioReport, peers: readonly string[]): Entry[] {
  const marks = peers.flatMap((peer, place): Comparison[] => {
    const row = scenario.rows.find((one) => one.peer === peer);
    return row === undefined ? [] : comparisonOf(scenario, row, place);
  });
  return marks.length === 0 ? [] : [{ scenario, marks }];
}

function comparisonOf({ headline, verdicts }: ScenarioReport, { peer, ratio }: Row, place: number): Comparison[] {
  if (ratio === null) return [];
  const inverted = figureOf(headline).better === 'higher';
  const verdict = verdicts.find(({ target }) => target.peer === peer && target.figure === headline) ?? null;
  const bounds = [verdict?.target.atMost, verdict?.target.atLeast].filter((bound) => bound !== undefined);
  return [
    {
      peer,
      place,
      ratio,
      drawn: inverted ? invert(ratio) : ratio,
      verdict,
      bounds: inverted ? bounds.map((bound) => 1 / bound) : bounds,
    },
  ];
}

function invert({ median, lowest, highest }: Spread): Spread {
  return { median: 1 / median, lowest: 1 / highest, highest: 1 / lowest };
}

function legendItem(peer: string, place: number): string {
  return `<span class="key ${peerClass(peer)}"><svg width="16" height="16" aria-hidden="true">${drawDot('8', 8, place)}</svg>${peerTitle(SUBJECT)} ÷ ${escapeMarkup(peerTitle(peer))}</span>`;
}

function drawAxis({ ticks, place }: Scale, head: boolean): string {
  const y = head ? 36 : 15;
  const labels = ticks.map(
    (tick) => `<text x="${percent(place(tick))}" y="${y}" class="tick${tick === 1 ? ' one' : ''}">${tick}</text>`,
  );
  const sides = head
    ? '<text x="0" y="13" class="side better">◀ Millrace better</text><text x="100%" y="13" class="side worse">peer better ▶</text>'
    : '';
  return `<div class="row axis" aria-hidden="true"><span class="what"></span><svg class="plot" height="${head ? 44 : 20}">${sides}${labels.join('')}</svg><span class="says"></span></div>`;
}

function drawEntry({ scenario, marks }: Entry, scale: Scale): string {
  const height = LANE * marks.length + 12;
  const one = percent(scale.place(1));
  const grid = scale.ticks.map((tick) => {
    const x = percent(scale.place(tick));
    return `<line class="${tick === 1 ? 'one' : 'grid'}" x1="${x}" x2="${x}" y1="0" y2="100%"/>`;
  });
  const drawn = marks.map((mark, lane) => drawComparison(mark, scale, 6 + LANE * (lane + 0.5)));
  const { heading, better } = figureOf(scenario.headline);
  return `<div class="row">
<div class="what"><a href="#${anchor(scenario.name)}">${escapeMarkup(scenario.name)}</a><small>${escapeMarkup(heading)}${better === 'higher' ? ' ↑' : ''}</small></div>
<svg class="plot" height="${height}" role="img"><title>${escapeMarkup(`${scenario.name}: ${heading}, Millrace divided by ${marks.map(({ peer }) => peerTitle(peer)).join(' and ')}`)}</title><desc>${escapeMarkup(marks.map(describe).join('; '))}</desc><rect class="favour" x="0" y="0" width="${one}" height="100%"/>${grid.join('')}${drawn.join('')}</svg>
<div class="says">${marks.map(sayComparison).join('')}</div>
</div>`;
}

function drawComparison(mark: Comparison, { place }: Scale, y: number): string {
  const { drawn, peer } = mark;
  const ticks = mark.bounds.map((bound) => {
    const x = percent(place(bound));
    return `<line class="target" x1="${x}" x2="${x}" y1="${y - 9}" y2="${y + 9}"/>`;
  });
  const [from, to] = [percent(place(drawn.lowest)), percent(place(drawn.highest))];
  const tip = tipText(mark.verdict === null ? [describe(mark)] : [describe(mark), verdictText(mark.verdict)]);
  return `<g class="${peerClass(peer)}" data-tip="${tip}"><rect class="hit" x="0" y="${y - LANE / 2}" width="100%" height="${LANE}"/>${ticks.join('')}<line class="whisker" x1="${from}" x2="${to}" y1="${y}" y2="${y}"/>${drawDot(percent(place(drawn.median)), y, mark.place, mark.verdict?.reached === false)}</g>`;
}

function describe({ peer, ratio }: Comparison): string {
  return `Millrace ÷ ${peerTitle(peer)}: ${ratioText(ratio)}`;
}

function sayComparison({ peer, ratio, verdict }: Comparison): string {
  const outcome = verdict === null ? '' : outcomeText(verdict);
  const sign = outcome === 'reached' ? '✓' : '✗';
  const badge =
    verdict === null || outcome === ''
      ? ''
      : `<i class="${outcome}" title="${escapeMarkup(`target ${boundText(verdict.target)}: ${outcome}`)}"><span aria-hidden="true">${sign}</span><span class="unseen">target ${outcome}</span></i>`;
  return `<span class="${peerClass(peer)}"><b>${ratio.median.toFixed(2)}</b> × ${escapeMarkup(peerTitle(peer))} ${badge}</span>`;
}
