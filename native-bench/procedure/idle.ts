// What an idle connection weighs: resident memory of a fresh proxy that has seen a few requests, then again with all the
// connections open, each of which has had one answer and is silent. Fresh each time, since memory that was given out once
// is rarely given back, and a second round would find it there.

import { setTimeout as delay } from 'node:timers/promises';
import { memoryOf } from '../host/accounting.ts';
import { startCrowd } from '../load/crowd.ts';
import { runLoad } from '../load/run-load.ts';
import { isSecure } from '../peers/peer.ts';
import type { Round } from '../round.ts';
import type { Turn } from './procedure.ts';

/** Resident bytes per idle connection. Throws when the connections do not come up, and when the proxy closes them. */
export async function measureIdle(turn: Turn): Promise<Round> {
  const { scope, scenario, round, run } = turn;
  const running = await turn.startAnew();
  try {
    const pid = running.child.pid;
    const { connections } = scenario.load;
    const warmUp = { ...scenario.load, connections: Math.min(connections, WARM_CONNECTIONS) };
    // Slowly: what a hot warm-up leaves unused in a heap would be filled first, and weigh nothing.
    const slowly = { generator: 'own', ratePerSecond: WARM_PER_SECOND, seconds: 1 } as const;
    await runLoad(scope, warmUp, { ...run, ...slowly, port: running.port });
    await delay(START_SETTLE_MS);
    const before = memoryOf(pid);
    const secure = isSecure(scenario.setup);
    const crowd = await startCrowd(scope, { cores: run.cores, port: running.port, kind: 'idle', connections, secure });
    await delay(Math.max(run.seconds * 1000, SETTLE_MS));
    const after = memoryOf(pid);
    const { open, closed } = await crowd.close();
    if (open < connections) throw new Error(`closed ${closed} of ${connections} idle connections`);
    const idleBytes = (after.residentBytes - before.residentBytes) / connections;
    return {
      peer: running.peer.name,
      round,
      requests: connections,
      figures: { idleBytes, residentBytes: after.residentBytes, peakResidentBytes: after.peakBytes },
      latency: [],
      errors: { connect: 0, read: 0, write: 0, timeout: 0, status: 0 },
      marks: [],
    };
  } finally {
    await scope.stop(running.child);
  }
}

const WARM_CONNECTIONS = 8;
const WARM_PER_SECOND = 50;
const SETTLE_MS = 500;
/** Some make ready what they may need later, just behind their start. */
const START_SETTLE_MS = 2500;
