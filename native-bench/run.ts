// Walks through one scenario: origin and peers up, a look at each, warm-up, rounds in turn, everything down again. A
// peer that cannot take part is left out with the reason; the others go on.

import { type LoadRun, runLoad } from './load.ts';
import type { Cores } from './machine.ts';
import { measureRound, type Round } from './measure.ts';
import { startOrigin } from './origin/origin.ts';
import { lastWords, type Peer, type RunningPeer, startPeer } from './peer.ts';
import { probeHeaders, probeReply } from './probe.ts';
import type { Scenario } from './scenario.ts';
import { closeOnSignals, type Launcher, Scope } from './scope.ts';

/** How long and how often, in whole seconds. */
export interface Plan {
  readonly rounds: number;
  readonly seconds: number;
  readonly warmUpSeconds: number;
}

/** What a run measures with. `pinned` is false on machines without taskset. */
export interface Bench {
  readonly wrk: string;
  readonly launcher: Launcher;
  readonly cores: Cores;
  readonly pinned: boolean;
  readonly plan: Plan;
  /** Told about each step, one line at a time. */
  readonly progress: (line: string) => void;
}

export interface ScenarioResult {
  readonly scenario: Scenario;
  /** What the load generator reaches without any proxy; null when that could not be measured. */
  readonly originPerSecond: number | null;
  readonly rounds: readonly Round[];
  /** Peers that were left out or fell out, with the reason. */
  readonly skipped: readonly Skip[];
  /** Forwarding headers that a layer 7 peer does not add, by peer. */
  readonly unequal: ReadonlyMap<string, readonly string[]>;
}

export interface Skip {
  readonly peer: string;
  readonly reason: string;
}

/** Runs one scenario with `peers`. Throws when the origin does not start; stops all that it started in any case. */
export async function runScenario(bench: Bench, scenario: Scenario, peers: readonly Peer[]): Promise<ScenarioResult> {
  const scope = new Scope(bench.launcher);
  const removeHandlers = closeOnSignals(scope);
  try {
    const originPort = await startOrigin(scope, bench.cores.origin);
    const originPerSecond = await measureOrigin(scope, bench, scenario, originPort);
    const skipped: Skip[] = [];
    const unequal = new Map<string, readonly string[]>();
    const running = await startPeers(scope, bench, { scenario, peers, originPort, skipped, unequal });
    const rounds = await takeTurns(scope, bench, { scenario, running, skipped });
    return { scenario, originPerSecond, rounds, skipped, unequal };
  } catch (error) {
    // A signal ends the load in its middle. The handler exits when all is stopped: no error is to be told meanwhile.
    if (scope.closed) await new Promise(() => {});
    throw error;
  } finally {
    await scope.close();
    removeHandlers();
  }
}

interface Walk {
  readonly scenario: Scenario;
  readonly skipped: Skip[];
}

async function measureOrigin(scope: Scope, bench: Bench, scenario: Scenario, port: number): Promise<number | null> {
  const seconds = Math.min(bench.plan.seconds, ORIGIN_SECONDS);
  const { requests, seconds: took } = await runLoad(scope, scenario.load, { ...loadRun(bench), seconds, port });
  const perSecond = requests / took;
  bench.progress(`${scenario.name}: origin without a proxy ${Math.round(perSecond)} requests/s`);
  return perSecond > 0 ? perSecond : null;
}

async function startPeers(
  scope: Scope,
  bench: Bench,
  walk: Walk & {
    readonly peers: readonly Peer[];
    readonly originPort: number;
    readonly unequal: Map<string, readonly string[]>;
  },
): Promise<RunningPeer[]> {
  const { scenario, originPort } = walk;
  const ready: RunningPeer[] = [];
  for (const peer of walk.peers) {
    try {
      const located = peer.locate();
      if ('missing' in located) throw new Error(located.missing);
      const place = { protocol: scenario.protocol, originPort, cores: bench.cores.proxy };
      const running = await startPeer(scope, peer, place);
      try {
        await probeReply(running.port, scenario);
        if (scenario.protocol === 'http') {
          const missing = await probeHeaders(running.port);
          if (missing.length > 0) walk.unequal.set(peer.name, missing);
        }
        const seconds = bench.plan.warmUpSeconds;
        await runLoad(scope, scenario.load, { ...loadRun(bench), seconds, port: running.port });
        assertRunning(running);
      } catch (error) {
        await scope.stop(running.child);
        throw error;
      }
      ready.push(running);
    } catch (error) {
      if (scope.closed) throw error;
      skip(bench, walk, peer.name, error);
    }
  }
  return ready;
}

/** A B C, A B C, ...: whatever else the machine does in some seconds meets all peers alike. */
async function takeTurns(
  scope: Scope,
  bench: Bench,
  walk: Walk & { readonly running: RunningPeer[] },
): Promise<Round[]> {
  const { scenario, running } = walk;
  const rounds: Round[] = [];
  const proxyCores = bench.pinned ? bench.cores.proxy : [];
  for (let round = 1; round <= bench.plan.rounds; round++) {
    for (const peer of [...running]) {
      try {
        const work = { round, load: scenario.load, run: loadRun(bench) };
        const taken = await measureRound(scope, peer, work, proxyCores);
        assertRunning(peer);
        rounds.push(taken);
        bench.progress(`${scenario.name} ${round}/${bench.plan.rounds} ${describeRound(taken)}`);
      } catch (error) {
        if (scope.closed) throw error;
        skip(bench, walk, peer.peer.name, error);
        running.splice(running.indexOf(peer), 1);
        await scope.stop(peer.child);
      }
    }
  }
  return rounds;
}

const ORIGIN_SECONDS = 2;

function loadRun(bench: Bench): Omit<LoadRun, 'port'> {
  return { wrk: bench.wrk, cores: bench.cores.load, seconds: bench.plan.seconds };
}

function assertRunning({ child }: RunningPeer): void {
  if (!child.running) throw new Error(`ended under load: ${lastWords(child)}`, { cause: child.stderr.trim() });
}

function skip(bench: Bench, walk: Walk, peer: string, error: unknown): void {
  const reason = error instanceof Error ? error.message : String(error);
  walk.skipped.push({ peer, reason });
  bench.progress(`${walk.scenario.name}: without ${peer}: ${reason}`);
  if (error instanceof Error && typeof error.cause === 'string' && error.cause !== '') bench.progress(error.cause);
}

function describeRound(round: Round): string {
  const marks = round.marks.length > 0 ? ` (${round.marks.join(', ')})` : '';
  return `${round.peer} ${round.cpuMicros.toFixed(1)} µs, ${Math.round(round.requestsPerSecond)} requests/s${marks}`;
}
