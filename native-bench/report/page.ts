// A run as one HTML page that stands alone: no network, no library, charts drawn when it is written. Here is how the page
// is put together; each chart, the style and the script have a file of their own.

import { createHash } from 'node:crypto';
import { SUBJECT } from '../scenario.ts';
import { drawBars } from './bars.ts';
import { drawCurves } from './curve.ts';
import { anchor, escapeMarkup } from './markup.ts';
import { drawOverview, foremostPeers } from './overview.ts';
import type { Report, Row, ScenarioReport, Verdict } from './report.ts';
import { SCRIPT } from './script.ts';
import { styleRules } from './style.ts';
import { drawTrendSection } from './trend-chart.ts';
import {
  facts,
  figureOf,
  furtherFigures,
  headings,
  momentText,
  outcomeText,
  peerTitle,
  rowCells,
  sentence,
  shortRevision,
  sideOf,
  targetText,
  valueText,
} from './wording.ts';

/**
 * The page of `report`, with the trend of `history` (oldest first; `report` itself may be among them) when that makes at
 * least two runs. Its policy forbids all that does not stand in the page itself, so that nothing of what is quoted on it
 * could ever be obeyed.
 */
export function writePage(report: Report, history: readonly Report[]): string {
  const style = styleRules();
  const measured = report.scenarios.filter(({ omitted }) => omitted === null);
  const overview = drawOverview(report);
  // A run that has just been kept may be told twice.
  const runs = [...new Map([...history, report].map((run) => [run.startedAt, run])).values()];
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src '${hashOf(style)}'; script-src '${hashOf(SCRIPT)}'; img-src data:; base-uri 'none'; form-action 'none'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Millrace benchmark, ${escapeMarkup(report.startedAt.slice(0, 10))}</title>
<link rel="icon" href="data:,">
<style>${style}</style>
</head>
<body>
<header>
<h1>${WHEEL}Millrace benchmark</h1>
<p class="lead">${lead(report)}</p>
<p class="taken"><code>${escapeMarkup(report.command)}</code> with ${escapeMarkup(report.versions.join(', '))} · <a href="#setting">all that was set</a></p>
${drawTiles(report, measured)}
</header>
<main>
${overview === '' ? '' : `<section id="overview"><h2>Millrace beside ${foremostPeers(report).map(peerTitle).map(escapeMarkup).join(' and ')}</h2>\n<p class="title">${overviewTitle(report)}</p>\n${overview}</section>`}
${measured.map(drawScenarioSection).join('\n')}
${drawOmitted(report.scenarios)}
${drawTrendSection(runs)}
${drawSettingSection(report)}
${drawGlossary(measured)}
</main>
<footer>Written by the harness of Millrace. Every figure of this page is one command away: <code>make bench</code>.</footer>
<script>${SCRIPT}</script>
</body>
</html>
`;
}

/** A mill wheel above its race. */
const WHEEL = `<svg width="44" height="44" viewBox="0 0 44 44" fill="none" stroke="currentColor" stroke-width="2.4" stroke-linecap="round" aria-hidden="true"><circle cx="22" cy="19" r="13"/><circle cx="22" cy="19" r="3"/><path d="M22 3v13M22 22v13M6 19h13M25 19h13M10.7 7.7l9.2 9.2M24.1 21.1l9.2 9.2M33.3 7.7l-9.2 9.2M19.9 21.1l-9.2 9.2"/><path d="M2 39c3.3-3 6.700-3 10 0s6.700 3 10 0 6.700-3 10 0 6.700 3 10 0" opacity=".55"/></svg>`;

function hashOf(text: string): string {
  return `sha256-${createHash('sha256').update(text).digest('base64')}`;
}

function lead({ startedAt, revision, machine }: Report): string {
  const of = revision === null ? '' : ` of revision <code>${escapeMarkup(shortRevision(revision))}</code>`;
  return `Taken on ${escapeMarkup(momentText(startedAt))} UTC${of} on ${escapeMarkup(machine.cpu)}. The proxies took turns on the same cores before the same origin; where one did other work than the rest, it is said below its table.`;
}

function overviewTitle({ startedAt, plan, machine }: Report): string {
  const cores = `${machine.cores} ${machine.cores === 1 ? 'core' : 'cores'}`;
  return `${plan.rounds} interleaved rounds of ${plan.seconds} s, ${escapeMarkup(machine.cpu)}, ${cores}, ${escapeMarkup(startedAt.slice(0, 10))}`;
}

function drawTiles(report: Report, measured: readonly ScenarioReport[]): string {
  const verdicts = measured.flatMap((scenario) => scenario.verdicts).filter(({ reached }) => reached !== null);
  const tiles = foremostPeers(report).flatMap((peer) => meanTile(measured, peer));
  if (verdicts.length > 0) {
    const reached = verdicts.filter((verdict) => verdict.reached === true).length;
    tiles.push([`${reached} of ${verdicts.length}`, 'targets reached; the others are named below']);
  }
  const omitted = report.scenarios.length - measured.length;
  const left = omitted === 0 ? '' : `, ${omitted} not: see why below`;
  tiles.push([String(measured.length), `${measured.length === 1 ? 'scenario' : 'scenarios'} measured${left}`]);
  return `<ul class="tiles">${tiles.map(([value, label]) => `<li><b>${escapeMarkup(value)}</b><span>${escapeMarkup(label)}</span></li>`).join('')}</ul>`;
}

/** Over all scenarios about CPU time, the good and the bad: the mean that suits ratios is the geometric one. */
function meanTile(measured: readonly ScenarioReport[], peer: string): [value: string, label: string][] {
  const ratios = measured
    .filter(({ headline }) => headline === 'cpuMicros')
    .flatMap(({ rows }) => rows.find((row) => row.peer === peer)?.ratio?.median ?? [])
    .filter((ratio) => ratio > 0);
  if (ratios.length === 0) return [];
  const mean = Math.exp(ratios.reduce((sum, ratio) => sum + Math.log(ratio), 0) / ratios.length);
  const of = ratios.length === 1 ? 'one scenario' : `${ratios.length} scenarios (geometric mean)`;
  return [[`${mean.toFixed(2)} ×`, `the CPU time of ${peerTitle(peer)} per request, over ${of}`]];
}

function drawScenarioSection(scenario: ScenarioReport): string {
  const { name, title, remarks, rows, verdicts } = scenario;
  const charts = `${drawBars(scenario)}\n${drawCurves(scenario)}`.trim();
  return `<section id="${anchor(name)}"><h2>${escapeMarkup(name)}</h2>
<p class="title">${escapeMarkup(sentence(title))}</p>
${verdicts.length === 0 ? '' : `<ul class="verdicts" aria-label="Targets">${verdicts.map(drawVerdict).join('')}</ul>`}
${charts === '' ? '' : `<div class="pair">${charts}</div>`}
${rows.length === 0 ? '<p>Nothing measured.</p>' : drawRows(scenario)}
${drawFurther(scenario)}
${remarks.length === 0 ? '' : `<ul class="remarks">${remarks.map((remark) => `<li>${escapeMarkup(remark)}</li>`).join('')}</ul>`}</section>`;
}

function drawVerdict(verdict: Verdict): string {
  const outcome = outcomeText(verdict);
  const sign = outcome === 'reached' ? '✓ ' : outcome === 'missed' ? '✗ ' : '';
  const ending = outcome === '' ? '' : `, ${outcome}`;
  return `<li class="${outcome}"><span aria-hidden="true">${sign}</span>${escapeMarkup(targetText(verdict.target))}: <b>${valueText(verdict)}</b>${ending}</li>`;
}

/** What the table leaves out, folded away. */
function drawFurther(scenario: ScenarioReport): string {
  const further = furtherFigures(scenario);
  return further === null ? '' : `<details><summary>More figures</summary>${drawRows(further)}</details>`;
}

function drawRows(scenario: ScenarioReport): string {
  const head = headings(scenario).map((heading) => `<th scope="col">${escapeMarkup(heading)}</th>`);
  const body = scenario.rows.map((row) => {
    const [peer = '', ...cells] = rowCells(scenario, row);
    const last = cells.length - 1;
    const drawn = cells.map((cell, at) => `<td${at === last ? ratioClass(scenario, row) : ''}>${edged(cell)}</td>`);
    return `<tr${row.peer === SUBJECT ? ' class="subject"' : ''}><th scope="row">${escapeMarkup(peer)}</th>${drawn.join('')}</tr>`;
  });
  return `<div class="scroll" tabindex="0" role="region" aria-label="${escapeMarkup(`Figures of ${scenario.name}`)}"><table><thead><tr>${head.join('')}</tr></thead><tbody>${body.join('')}</tbody></table></div>`;
}

function ratioClass({ headline }: ScenarioReport, { ratio }: Row): string {
  const side = ratio === null ? 'even' : sideOf(headline, ratio);
  return side === 'even' ? '' : ` class="${side}"`;
}

/** The edges in brackets smaller than the median before them. */
function edged(cell: string): string {
  return escapeMarkup(cell).replace(/ \((.*)-(.*)\)$/, ' <small>$1–$2</small>');
}

function drawOmitted(scenarios: readonly ScenarioReport[]): string {
  const omitted = scenarios.flatMap(({ name, omitted: reason }) => (reason === null ? [] : [{ name, reason }]));
  if (omitted.length === 0) return '';
  const lines = omitted.map(
    ({ name, reason }) => `<li><b>${escapeMarkup(name)}</b>: ${escapeMarkup(sentence(reason))}</li>`,
  );
  return `<section id="omitted"><h2>Not measured</h2><ul class="plain">${lines.join('')}</ul></section>`;
}

function drawSettingSection(report: Report): string {
  const lines = facts(report).map(([name, value]) => {
    const text = escapeMarkup(value);
    return `<dt>${name}</dt><dd>${name === 'command' ? `<code>${text}</code>` : text}</dd>`;
  });
  return `<section id="setting"><h2>How it was measured</h2><dl>${lines.join('')}</dl></section>`;
}

function drawGlossary(measured: readonly ScenarioReport[]): string {
  const names = [...new Set(measured.flatMap(({ columns }) => columns))];
  const lines = names.map((name) => {
    const { heading, meaning, better } = figureOf(name);
    return `<dt>${escapeMarkup(heading)}</dt><dd>${escapeMarkup(sentence(meaning))} <small>${better} is better</small></dd>`;
  });
  return `<section id="figures"><h2>What the figures mean</h2>
<p class="title">Figures are medians over rounds, with the lowest and the highest round beside them. Peers take turns within each round, and ratios are taken round by round, so that what slows the machine for a while slows both sides alike. Behind a name, ! marks a peer that had errors, and ~ one whose core was disturbed by other work.</p>
<dl>${lines.join('')}</dl></section>`;
}
