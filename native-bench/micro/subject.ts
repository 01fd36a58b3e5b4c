// What a micro-benchmark consists of: a subject with trials, each a piece of work that several cases do, ours and
// others'. How long they take is measured by timing.ts; this file only says what there is to measure.

import { isDeepStrictEqual } from 'node:util';

/** One way of doing the work of a trial. */
export interface Case {
  readonly name: string;
  /** Whether the code is Millrace's. The first case of a trial is, and it is what the others are compared with. */
  readonly ours: boolean;
  /** What it does less or more than the first; '' if nothing worth knowing. */
  readonly note: string;
  /** Operations in one call of `run`, at least 1. */
  readonly perRun: number;
  /** Does the work; the number depends on all of it, so that no compiler can leave any of it out. */
  run(): number;
  /** What the work comes to, in plain values that are the same for all cases of the trial. */
  answer(): unknown;
}

/** The work of a case, an operation at a time. */
export interface Work {
  /** The `i`th operation of a run; the number depends on what it did. */
  operate(i: number): number;
  answer(): unknown;
}

/** Millrace's own way, with `perRun` operations in a run. */
export function ours(perRun: number, { operate, answer }: Work): Case {
  return { name: 'millrace', ours: true, note: '', perRun, run: loopOver(operate, perRun), answer };
}

/** What it is compared with. */
export function theirs(perRun: number, name: string, note: string, work: Work): Case {
  return { ...ours(perRun, work), name, ours: false, note };
}

/** One piece of work, done in several ways. */
export interface Trial {
  readonly name: string;
  readonly cases: readonly Case[];
  /** Lets go of what outlives a run, such as timers. */
  close?(): void;
}

/** What one file is about. */
export interface Subject {
  readonly name: string;
  /** One sentence: what an operation is. */
  readonly about: string;
  /** Builds the trials; may take a second and much memory, hence not before they are wanted. */
  prepare(): Trial[];
}

/**
 * Why the cases of a trial cannot be compared, or '': one of them comes to another answer than the first. To be asked
 * before timing, since the fastest code of all is the wrong one.
 */
export function disagreement(trial: Trial): string {
  const [first, ...others] = trial.cases;
  if (first === undefined || !first.ours) return `${trial.name}: the first case is not ours`;
  const expected = first.answer();
  const odd = others.find((other) => !isDeepStrictEqual(other.answer(), expected));
  return odd === undefined ? '' : `${trial.name}: "${odd.name}" does not come to the same as "${first.name}"`;
}

/** Loops that have been made. */
let loops = 0;

/**
 * A run of `times` operations. Every case gets a loop of its own, from text that is not the same twice: closures of one
 * function share what the compiler learns in it, and a loop that knew of several operations would inline none of them
 * (a round-robin pick: 2.3 ns this way, 4.5 to 5.6 in a loop that all cases share).
 */
function loopOver(operate: Work['operate'], times: number): () => number {
  const text = `let sum = 0; for (let i = 0; i < times; i++) sum += operate(i); return sum; // ${loops++}`;
  const loop = new Function('operate', 'times', text) as (operate: Work['operate'], times: number) => number;
  return () => loop(operate, times);
}
