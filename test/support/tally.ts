// Reads what tap says (TAP 14 on standard input) and tells it for people: `--follow` prints a line for each file as it
// ends, failures with all their details; without it, what failed and, last, `N passed, N failed` alone on a line.
// What counts is each test by itself, never the files, suites and parents that hold others.

import { createInterface } from 'node:readline';

export interface Totals {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

/** One test, or a file that failed although none of its tests did (it crashed, or took too long). */
export interface TestResult {
  /** From the file down to the test. */
  readonly path: readonly string[];
  readonly outcome: keyof Totals;
  /** The lines of its diagnostics, without their common indentation. */
  readonly details: readonly string[];
}

/** `12 passed, 0 failed`, with the skipped ones behind where there are any. */
export function formatTotals({ passed, failed, skipped }: Totals): string {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`;
}

/** Reads TAP line by line. Lines that tests print themselves are passed over, also those that look like results. */
export class TapReader {
  readonly results: TestResult[] = [];
  readonly #open: Group[] = [];
  #last: Mutable | null = null;
  #yaml = -1;

  /** Takes one line; answers the file that has just ended, or null. */
  read(line: string): FileEnd | null {
    const indent = line.length - line.trimStart().length;
    if (this.#yaml >= 0) {
      if (indent === this.#yaml && line.trim() === '...') this.#yaml = -1;
      else this.#last?.details.push(line.slice(this.#yaml));
      return null;
    }
    if (line.trim() === '---' && this.#last !== null && indent === this.#last.indent + 2) {
      this.#yaml = indent;
      return null;
    }
    const name = /^\s*# Subtest: (.*)$/.exec(line)?.[1];
    if (name !== undefined) {
      this.#open.push({ indent, name, first: this.results.length });
      return null;
    }
    const result = /^\s*(not ok|ok) \d+(?: - (.*))?$/.exec(line);
    return result === null ? null : this.#result(indent, result[1] === 'ok', result[2] ?? '');
  }

  totals(): Totals {
    const count = (outcome: keyof Totals): number => this.results.filter((one) => one.outcome === outcome).length;
    return { passed: count('passed'), failed: count('failed'), skipped: count('skipped') };
  }

  #result(indent: number, ok: boolean, words: string): FileEnd | null {
    const [, title = '', directive] = /^(.*?)(?: # (SKIP|TODO|time=).*)?$/i.exec(words) ?? [];
    const known = this.#open.findLastIndex((group) => group.indent === indent && group.name === title);
    this.#last = null;
    // What no subtest announces is printed by a test, except at the top, where tap itself reports what went wrong.
    if (known < 0 && (indent > 0 || ok)) return null;
    const group = known < 0 ? { indent, name: title, first: this.results.length } : this.#open[known]!;
    if (known >= 0) this.#open.length = known;
    const inside = this.results.slice(group.first);
    const excused = directive !== undefined && /^(skip|todo)$/i.test(directive);
    const outcome = excused ? 'skipped' : ok ? 'passed' : 'failed';
    const leaf = indent > 0 && inside.length === 0;
    if (leaf || (outcome === 'failed' && !inside.some((one) => one.outcome === 'failed'))) {
      const path = [...this.#open.map((outer) => outer.name), title];
      const made: Mutable = { indent, path, outcome, details: [] };
      this.results.push(made);
      this.#last = made;
    }
    return indent > 0 ? null : { name: title, results: this.results.slice(group.first) };
  }
}

export interface FileEnd {
  readonly name: string;
  readonly results: readonly TestResult[];
}

interface Group {
  readonly indent: number;
  readonly name: string;
  /** Number of the first result inside. */
  readonly first: number;
}

interface Mutable extends TestResult {
  readonly indent: number;
  readonly details: string[];
}

if (import.meta.main) process.exitCode = await main(process.argv.slice(2));

/** `[--follow] [STATUS]`: the exit code is tap's STATUS, or 1 where tests failed or none ran although it says 0. */
async function main(args: readonly string[]): Promise<number> {
  const follow = args.includes('--follow');
  const status = Number(args.find((argument) => /^\d+$/.test(argument)) ?? 0);
  const reader = new TapReader();
  let told = 0;
  for await (const line of createInterface({ input: process.stdin, crlfDelay: Number.POSITIVE_INFINITY })) {
    // The details of a file's own failure come after its result: failures are told one file late.
    const end = reader.read(line);
    if (end === null || !follow) continue;
    process.stdout.write(tellFailures(reader.results.slice(told, reader.results.length - end.results.length)));
    told = Math.max(told, reader.results.length - end.results.length);
    process.stdout.write(tellFile(end));
  }
  if (follow) {
    process.stdout.write(tellFailures(reader.results.slice(told)));
    return 0;
  }
  const totals = reader.totals();
  for (const { path, outcome, details } of reader.results) {
    // tap names the file that took too long only in the details.
    const where = path.length > 1 || path[0]?.startsWith('test/') ? '' : ` ${details.join(' ').trim()}`;
    if (outcome === 'failed') process.stdout.write(`failed: ${path.join(' > ')}${where}\n`);
  }
  process.stdout.write(`${formatTotals(totals)}\n`);
  return status !== 0 ? status : totals.failed > 0 || totals.passed === 0 ? 1 : 0;
}

function tellFile({ name, results }: FileEnd): string {
  const failed = results.filter((one) => one.outcome === 'failed').length;
  return `${failed > 0 ? 'FAIL' : 'ok  '}  ${name}  ${results.length}${failed > 0 ? `, ${failed} failed` : ''}\n`;
}

function tellFailures(results: readonly TestResult[]): string {
  return results
    .filter((one) => one.outcome === 'failed')
    .map(({ path, details }) => `\n${path.join(' > ')}\n${details.map((line) => `    ${line}\n`).join('')}\n`)
    .join('');
}
