// One round against one peer, taken as its scenario asks for. The procedures stand in files of their own; this one names
// them.

import type { Scope } from '../host/scope.ts';
import type { LoadRun } from '../load/load.ts';
import type { RunningPeer } from '../peers/peer.ts';
import type { Round } from '../round.ts';
import type { ProcedureName, Scenario } from '../scenario.ts';
import { measureIdle } from './idle.ts';
import { measureLoad } from './load.ts';
import { measureOverload } from './overload.ts';
import { measureSlowClients } from './slow-clients.ts';
import { measureStart } from './start.ts';
import { measureWorkers, secondsOfWorkers } from './workers.ts';

/** All that a round needs. */
export interface Turn {
  readonly scope: Scope;
  readonly scenario: Scenario;
  readonly running: RunningPeer;
  readonly round: number;
  /** How the scenario's load is put on, but for the port. */
  readonly run: Omit<LoadRun, 'port'>;
  /** How long the peer was warmed up, for a procedure that starts others. */
  readonly warmUpSeconds: number;
  /** Cores that the proxy has to itself; empty when it shares them or is not pinned. */
  readonly proxyCores: readonly number[];
  /** Starts the same peer once more, for a procedure that needs one without a past; with the run's `workers` by default. */
  readonly startAnew: (workers?: number) => Promise<RunningPeer>;
}

/** Takes one round. Throws when no load could be put on. */
export function measureRound(turn: Turn): Promise<Round> {
  return PROCEDURES[turn.scenario.procedure](turn);
}

/** About how many seconds a round takes, for the time left. */
export function secondsOfRound(procedure: ProcedureName, seconds: number): number {
  if (procedure === 'workers') return secondsOfWorkers(seconds);
  return procedure === 'slow-clients' || procedure === 'overload' ? seconds * 2 + 3 : seconds + OVERHEAD_SECONDS;
}

const OVERHEAD_SECONDS = 0.4;

const PROCEDURES: Readonly<Record<ProcedureName, (turn: Turn) => Promise<Round>>> = {
  load: measureLoad,
  idle: measureIdle,
  'slow-clients': measureSlowClients,
  overload: measureOverload,
  start: measureStart,
  workers: measureWorkers,
};
