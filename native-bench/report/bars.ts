// One scenario's headline figure as a bar for each peer, with whiskers from the lowest to the highest round. Bars begin
// at zero, so that their lengths can be compared.

import { SUBJECT } from '../scenario.ts';
import { escapeMarkup, percent, tipText } from './markup.ts';
import { peerClass } from './palette.ts';
import type { Row, ScenarioReport } from './report.ts';
import { linearScale, type Scale } from './scale.ts';
import type { Spread } from './statistics.ts';
import { figureOf, figureText, peerTitle, ratioText, spreadText } from './wording.ts';

/** The bars as a figure of the page; empty when no peer has the figure. */
export function drawBars(scenario: ScenarioReport): string {
  const { headline, rows } = scenario;
  const values = rows.flatMap(({ figures }) => figures[headline] ?? []);
  if (values.length === 0) return '';
  const scale = linearScale(values.map(({ highest }) => highest));
  const { heading, better } = figureOf(headline);
  const bars = rows.map((row) => drawBar(scenario, row, scale));
  return `<figure class="bars"><h3>${escapeMarkup(heading)} <small>${better} is better</small></h3>
${bars.join('\n')}
</figure>`;
}

const HEIGHT = 26;

function drawBar({ headline }: ScenarioReport, row: Row, { ticks, place }: Scale): string {
  const value = row.figures[headline];
  if (value === undefined) return '';
  const label = `${peerTitle(row.peer)}: ${figureOf(headline).heading} ${spreadText(headline, value)}`;
  const tip = row.ratio === null ? [label] : [label, `Millrace ÷ ${peerTitle(row.peer)}: ${ratioText(row.ratio)}`];
  const grid = ticks.map((tick) => {
    const x = percent(place(tick));
    return `<line class="grid" x1="${x}" x2="${x}" y1="0" y2="100%"/>`;
  });
  return `<div class="bar ${peerClass(row.peer)}${row.peer === SUBJECT ? ' subject' : ''}" data-tip="${tipText(tip)}">
<span class="what">${escapeMarkup(peerTitle(row.peer))}</span>
<svg class="plot" height="${HEIGHT}" role="img"><title>${escapeMarkup(label)}</title>${grid.join('')}<rect class="fill" x="0" y="4" width="${percent(place(value.median))}" height="${HEIGHT - 8}" rx="2"/>${drawWhisker(value, place)}</svg>
<span class="says"><b>${figureText(headline, value.median)}</b> <small>${edges(spreadText(headline, value))}</small></span>
</div>`;
}

function drawWhisker({ lowest, highest }: Spread, place: Scale['place']): string {
  if (lowest === highest) return '';
  const [from, to, middle] = [percent(place(lowest)), percent(place(highest)), HEIGHT / 2];
  const cap = (x: string): string => `<line class="edge" x1="${x}" x2="${x}" y1="${middle - 4}" y2="${middle + 4}"/>`;
  return `<line class="edge" x1="${from}" x2="${to}" y1="${middle}" y2="${middle}"/>${cap(from)}${cap(to)}`;
}

/** What stands in brackets behind the median. */
function edges(text: string): string {
  return /\(.*\)/.exec(text)?.[0].slice(1, -1).replace('-', '–') ?? '';
}
