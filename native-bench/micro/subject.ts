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
  /**
   * Does the work; the number depends on all of it, so that no compiler can leave any of it out. Every case has a loop of
   * its own: one that several shared would be compiled for all of them, and none would be as quick as in real use.
   */
  run(): number;
  /** What the work comes to, in plain values that are the same for all cases of the trial. */
  answer(): unknown;
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
