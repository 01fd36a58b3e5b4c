// Timing the cases of a trial with tinybench: in rounds, all cases taking turns in each, so that what slows the machine
// for a while slows them all. What is timed and how it is shown is left to others.

import { Bench } from 'tinybench';
import { pairedRatios, type RoundValue, type Spread, spread } from '../report/statistics.ts';
import { type Case, disagreement, type Trial } from './subject.ts';

/** Rounds of a trial; the spread is over these. */
const ROUNDS = 7;

/** What a case took. */
export interface Timing {
  readonly name: string;
  readonly ours: boolean;
  readonly note: string;
  /** Nanoseconds per operation. */
  readonly nanoseconds: Spread;
  /** Its time divided by that of the trial's first case, round by round; null for that one. */
  readonly ratio: Spread | null;
}

/**
 * Times every case for about `seconds` in all, after a warm-up of a fifth of that. Blocks the loop. Throws when the cases
 * do not come to the same.
 */
export function timeTrial(trial: Trial, seconds: number): Timing[] {
  const fault = disagreement(trial);
  if (fault !== '') throw new Error(fault);
  const values = trial.cases.map((): RoundValue[] => []);
  for (const each of trial.cases) timeOnce(each, seconds / 5);
  for (let round = 0; round < ROUNDS; round++) {
    trial.cases.forEach((each, place) => {
      values[place]!.push({ round, value: timeOnce(each, seconds / ROUNDS) });
    });
  }
  return trial.cases.map(({ name, ours, note }, place) => ({
    name,
    ours,
    note,
    nanoseconds: spread(values[place]!.map(({ value }) => value))!,
    ratio: place === 0 ? null : spread(pairedRatios(values[place]!, values[0]!)),
  }));
}

/** What the runs came to; kept where any compiler must expect it to be read. */
export const consumed = { sum: 0 };

/**
 * Nanoseconds per operation. The mean of all runs rather than their median, which would leave out the few that the
 * garbage collector interrupts: what it takes belongs to the case that made the garbage.
 */
function timeOnce(each: Case, seconds: number): number {
  const bench = new Bench({ time: seconds * 1000, iterations: 2, warmup: false, throws: true });
  bench.add(each.name, () => {
    consumed.sum += each.run();
  });
  const [task] = bench.runSync();
  if (task === undefined || !('latency' in task.result)) throw new Error(`${each.name} was not measured`);
  if (!Number.isFinite(consumed.sum)) throw new Error(`${each.name} comes to no number`);
  return (task.result.latency.mean * 1e6) / each.perRun;
}
