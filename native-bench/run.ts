// Walks through one scenario: origin and peers up, a look at each, warm-up, rounds in turn, everything down again. A
// peer that cannot take part is left out with the reason; the others go on.

import { FIGURES } from './figures.ts';
import { type Cores, describeCores } from './host/machine.ts';
import { type Launcher, Scope } from './host/scope.ts';
import type { GeneratorName, LoadRun } from './load/load.ts';
import { chooseGenerator, runLoad } from './load/run-load.ts';
import { INSPECT_PATH } from './origin/content.ts';
import { startOrigin, startSecureOrigin } from './origin/origin.ts';
import { isSecure, lastWords, locate, type Peer, type RunningPeer, startPeer } from './peers/peer.ts';
import { probeHandshakes, probeHeaders, probeReply } from './probe.ts';
import { measureRound } from './procedure/procedure.ts';
import type { Round } from './round.ts';
import type { ProcedureName, Scenario } from './scenario.ts';

/** How long and how often, in whole seconds. */
export interface Plan {
  readonly rounds: number;
  readonly seconds: number;
  readonly warmUpSeconds: number;
}

/** Where a run tells how far it is. */
export interface Listener {
  /** A round begins. */
  step(scenario: string, peer: string, round: number, rounds: number): void;
  /** Something to be read, now or later. */
  line(text: string): void;
}

/** What a run measures with. `pinned` is false on machines without taskset. */
export interface Bench {
  readonly installed: { readonly wrk: string | null; readonly h2load: string | null };
  /** The generator that was asked for; null for the best that there is. */
  readonly generator: GeneratorName | null;
  readonly launcher: Launcher;
  readonly cores: Cores;
  readonly pinned: boolean;
  readonly plan: Plan;
  readonly workers: number;
  /** Requests a second of an open loop; null for closed loops, or for the scenario's own pace. */
  readonly ratePerSecond: number | null;
  readonly progress: Listener;
}

export interface ScenarioResult {
  readonly scenario: Scenario;
  /** What the load generator reaches without any proxy; null when that could not be measured. */
  readonly originPerSecond: number | null;
  readonly rounds: readonly Round[];
  /** Peers that were left out or fell out, with the reason. */
  readonly skipped: readonly Skip[];
  /** What is particular to this run, a sentence each. */
  readonly notes: readonly string[];
  /** Forwarding headers that a layer 7 peer does not add, by peer. */
  readonly unequal: ReadonlyMap<string, readonly string[]>;
}

export interface Skip {
  readonly peer: string;
  readonly reason: string;
  /** It is there and went wrong, while others are merely not installed. */
  readonly failed: boolean;
}

/** Runs one scenario with `peers`. Throws when the origin does not start; stops all that it started in any case. */
export async function runScenario(bench: Bench, scenario: Scenario, peers: readonly Peer[]): Promise<ScenarioResult> {
  const scope = new Scope(bench.launcher);
  try {
    const walk = await prepare(scope, bench, scenario);
    const originPerSecond = await measureOrigin(walk);
    const running = await startPeers(walk, peers);
    const rounds = await takeTurns(walk, running);
    const { skipped, notes, unequal } = walk;
    return { scenario, originPerSecond, rounds, skipped, notes, unequal };
  } catch (error) {
    // A signal ends the load in its middle. The handler exits when all is stopped: no error is to be told meanwhile.
    if (scope.closed) await new Promise(() => {});
    throw error;
  } finally {
    await scope.close();
  }
}

/** What one scenario runs on, and what is found on the way. */
interface Walk {
  readonly scope: Scope;
  readonly bench: Bench;
  readonly scenario: Scenario;
  readonly cores: Cores;
  readonly originPort: number;
  readonly run: Omit<LoadRun, 'port'>;
  readonly skipped: Skip[];
  readonly notes: string[];
  readonly unequal: Map<string, readonly string[]>;
}

/** Peers and origin stand ready to be measured with this. */
async function prepare(scope: Scope, bench: Bench, scenario: Scenario): Promise<Walk> {
  const cores = coresFor(bench, scenario);
  const wished = OPEN.includes(scenario.procedure) ? 'own' : bench.generator;
  const generator = chooseGenerator(scenario.load, bench.ratePerSecond, bench.installed, wished);
  if (typeof generator !== 'string') throw new Error(generator.missing);
  const kind = scenario.load.kind === 'websocket' ? 'websocket' : 'plain';
  const origin = await startOrigin(scope, { cores: cores.origin, kind });
  const notes = [`Load by ${GENERATORS[generator]}; origin: ${origin.version}.`];
  if (cores !== bench.cores) notes.push(`Cores: ${describeCores(cores)}.`);
  const rated = scenario.procedure === 'load' || scenario.procedure === 'slow-clients';
  const ratePerSecond = rated ? bench.ratePerSecond : null;
  if (ratePerSecond !== null) notes.push(`Open loop: ${ratePerSecond} requests/s whatever the proxy does.`);
  const { seconds } = bench.plan;
  const run = { generator, cores: cores.load, seconds, ratePerSecond };
  const found = { skipped: [], notes, unequal: new Map() };
  return { scope, bench, scenario, cores, originPort: origin.port, run, ...found };
}

/**
 * An open loop keeps the generator's core busy all the time: an origin beside it would be waited for, and be at its limit
 * before the proxy is. There it shares the proxy's core where there are only two.
 */
function coresFor({ cores, ratePerSecond }: Bench, scenario: Scenario): Cores {
  if (scenario.procedure === 'workers') return shareCores(cores);
  const shared = cores.origin.join() === cores.load.join() && cores.proxy.join() !== cores.load.join();
  const open = OPEN.includes(scenario.procedure) || ratePerSecond !== null;
  return open && shared ? { ...cores, origin: cores.proxy } : cores;
}

/** Everything runs on all of them: there may be only two, and two workers need both. */
function shareCores({ proxy, origin, load }: Cores): Cores {
  const all = [...new Set([...proxy, ...origin, ...load])];
  return { proxy: all, origin: all, load: all, threaded: false };
}

async function measureOrigin(walk: Walk): Promise<number | null> {
  const { scope, bench, scenario, originPort, run } = walk;
  // The others do not ask for all that the origin can do.
  if (scenario.procedure !== 'load' || run.ratePerSecond !== null) return null;
  const seconds = Math.min(run.seconds, ORIGIN_SECONDS);
  bench.progress.step(scenario.name, 'no proxy', 0, bench.plan.rounds);
  const { setup } = scenario;
  // Encrypting is the proxy's work. Where there is none, a server does it in its place, on its cores: if the load
  // generator is the limit there, it is so with a proxy.
  const secure = isSecure(setup) ? await startSecureOrigin(scope, walk.cores.proxy, setup) : null;
  if (isSecure(setup) && secure === null) return null;
  const result = await runLoad(scope, scenario.load, { ...run, seconds, port: secure?.port ?? originPort });
  if (secure !== null) await scope.stop(secure.child);
  const perSecond = result.requests / result.seconds;
  bench.progress.line(`${scenario.name}: origin without a proxy ${Math.round(perSecond)} requests/s`);
  return perSecond > 0 ? perSecond : null;
}

async function startPeers(walk: Walk, peers: readonly Peer[]): Promise<RunningPeer[]> {
  const { scope, bench, scenario } = walk;
  const ready: RunningPeer[] = [];
  for (const peer of peers) {
    bench.progress.step(scenario.name, peer.name, 0, bench.plan.rounds);
    const located = locate(peer);
    if ('missing' in located) {
      skip(walk, { peer: peer.name, reason: located.missing, failed: located.broken ?? false });
      continue;
    }
    try {
      const running = await start(walk, peer);
      try {
        const { setup } = scenario;
        if (isSecure(setup)) await probeHandshakes(running.port, setup);
        await probeReply(running.port, scenario);
        if (setup === 'http' || setup === 'http-routes' || isSecure(setup)) {
          const path = setup === 'http-routes' ? `/service-0${INSPECT_PATH}` : INSPECT_PATH;
          const missing = await probeHeaders(running.port, path, setup);
          if (missing.length > 0) walk.unequal.set(peer.name, missing);
        }
        if (!UNWARMED.includes(scenario.procedure)) await warmUp(walk, running.port);
        assertRunning(running);
      } catch (error) {
        await scope.stop(running.child);
        throw error;
      }
      ready.push(running);
    } catch (error) {
      if (scope.closed) throw error;
      fail(walk, peer.name, error);
    }
  }
  return ready;
}

/** Flat out whatever the scenario's own pace, so that what is compiled late is compiled. */
async function warmUp({ scope, bench, scenario, run }: Walk, port: number): Promise<void> {
  await runLoad(scope, scenario.load, { ...run, ratePerSecond: null, seconds: bench.plan.warmUpSeconds, port });
}

function start(
  { scope, bench, scenario, cores, originPort }: Walk,
  peer: Peer,
  workers = bench.workers,
): Promise<RunningPeer> {
  return startPeer(scope, peer, { setup: scenario.setup, originPort, workers, cores: cores.proxy });
}

/** A B C, A B C, ...: whatever else the machine does in some seconds meets all peers alike. */
async function takeTurns(walk: Walk, running: RunningPeer[]): Promise<Round[]> {
  const { scope, bench, scenario, cores, run } = walk;
  const { rounds } = bench.plan;
  const taken: Round[] = [];
  const alone = bench.pinned && cores.origin.join() !== cores.proxy.join();
  for (let round = 1; round <= rounds; round++) {
    for (const peer of [...running]) {
      bench.progress.step(scenario.name, peer.peer.name, round, rounds);
      try {
        const proxyCores = alone ? cores.proxy : [];
        const startAnew = (workers?: number): Promise<RunningPeer> => start(walk, peer.peer, workers);
        const { warmUpSeconds } = bench.plan;
        const turn = { scope, scenario, running: peer, round, run, warmUpSeconds, proxyCores, startAnew };
        const one = await measureRound(turn);
        assertRunning(peer);
        taken.push(one);
        bench.progress.line(`${scenario.name} ${round}/${rounds} ${describeRound(one, scenario)}`);
      } catch (error) {
        if (scope.closed) throw error;
        fail(walk, peer.peer.name, error);
        running.splice(running.indexOf(peer), 1);
        await scope.stop(peer.child);
      }
    }
  }
  return taken;
}

/** Procedures with an open loop of their own, which only our own generator can drive. */
const OPEN: readonly ProcedureName[] = ['slow-clients', 'overload'];
/** Procedures that start peers of their own. */
const UNWARMED: readonly ProcedureName[] = ['idle', 'start', 'workers'];
const ORIGIN_SECONDS = 2;

const GENERATORS: Readonly<Record<GeneratorName, string>> = {
  wrk: 'wrk',
  h2load: 'h2load',
  own: 'the generator that comes with Millrace',
};

function assertRunning({ child }: RunningPeer): void {
  if (!child.running) throw new Error(`ended under load: ${lastWords(child)}`, { cause: child.stderr.trim() });
}

/** A peer that went wrong is shown with all that it said; one that is not there only with what brings it. */
function fail(walk: Walk, peer: string, error: unknown): void {
  const reason = error instanceof Error ? error.message : String(error);
  skip(walk, { peer, reason, failed: true });
  const said = error instanceof Error && typeof error.cause === 'string' ? error.cause : '';
  if (said !== '') walk.bench.progress.line(said);
}

function skip({ bench, scenario, skipped }: Walk, one: Skip): void {
  skipped.push(one);
  bench.progress.line(`${scenario.name}: without ${one.peer}: ${one.reason}`);
}

function describeRound(round: Round, scenario: Scenario): string {
  const { heading, scale, decimals } = FIGURES[scenario.headline];
  const value = round.figures[scenario.headline];
  const shown = value === undefined ? '-' : (value * scale).toFixed(decimals);
  const marks = round.marks.length > 0 ? ` (${round.marks.join(', ')})` : '';
  return `${round.peer}: ${heading} ${shown}${marks}`;
}
