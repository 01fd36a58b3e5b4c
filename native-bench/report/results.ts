// The runs that are kept in native-bench/results/, one small file each, so that a trend can be drawn. What a run is
// stands in report.ts, how it is read back in json.ts.

import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { finite, readReport } from './json.ts';
import type { Report } from './report.ts';
import { shortRevision } from './wording.ts';

/**
 * Writes `report` into `folder` (made when there is none) as YYYY-MM-DD-HHMM-REVISION.json, UTC, and returns the path. A
 * second run within the same minute gets a number behind it; nothing is ever overwritten. Rounds are left out and
 * figures rounded to six digits: enough for a trend, and small enough to be kept for ever. Throws when it cannot write.
 */
export function keepResult(folder: string, report: Report): string {
  mkdirSync(folder, { recursive: true });
  const text = compact(report);
  const name = `${nameOfMoment(report.startedAt)}-${shortRevision(report.revision).replace(/[^\w+]/g, '')}`;
  for (let attempt = 1; ; attempt++) {
    const path = join(folder, `${name}${attempt === 1 ? '' : `-${attempt}`}.json`);
    try {
      writeFileSync(path, text, { flag: 'wx' });
      return path;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST' || attempt >= MOST_PER_MINUTE) throw error;
    }
  }
}

/**
 * All runs kept in `folder`, oldest first, the newest 500 at most; none when there is no such folder. `faults` names each
 * file that holds no run, with the reason.
 */
export function readResults(folder: string): { reports: Report[]; faults: string[] } {
  const reports: Report[] = [];
  const faults: string[] = [];
  for (const name of namesIn(folder)) {
    const path = join(folder, name);
    const report = readResult(path);
    if (typeof report === 'string') faults.push(`${path}: ${report}`);
    else reports.push(report);
  }
  // By the clock rather than as text: a moment may be written with or without milliseconds.
  reports.sort((a, b) => Date.parse(a.startedAt) - Date.parse(b.startedAt));
  return { reports, faults };
}

const MOST_PER_MINUTE = 100;
const MOST_RESULTS = 500;
const LARGEST_BYTES = 16 * 2 ** 20;
const SIGNIFICANT_DIGITS = 6;

/** Names begin with the date, so the last ones in order are the newest. */
function namesIn(folder: string): string[] {
  let names: string[];
  try {
    names = readdirSync(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
  return names
    .filter((name) => name.endsWith('.json'))
    .sort()
    .slice(-MOST_RESULTS);
}

function readResult(path: string): Report | string {
  try {
    const { size } = statSync(path);
    if (size > LARGEST_BYTES) return `It has ${size} bytes: too large for a result.`;
    return readReport(readFileSync(path, 'utf8'));
  } catch (error) {
    return `It cannot be read: ${(error as Error).message}.`;
  }
}

/** One line for the setting and one for each scenario, so that a diff can be read. */
function compact({ scenarios, ...setting }: Report): string {
  const head = JSON.stringify(setting, finite).slice(0, -1);
  const lines = scenarios.map((scenario) => JSON.stringify({ ...scenario, rounds: [] }, rounded));
  return `${head},"scenarios":[\n${lines.join(',\n')}\n]}\n`;
}

function rounded(key: string, value: unknown): unknown {
  const kept = finite(key, value);
  return typeof kept === 'number' ? Number(kept.toPrecision(SIGNIFICANT_DIGITS)) : kept;
}

/** `2026-01-02T03:04:05.678Z` becomes `2026-01-02-0304`. */
function nameOfMoment(moment: string): string {
  return new Date(moment).toISOString().slice(0, 16).replace('T', '-').replace(':', '');
}
