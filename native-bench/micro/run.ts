// Micro-benchmarks: single functions of Millrace beside credible alternatives, in nanoseconds. They say where a
// function stands and whether a change to it helps; what an exchange costs in all is what the scenarios measure.
// Tables go to stdout, progress and faults to stderr.

import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { didYouMean } from '../../lib/base/nearest.ts';
import { describeMachine } from '../host/machine.ts';
import { SUBJECTS } from './catalogue.ts';
import type { Subject } from './subject.ts';
import { drawNotes, drawSubject, drawTrial } from './table.ts';
import { type Timing, timeTrial } from './timing.ts';

const USAGE = `node native-bench/micro/run.ts [NAME...] [options]

  --seconds N  seconds for each case, 0.01 to 60 (0.5)
  --json FILE  the same figures for programs
  --list       the subjects
  --help       this
`;

interface Options {
  readonly subjects: readonly Subject[];
  readonly seconds: number;
  readonly json: string | null;
  readonly list: boolean;
  readonly help: boolean;
}

interface SubjectResult {
  readonly name: string;
  readonly about: string;
  readonly trials: readonly { readonly name: string; readonly cases: readonly Timing[] }[];
}

process.exitCode = main(process.argv.slice(2));

/** Exit code: 0 measured, 1 could not measure or write, 2 wrong usage. */
function main(args: readonly string[]): number {
  const options = readOptions(args);
  if (typeof options === 'string') {
    process.stderr.write(`${options}\n\n${USAGE}`);
    return 2;
  }
  if (options.help) process.stdout.write(USAGE);
  else if (options.list) for (const { name, about } of SUBJECTS) process.stdout.write(`${name.padEnd(14)}${about}\n`);
  else return measure(options);
  return 0;
}

function measure({ subjects, seconds, json }: Options): number {
  const machine = describeMachine(new Date());
  process.stdout.write(`${machine.runtime}, ${machine.cpu}, load average ${machine.loadAverage.toFixed(2)}\n`);
  const results: SubjectResult[] = [];
  let code = 0;
  for (const subject of subjects) {
    try {
      results.push(timeSubject(subject, seconds));
    } catch (error) {
      code = 1;
      process.stderr.write(`${subject.name}: ${said(error)}\n`);
    }
  }
  if (json === null) return code;
  try {
    writeFileSync(json, `${JSON.stringify({ machine, seconds, subjects: results }, null, 2)}\n`);
    return code;
  } catch (error) {
    process.stderr.write(`${said(error)}\n`);
    return 1;
  }
}

/** Leaves no timer behind, whatever happens: `wheel` has ten thousand. */
function timeSubject({ name, about, prepare }: Subject, seconds: number): SubjectResult {
  process.stdout.write(`\n${drawSubject(name, about)}`);
  const trials = prepare();
  try {
    const timed = trials.map((trial) => {
      const cases = timeTrial(trial, seconds);
      process.stdout.write(drawTrial(trial.name, cases));
      return { name: trial.name, cases };
    });
    process.stdout.write(drawNotes(timed.flatMap(({ cases }) => cases)));
    return { name, about, trials: timed };
  } finally {
    for (const trial of trials) trial.close?.();
  }
}

/** Returns a sentence that says what is wrong, or the options. */
function readOptions(args: readonly string[]): Options | string {
  const parsed = parse(args);
  if (typeof parsed === 'string') return parsed;
  const { values, positionals } = parsed;
  const subjects: Subject[] = [];
  for (const name of positionals) {
    const subject = SUBJECTS.find((each) => each.name === name);
    if (subject === undefined) {
      const names = SUBJECTS.map((each) => each.name);
      return `no subject is named "${name}"${didYouMean(name, names) || `; there are ${names.join(', ')}`}`;
    }
    if (!subjects.includes(subject)) subjects.push(subject);
  }
  const seconds = Number(values.seconds);
  if (!/^\d+(\.\d+)?$/.test(values.seconds) || seconds < 0.01 || seconds > 60) {
    return '--seconds needs a number from 0.01 to 60';
  }
  return {
    subjects: subjects.length > 0 ? subjects : SUBJECTS,
    seconds,
    json: values.json ?? null,
    list: values.list,
    help: values.help,
  };
}

/** Typed by inference; the values are checked above. */
function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        seconds: { type: 'string', default: '0.5' },
        json: { type: 'string' },
        list: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    });
  } catch (error) {
    return said(error);
  }
}

function said(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
