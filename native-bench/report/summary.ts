// From the rounds of a scenario to the rows of its table: medians with spread, ratios round by round, targets judged, and
// what a reader must be told. Numbers and sentences only; the other files of this folder give them their form.

import { FIGURES, type FigureName } from '../figures.ts';
import { countErrors, LATENCY_SHARES, type LatencyPoint, latencyAt } from '../load/load.ts';
import type { Mark, Round } from '../round.ts';
import type { ScenarioResult } from '../run.ts';
import { type Scenario, SUBJECT, type Target } from '../scenario.ts';
import type { Row, ScenarioReport, Verdict } from './report.ts';
import { pairedRatios, type RoundValue, type Spread, spread } from './statistics.ts';

/** All that is to be told of a scenario that was measured. */
export function summarise(result: ScenarioResult): ScenarioReport {
  const rows = summariseRows(result);
  const verdicts = result.scenario.targets.map((target) => judge(result.rounds, target));
  return {
    ...outline(result.scenario),
    omitted: null,
    originPerSecond: result.originPerSecond,
    rows,
    verdicts,
    remarks: remarks(result, rows),
    rounds: result.rounds,
  };
}

/** The same of one that was not measured, with the reason. */
export function omit(scenario: Scenario, reason: string): ScenarioReport {
  const empty = { originPerSecond: null, rows: [], verdicts: [], remarks: [], rounds: [] };
  return { ...outline(scenario), omitted: reason, ...empty };
}

/** Whether `value` keeps within the bounds of `target`. */
export function withinTarget(target: Target, value: number): boolean {
  return value <= (target.atMost ?? Number.POSITIVE_INFINITY) && value >= (target.atLeast ?? Number.NEGATIVE_INFINITY);
}

/** Throughput above this share of what is possible without a proxy is not the proxy's own. */
const BOTTLENECK_SHARE = 0.9;
/** A proxy that kept its core less busy than this in a closed loop waited for others. */
const SATURATED_SHARE = 0.9;

const MEANING: Readonly<Record<Mark, string>> = {
  errors: 'had errors (marked !)',
  disturbed: "were disturbed by other work on the proxy's core (marked ~)",
  coarse: 'used too little CPU time for a resolution of one percent',
  unsent: 'could not send all that was due: every connection was busy, and latency is a lower bound',
  dropped: 'closed connections of slow clients, and so had fewer beside the quick ones for a while',
};

function outline({ name, title, headline, columns }: Scenario) {
  return { name, title, headline, columns };
}

function summariseRows({ scenario, rounds, originPerSecond }: ScenarioResult): Row[] {
  const peers = [...new Set(rounds.map((round) => round.peer))];
  const subject = valuesOf(rounds, SUBJECT, scenario.headline);
  return peers.map((peer) => {
    const own = rounds.filter((round) => round.peer === peer);
    const figures: { [Name in FigureName]?: Spread } = {};
    for (const name of Object.keys(FIGURES) as FigureName[]) {
      const over = spread(own.map((round) => round.figures[name] ?? Number.NaN));
      if (over !== null) figures[name] = over;
    }
    const perSecond = figures.requestsPerSecond?.median;
    return {
      peer,
      rounds: own.length,
      figures,
      errors: own.reduce((sum, round) => sum + countErrors(round.errors), 0),
      marks: countMarks(own),
      ratio: peer === SUBJECT ? null : spread(pairedRatios(subject, valuesOf(rounds, peer, scenario.headline))),
      originShare: perSecond === undefined || originPerSecond === null ? null : perSecond / originPerSecond,
      latency: medianLatency(own),
    };
  });
}

function judge(rounds: readonly Round[], target: Target): Verdict {
  const own = valuesOf(rounds, SUBJECT, target.figure);
  const values =
    target.peer === null
      ? own.map(({ value }) => value)
      : pairedRatios(own, valuesOf(rounds, target.peer, target.figure));
  const value = spread(values);
  return { target, value, reached: value === null ? null : withinTarget(target, value.median) };
}

function remarks(result: ScenarioResult, rows: readonly Row[]): string[] {
  const lines = result.skipped.map(({ peer, reason }) => `Without ${peer}: ${reason}.`);
  lines.push(...result.notes);
  for (const [peer, missing] of result.unequal) {
    lines.push(`${peer} does not add ${missing.join(', ')}: it does less work than the others.`);
  }
  // At a given rate nobody is meant to be at a limit.
  const given = rows.some(({ figures }) => figures.offeredPerSecond !== undefined);
  if (result.scenario.procedure === 'load' && !given) lines.push(...bottlenecks(rows));
  for (const row of rows) {
    for (const [mark, count] of Object.entries(row.marks)) {
      lines.push(`${row.peer}: ${count} of ${row.rounds} rounds ${MEANING[mark as Mark]}.`);
    }
  }
  return lines;
}

/** Peers whose throughput and latency say more of the origin and the load generator than of themselves. */
function bottlenecks(rows: readonly Row[]): string[] {
  const lines: string[] = [];
  const waiting: string[] = [];
  for (const { peer, originShare, figures } of rows) {
    const busy = figures.proxyShare?.median ?? 1;
    if (originShare !== null && originShare > BOTTLENECK_SHARE) {
      lines.push(
        `${peer} reached ${Math.round(originShare * 100)} % of the throughput that origin and load generator have without a proxy: its requests/s and latency show their limit, not its own; its CPU figures hold.`,
      );
    } else if (busy < SATURATED_SHARE) waiting.push(`${peer} (${Math.round(busy * 100)} %)`);
  }
  if (waiting.length > 0) {
    lines.push(
      `Not at its limit: ${waiting.join(', ')} of its core busy: origin, load generator or something else than its own CPU time held it back. Compare CPU, not requests/s.`,
    );
  }
  return lines;
}

function valuesOf(rounds: readonly Round[], peer: string, figure: FigureName): RoundValue[] {
  return rounds
    .filter((one) => one.peer === peer)
    .map(({ round, figures }) => ({ round, value: figures[figure] ?? Number.NaN }));
}

function medianLatency(rounds: readonly Round[]): LatencyPoint[] {
  const points: LatencyPoint[] = [];
  for (const share of LATENCY_SHARES) {
    const over = spread(rounds.map(({ latency }) => latencyAt(latency, share)));
    if (over !== null) points.push({ share, micros: over.median });
  }
  return points;
}

function countMarks(rounds: readonly Round[]): { [Name in Mark]?: number } {
  const counts: { [Name in Mark]?: number } = {};
  for (const mark of rounds.flatMap((round) => round.marks)) counts[mark] = (counts[mark] ?? 0) + 1;
  return counts;
}
