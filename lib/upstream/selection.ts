// Which endpoints may be chosen at this moment, and with what weight: standing, backups, priorities, zones, slow start and
// panic. A function of what is known; when it is asked is the cluster's business.

import type { Endpoint } from './endpoint.ts';
import type { ClusterOptions } from './options.ts';
import type { Candidate } from './picker.ts';

export type SelectionOptions = Pick<ClusterOptions, 'panic' | 'zone' | 'slowStartMs'>;

export interface Selection {
  readonly candidates: readonly Candidate[];
  /** Too few are well, so all are used. */
  readonly panicking: boolean;
  /** Some are on their way to their whole share, so it will be another soon. */
  readonly ramping: boolean;
}

/** Part of its weight that an endpoint begins with. */
const RAMP_FROM = 0.1;
/** Endpoints can take this much more than their share before others must help, as Envoy has it. */
const SPARE = 1.4;

/** `now` is the monotonic clock. */
export function select(endpoints: readonly Endpoint[], options: SelectionOptions, now: number): Selection {
  const levels = levelsOf(endpoints.filter(({ standing }) => !standing.draining));
  let fewest: readonly Endpoint[] | null = null;
  for (const level of levels) {
    const well = level.filter(({ standing }) => standing.eligible);
    if (well.length > 0 && well.length >= level.length * options.panic) return settle(level, well, options, now);
    if (well.length > 0) fewest ??= level;
  }
  if (options.panic === 0 || levels.length === 0) return { candidates: [], panicking: false, ramping: false };
  // Most are said to be ill: either nothing helps any more, or whoever says so is wrong.
  const all = fewest ?? levels[0]!;
  return { ...settle(all, all, options, now), panicking: true };
}

/** Those of one priority together, in order; backups behind all others. */
function levelsOf(endpoints: readonly Endpoint[]): Endpoint[][] {
  const levels = new Map<number, Endpoint[]>();
  for (const endpoint of endpoints) {
    const { backup = false, priority = 0 } = endpoint.options;
    const level = priority + (backup ? 1000 : 0);
    const found = levels.get(level);
    if (found === undefined) levels.set(level, [endpoint]);
    else found.push(endpoint);
  }
  return [...levels].sort(([a], [b]) => a - b).map(([, level]) => level);
}

/** Weights within a level: those in our zone first, as far as they can take it. */
function settle(
  level: readonly Endpoint[],
  well: readonly Endpoint[],
  options: SelectionOptions,
  now: number,
): Selection {
  let ramping = false;
  const candidates = well.map((endpoint) => {
    const ramp = rampOf(endpoint, options.slowStartMs, now);
    ramping ||= ramp < 1;
    return { endpoint, weight: endpoint.weight * ramp };
  });
  return { candidates: preferZone(level, candidates, options.zone), panicking: false, ramping };
}

function rampOf({ standing }: Endpoint, slowStartMs: number, now: number): number {
  if (standing.rampFromMs === 0 || slowStartMs === 0) return 1;
  const part = (now - standing.rampFromMs) / slowStartMs;
  return part >= 1 ? 1 : RAMP_FROM + (1 - RAMP_FROM) * Math.max(part, 0);
}

function preferZone(level: readonly Endpoint[], candidates: readonly Candidate[], zone: string): readonly Candidate[] {
  if (zone === '') return candidates;
  const near = candidates.filter(({ endpoint }) => endpoint.options.zone === zone);
  if (near.length === 0 || near.length === candidates.length) return candidates;
  const whole = level.filter(({ options }) => options.zone === zone).reduce((sum, { weight }) => sum + weight, 0);
  const nearWeight = sumOf(near);
  const share = Math.min(1, (SPARE * nearWeight) / whole);
  if (share === 1) return near;
  const farWeight = sumOf(candidates) - nearWeight;
  return candidates.map(({ endpoint, weight }) => ({
    endpoint,
    weight: endpoint.options.zone === zone ? (weight * share) / nearWeight : (weight * (1 - share)) / farWeight,
  }));
}

function sumOf(candidates: readonly Candidate[]): number {
  return candidates.reduce((sum, { weight }) => sum + weight, 0);
}
