// A crowd of connections beside the load, in a process of its own: idle ones, to weigh them, or slow ones, to see whether
// others feel them.

import { setTimeout as delay } from 'node:timers/promises';
import { callProgram } from '../../lib/base/asset.ts';
import type { Child, Scope } from '../host/scope.ts';

/**
 * `idle`: each gets one answer to `GET /small` and is silent from then on. `drip`: every other one sends its request a
 * byte a second, the rest read the answer to `GET /1m` at a KiB a second; those that the proxy closes start over.
 */
export type CrowdKind = 'idle' | 'drip';

/** What a crowd is to be, and where it runs. */
export interface CrowdPlace {
  readonly cores: readonly number[];
  readonly port: number;
  readonly kind: CrowdKind;
  readonly connections: number;
  /** Behind TLS, which idle ones alone can be; left out for plain ones. */
  readonly secure?: boolean;
}

/** What the process is told on its command line. */
export interface CrowdSpec extends Omit<CrowdPlace, 'cores'> {
  readonly parentPid: number;
}

/** A crowd that is there. */
export interface Crowd {
  /** Sends it away. `open`: connections that were still there; `closed`: how often the proxy has closed one until then. */
  close(): Promise<{ open: number; closed: number }>;
}

/** Resolves when all connections are there. Throws, in one sentence, with how many were and why not all. */
export async function startCrowd(scope: Scope, { cores, ...rest }: CrowdPlace): Promise<Crowd> {
  const spec: CrowdSpec = { ...rest, parentPid: process.pid };
  const child = scope.start('crowd', { ...callProgram(PROGRAM, [JSON.stringify(spec)]), cores });
  while (child.running && lineOf(child, 'ready') === null) await delay(POLL_MS);
  if (lineOf(child, 'ready') === null) {
    await scope.stop(child);
    throw new Error(lineOf(child, 'failed') ?? `the crowd did not gather: ${child.stderr.trim() || 'it was ended'}`);
  }
  return { close: () => dismiss(scope, child) };
}

const PROGRAM = 'native-bench/load/crowd/main';
const POLL_MS = 20;

async function dismiss(scope: Scope, child: Child): Promise<{ open: number; closed: number }> {
  await scope.stop(child);
  const last = lineOf(child, 'left');
  if (last === null) throw new Error(`the crowd was lost: ${child.stderr.trim() || 'it was ended'}`);
  return JSON.parse(last) as { open: number; closed: number };
}

/** What stands behind `word` at the beginning of a line that the crowd printed. */
function lineOf({ stdout }: Child, word: string): string | null {
  const line = stdout.split('\n').find((one) => one.startsWith(`${word} `));
  return line?.slice(word.length + 1) ?? null;
}
