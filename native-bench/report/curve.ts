// Latency of all peers of one scenario by percentile: the axis is stretched towards 100 %, where the differences are, and
// time is logarithmic. The lines live in a drawing that stretches with the page; labels stand beside it unstretched.

import { LATENCY_SHARES, type LatencyPoint, latencyAt } from '../load/load.ts';
import { SUBJECT } from '../scenario.ts';
import { escapeMarkup, length, percent, tipText } from './markup.ts';
import { peerClass } from './palette.ts';
import type { Row, ScenarioReport } from './report.ts';
import { logScale, percentilePlace, type Scale } from './scale.ts';
import { peerTitle } from './wording.ts';

/** The curves as a figure of the page; empty when fewer than three percentiles are known. */
export function drawCurves(scenario: ScenarioReport): string {
  const rows = scenario.rows.filter(({ latency }) => usable(latency).length >= LEAST_POINTS);
  if (rows.length === 0) return '';
  const scale = logScale(rows.flatMap(({ latency }) => usable(latency).map(({ micros }) => micros)));
  // Millrace is drawn last, on top of the others.
  const lines = [...rows].sort((a, b) => Number(a.peer === SUBJECT) - Number(b.peer === SUBJECT));
  const description = rows.map((row) => `${peerTitle(row.peer)}: ${quoted(row)}`).join('; ');
  return `<figure class="curves"><h3>Latency by percentile <small>ms, lower is better</small></h3>
<div class="chart"><svg class="ylabels" height="${HEIGHT}" aria-hidden="true">${scale.ticks.map((tick) => yLabel(tick, scale)).join('')}</svg>
<svg class="plot" height="${HEIGHT}" role="img"><title>${escapeMarkup(`${scenario.name}: latency by percentile`)}</title><desc>${escapeMarkup(description)}</desc>${grid(scale)}<svg width="100%" height="${PLOT}" viewBox="0 0 1000 ${PLOT}" preserveAspectRatio="none">${lines.map((row) => drawLine(row, scale)).join('')}</svg>${drawHits(rows)}${xLabels()}</svg></div>
<div class="legend">${rows.map(legendItem).join('')}</div>
</figure>`;
}

const LEAST_POINTS = 3;
const PLOT = 250;
const HEIGHT = PLOT + 24;
/** Percentiles that the axis names. */
const NAMED: readonly [share: number, label: string][] = [
  [0, '0'],
  [0.5, '50'],
  [0.9, '90'],
  [0.99, '99'],
  [0.999, '99.9'],
  [0.9999, '99.99'],
  [1, 'max'],
];

/** A logarithm has no place for 0. */
function usable(latency: readonly LatencyPoint[]): LatencyPoint[] {
  return latency.filter(({ micros }) => micros > 0 && Number.isFinite(micros));
}

function quoted({ latency }: Row): string {
  return [0.5, 0.9, 0.99, 0.999]
    .map((share) => ({ share, micros: latencyAt(latency, share) }))
    .filter(({ micros }) => Number.isFinite(micros))
    .map(({ share, micros }) => `p${shareText(share)} ${msText(micros)} ms`)
    .join(', ');
}

function grid({ ticks, place }: Scale): string {
  const across = ticks.map((tick) => {
    const y = length((1 - place(tick)) * PLOT);
    return `<line class="grid" x1="0" x2="100%" y1="${y}" y2="${y}"/>`;
  });
  const down = NAMED.map(([share]) => {
    const x = percent(percentilePlace(share));
    return `<line class="grid" x1="${x}" x2="${x}" y1="0" y2="${PLOT}"/>`;
  });
  return [...across, ...down].join('');
}

function drawLine({ peer, latency }: Row, { place }: Scale): string {
  const points = usable(latency).map(
    ({ share, micros }) => `${length(percentilePlace(share) * 1000)},${length((1 - place(micros)) * PLOT)}`,
  );
  return `<polyline class="line ${peerClass(peer)}${peer === SUBJECT ? ' subject' : ''}" points="${points.join(' ')}"/>`;
}

/** A strip for each percentile that tells all peers' latency there. */
function drawHits(rows: readonly Row[]): string {
  const shares = LATENCY_SHARES.filter((share) =>
    rows.some(({ latency }) => Number.isFinite(latencyAt(latency, share))),
  );
  return shares
    .map((share, at) => {
      const here = percentilePlace(share);
      const from = at === 0 ? 0 : (percentilePlace(shares[at - 1]!) + here) / 2;
      const to = at === shares.length - 1 ? 1 : (here + percentilePlace(shares[at + 1]!)) / 2;
      const values = rows.flatMap(({ peer, latency }) => {
        const micros = latencyAt(latency, share);
        return Number.isFinite(micros) ? [`${peerTitle(peer)}: ${msText(micros)} ms`] : [];
      });
      const tip = tipText([share === 1 ? 'slowest of all' : `${shareText(share)} % took at most`, ...values]);
      return `<g class="strip" data-tip="${tip}"><rect class="hit" x="${percent(from)}" y="0" width="${percent(to - from)}" height="${PLOT}"/><line x1="${percent(here)}" x2="${percent(here)}" y1="0" y2="${PLOT}"/></g>`;
    })
    .join('');
}

function yLabel(tick: number, { place }: Scale): string {
  const y = Math.max(11, Math.min(PLOT, (1 - place(tick)) * PLOT + 4));
  return `<text x="100%" dx="-6" y="${length(y)}" class="tick end">${msText(tick)}</text>`;
}

function xLabels(): string {
  return NAMED.map(([share, label]) => {
    const side = share === 0 ? 'start roomy' : share === 1 ? 'end' : share === 0.9999 ? 'roomy' : '';
    return `<text x="${percent(percentilePlace(share))}" y="${PLOT + 18}" class="tick ${side}">${label}${share > 0 && share < 1 ? '<tspan class="wide"> %</tspan>' : ''}</text>`;
  }).join('');
}

function legendItem({ peer }: Row): string {
  return `<span class="key ${peerClass(peer)}"><svg width="26" height="12" aria-hidden="true"><line class="line${peer === SUBJECT ? ' subject' : ''}" x1="1" x2="25" y1="6" y2="6"/></svg>${escapeMarkup(peerTitle(peer))}</span>`;
}

function shareText(share: number): string {
  return String(Number((share * 100).toFixed(2)));
}

/** Milliseconds with three digits at most. */
function msText(micros: number): string {
  const ms = micros / 1000;
  return String(Number(ms.toPrecision(ms >= 1000 ? 4 : 3)));
}
