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

/** Endpoints of one priority. */
interface Level {
  readonly all: readonly Endpoint[];
  readonly well: readonly Endpoint[];
  /** Part of the load that those that are well can take, up to 1. */
  readonly able: number;
}

/** `now` is the monotonic clock. */
export function select(endpoints: readonly Endpoint[], options: SelectionOptions, now: number): Selection {
  const usable = endpoints.filter(({ standing }) => !standing.draining);
  // Backups come behind all others, whatever their priority.
  const tiers = [false, true].map((backup) =>
    levelsOf(usable.filter((endpoint) => (endpoint.options.backup ?? false) === backup)),
  );
  for (const levels of tiers) if (isEnough(levels, options.panic)) return spread(levels, options, now);
  const levels = tiers.flat();
  if (options.panic === 0 || levels.length === 0) return { candidates: [], panicking: false, ramping: false };
  // Most are said to be ill: either nothing helps any more, or whoever says so is wrong.
  const { all } = levels.find(({ well }) => well.length > 0) ?? levels[0]!;
  return { ...settle(all, all, options, now), panicking: true };
}

/** By priority, in order. */
function levelsOf(endpoints: readonly Endpoint[]): Level[] {
  const levels = new Map<number, Endpoint[]>();
  for (const endpoint of endpoints) {
    const { priority = 0 } = endpoint.options;
    const found = levels.get(priority);
    if (found === undefined) levels.set(priority, [endpoint]);
    else found.push(endpoint);
  }
  return [...levels]
    .sort(([a], [b]) => a - b)
    .map(([, all]) => {
      const well = all.filter(({ standing }) => standing.eligible);
      return { all, well, able: Math.min(1, (SPARE * weightOf(well)) / weightOf(all)) };
    });
}

/** Whether they can take the load together, or some level is well enough not to panic. */
function isEnough(levels: readonly Level[], panic: number): boolean {
  if (levels.reduce((sum, { able }) => sum + able, 0) >= 1) return true;
  return levels.some(({ all, well }) => well.length > 0 && well.length >= all.length * panic);
}

/** The first level has all that it can take, and the next the rest, as Envoy has it. */
function spread(levels: readonly Level[], options: SelectionOptions, now: number): Selection {
  const total = Math.min(
    1,
    levels.reduce((sum, { able }) => sum + able, 0),
  );
  let left = total;
  let ramping = false;
  const candidates: Candidate[] = [];
  for (const { all, well, able } of levels) {
    const part = Math.min(left, able);
    if (part <= 0) continue;
    const settled = settle(all, well, options, now);
    if (part === total) return settled;
    left -= part;
    ramping ||= settled.ramping;
    const whole = sumOf(settled.candidates);
    for (const { endpoint, weight } of settled.candidates) {
      candidates.push({ endpoint, weight: (weight * part) / (whole * total) });
    }
  }
  return { candidates, panicking: false, ramping };
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
  const whole = weightOf(level.filter(({ options }) => options.zone === zone));
  const nearWeight = sumOf(near);
  const share = Math.min(1, (SPARE * nearWeight) / whole);
  if (share === 1) return near;
  const farWeight = sumOf(candidates) - nearWeight;
  return candidates.map(({ endpoint, weight }) => ({
    endpoint,
    weight: endpoint.options.zone === zone ? (weight * share) / nearWeight : (weight * (1 - share)) / farWeight,
  }));
}

function weightOf(endpoints: readonly Endpoint[]): number {
  return endpoints.reduce((sum, { weight }) => sum + weight, 0);
}

function sumOf(candidates: readonly Candidate[]): number {
  return candidates.reduce((sum, { weight }) => sum + weight, 0);
}
