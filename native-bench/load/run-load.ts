// Chooses who puts a load on and hands it over. How each generator works stands in its own file.

import { findProgram } from '../host/machine.ts';
import type { Scope } from '../host/scope.ts';
import { h2loadObjection, runH2load } from './h2load.ts';
import type { GeneratorName, Load, LoadResult, LoadRun } from './load.ts';
import { ownObjection, runOwn } from './own.ts';
import { runWrk, wrkObjection } from './wrk.ts';

/** Paths of the generators that are not ours; null for those that the machine does not have. */
export interface Installed {
  readonly wrk: string | null;
  readonly h2load: string | null;
}

/**
 * Runs the load to its end. Throws when the run's generator is not installed or cannot put on such a load, and with what
 * it said when it gave no result.
 */
export async function runLoad(scope: Scope, load: Load, run: LoadRun): Promise<LoadResult> {
  if (run.generator === 'own') return runOwn(scope, load, run);
  const program = findProgram(run.generator);
  const chosen = chooseGenerator(load, run.ratePerSecond, { ...NONE, [run.generator]: program }, run.generator);
  if (typeof chosen === 'object') throw new Error(chosen.missing);
  return chosen === 'wrk' ? runWrk(scope, program!, load, run) : runH2load(scope, program!, load, run);
}

/**
 * The generator to use: the wished one if it can, else wrk where it is installed and can, else our own, else h2load.
 * `missing` says in one sentence why a wish cannot be met, or that nothing here can put the load on.
 */
export function chooseGenerator(
  load: Load,
  ratePerSecond: number | null,
  installed: Installed,
  wished: GeneratorName | null,
): GeneratorName | { readonly missing: string } {
  const ours = ownObjection(load);
  if (wished === null) {
    const able = installed.wrk !== null && objection('wrk', load, ratePerSecond) === null;
    if (able) return 'wrk';
    return ours === null ? 'own' : chooseGenerator(load, ratePerSecond, installed, 'h2load');
  }
  if (wished === 'own') return ours === null ? 'own' : { missing: `our own generator cannot ${ours}; h2load can` };
  const cannot = objection(wished, load, ratePerSecond);
  if (cannot !== null) {
    const instead = ours === null ? '; our own generator can' : `, and our own generator cannot ${ours}`;
    return { missing: `${wished} cannot ${cannot}${instead}` };
  }
  if (installed[wished] === null) {
    return { missing: `${wished} is not installed; Debian's package ${PACKAGES[wished]} brings it` };
  }
  return wished;
}

const NONE: Installed = { wrk: null, h2load: null };
const PACKAGES = { wrk: 'wrk', h2load: 'nghttp2-client' } as const;

/** What of the load is beyond the generator, as in "wrk cannot ..."; null when nothing is. */
function objection(name: 'wrk' | 'h2load', load: Load, ratePerSecond: number | null): string | null {
  if (load.kind !== 'http') return 'speak WebSocket';
  if (ratePerSecond !== null) return 'keep to a constant rate';
  return name === 'wrk' ? wrkObjection(load) : h2loadObjection(load);
}
