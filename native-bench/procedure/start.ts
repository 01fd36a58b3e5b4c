// How long a proxy takes from the start of its program until a client gets through, and what it weighs then: with one worker,
// and how much more with two; and how large its program is. Programs lie in the page cache by then, since each was started once before.

import { statSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { memoryOf } from '../host/accounting.ts';
import type { RunningPeer } from '../peers/peer.ts';
import type { Round } from '../round.ts';
import type { Turn } from './procedure.ts';

/** Throws when it does not start. */
export async function measureStart({ scope, running, round, startAnew }: Turn): Promise<Round> {
  const weigh = async (fresh: RunningPeer): Promise<number> => {
    await delay(SETTLE_MS);
    const { residentBytes } = memoryOf(fresh.child.pid);
    await scope.stop(fresh.child);
    return residentBytes;
  };
  const one = await startAnew(1);
  const startMicros = one.acceptedAfterMs * 1000;
  const programBytes = statSync(`/proc/${one.child.pid}/exe`).size;
  const residentBytes = await weigh(one);
  // Some have no workers of their own.
  const two = await startAnew(2).catch(() => null);
  const workerBytes = two === null ? null : Math.max((await weigh(two)) - residentBytes, 0);
  return {
    peer: running.peer.name,
    round,
    requests: 1,
    figures: { startMicros, residentBytes, programBytes, ...(workerBytes !== null && { workerBytes }) },
    latency: [],
    errors: { connect: 0, read: 0, write: 0, timeout: 0, status: 0 },
    marks: [],
  };
}

/** What is done just behind the start is over by then. */
const SETTLE_MS = 700;
