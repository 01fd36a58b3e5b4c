// The form in which figures are shown: tables of text for a terminal, the same cells as a Markdown page for
// docs/benchmarks.md, and JSON for programs.

import { describeCores, type Machine } from './machine.ts';
import type { Bench, ScenarioResult } from './run.ts';
import type { Spread } from './statistics.ts';
import { type Row, remarks, summarise } from './summary.ts';

/** What a report says above its tables. */
export interface Setting {
  readonly machine: Machine;
  /** Version texts of everything that took part. */
  readonly versions: readonly string[];
  /** The command that was run. */
  readonly command: string;
}

/** Head of a report on a terminal. */
export function drawSetting(setting: Setting, bench: Bench): string {
  return `${facts(setting, bench)
    .map(([name, value]) => `${`${name}:`.padEnd(13)}${value}`)
    .join('\n')}\n`;
}

/** One scenario's table on a terminal, with its remarks below. */
export function drawScenario(result: ScenarioResult): string {
  const rows = summarise(result);
  const lines = [`${result.scenario.name}: ${result.scenario.title}`];
  if (rows.length === 0) lines.push('nothing measured');
  else lines.push(...drawTable([HEADINGS, ...rows.map(cells)]));
  for (const remark of remarks(result, rows)) lines.push(`- ${remark}`);
  return `${lines.join('\n')}\n`;
}

/** Columns padded to their widest cell; the first to the left, figures to the right. */
export function drawTable(table: readonly (readonly string[])[]): string[] {
  const widths = (table[0] ?? []).map((_, column) => Math.max(...table.map((row) => row[column]?.length ?? 0)));
  return table.map((row) =>
    row
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!)))
      .join('  ')
      .trimEnd(),
  );
}

/** The whole run as a Markdown page. */
export function writeMarkdown(setting: Setting, bench: Bench, results: readonly ScenarioResult[]): string {
  const lines = ['# Benchmarks', '', ...INTRODUCTION, '', '| | |', '|---|---|'];
  for (const [name, value] of facts(setting, bench)) lines.push(`| ${name} | ${value} |`);
  for (const result of results) {
    const rows = summarise(result);
    lines.push('', `## ${result.scenario.name}`, '', `${sentence(result.scenario.title)}.`, '');
    if (rows.length === 0) lines.push('Nothing measured.');
    else {
      lines.push(`| ${HEADINGS.join(' | ')} |`, `|---|${'---:|'.repeat(HEADINGS.length - 1)}`);
      for (const row of rows) lines.push(`| ${cells(row).join(' | ')} |`);
    }
    const beside = remarks(result, rows);
    if (beside.length > 0) lines.push('', ...beside.map((remark) => `- ${remark}`));
  }
  return `${lines.join('\n')}\n`;
}

/** The whole run with every round, for programs. Durations in microseconds, sizes in bytes, shares from 0 to 1. */
export function writeJson(setting: Setting, bench: Bench, results: readonly ScenarioResult[]): string {
  const scenarios = results.map((result) => ({
    ...result,
    unequal: Object.fromEntries(result.unequal),
    rows: summarise(result).map((row) => ({ ...row, marks: Object.fromEntries(row.marks) })),
  }));
  const { cores, pinned, plan } = bench;
  return `${JSON.stringify({ ...setting, cores, pinned, plan, scenarios }, null, 2)}\n`;
}

const HEADINGS = [
  'peer',
  'CPU µs/request',
  'user',
  'kernel',
  'core %',
  'requests/s',
  'p50 ms',
  'p99 ms',
  'RSS MiB',
  'errors',
  'Millrace ÷ peer',
  'target',
  '',
];

const INTRODUCTION = [
  'Written by the harness in `native-bench/`; figures are medians over rounds with the lowest and the highest in brackets.',
  'CPU time is what the kernel charged to all threads and children of the proxy, divided by the requests answered; it is',
  'the figure to compare, since throughput and latency also depend on the origin and the load generator. Peers take turns',
  'within each round, and the ratio is taken round by round. The load is a closed loop, so latency shows queueing at full',
  'load and is not the latency of a proxy with time to spare. `core %` is how busy the proxy kept its core: well below 100,',
  'the origin or the load generator was the limit. Ratios below 1 are in favour of Millrace.',
];

function facts({ machine, versions, command }: Setting, { cores, pinned, plan }: Bench): [string, string][] {
  const memory = `${Math.round(machine.memoryBytes / 2 ** 30)} GiB`;
  return [
    ['date', machine.date],
    ['machine', `${machine.cpu}, ${machine.cores} cores, ${memory} of memory`],
    ['kernel', machine.kernel],
    ['cores', pinned ? describeCores(cores) : 'not pinned: taskset is missing (Debian package util-linux)'],
    ['rounds', `${plan.rounds} of ${plan.seconds} s each, after ${plan.warmUpSeconds} s of warm-up per peer`],
    ['versions', versions.join('; ')],
    ['load before', `load average ${machine.loadAverage.toFixed(2)}`],
    ['command', command],
  ];
}

function cells(row: Row): string[] {
  const marks = `${row.marks.has('errors') ? '!' : ''}${row.marks.has('disturbed') ? '~' : ''}`;
  return [
    row.peer + (marks === '' ? '' : ` ${marks}`),
    figure(row.cpuMicros, 1),
    figure(row.userMicros, 1, false),
    figure(row.kernelMicros, 1, false),
    figure(scaled(row.proxyShare, 100), 0, false),
    figure(row.requestsPerSecond, 0),
    figure(scaled(row.p50Micros, 1e-3), 2, false),
    figure(scaled(row.p99Micros, 1e-3), 2),
    figure(scaled(row.residentBytes, 2 ** -20), 0, false),
    String(row.errors),
    figure(row.ratio, 2),
    row.target === null ? '' : `≤ ${row.target.toFixed(2)}`,
    row.reached === null ? '' : row.reached ? 'reached' : 'missed',
  ];
}

/** `median (lowest-highest)`; figures of a thousand and more without decimals. */
function figure(value: Spread | null, decimals: number, edges = true): string {
  if (value === null) return '-';
  const digits = value.median >= 1000 ? 0 : decimals;
  const median = value.median.toFixed(digits);
  if (!edges || value.lowest === value.highest) return median;
  return `${median} (${value.lowest.toFixed(digits)}-${value.highest.toFixed(digits)})`;
}

function scaled(value: Spread | null, factor: number): Spread | null {
  if (value === null) return null;
  return { median: value.median * factor, lowest: value.lowest * factor, highest: value.highest * factor };
}

function sentence(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
