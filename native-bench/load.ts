// The load generator: drives wrk against one address and reads what it found. Closed loop: a connection sends its next
// request when the last was answered, so latency here is queueing in the proxy and must not be read as an open-loop figure.

import { join } from 'node:path';
import type { Scope } from './scope.ts';

/** One script in wrk/, told apart by what it sends. */
export type LoadScript = 'keep-alive' | 'post-1m' | 'connection-close';

export interface Load {
  readonly script: LoadScript;
  readonly path: string;
  readonly connections: number;
}

/** Where the generator runs and for how long: whole seconds, as wrk knows no others. */
export interface LoadRun {
  readonly wrk: string;
  readonly cores: readonly number[];
  readonly port: number;
  readonly seconds: number;
}

/** Requests that went wrong, by how: sockets (connect, read, write), no answer in time, or an answer above 399. */
export interface LoadErrors {
  readonly connect: number;
  readonly read: number;
  readonly write: number;
  readonly timeout: number;
  readonly status: number;
}

export interface LoadResult {
  readonly requests: number;
  readonly bytes: number;
  readonly seconds: number;
  readonly p50Micros: number;
  readonly p99Micros: number;
  readonly errors: LoadErrors;
}

/** Runs the load to its end. Throws with what wrk said when it gave no result. */
export async function runLoad(scope: Scope, load: Load, run: LoadRun): Promise<LoadResult> {
  const threads = Math.min(Math.max(run.cores.length, 1), load.connections);
  const child = scope.start('wrk', {
    command: run.wrk,
    args: [
      ...['-t', String(threads), '-c', String(load.connections), '-d', `${run.seconds}s`, '--latency'],
      ...['-s', join(SCRIPTS, `${load.script}.lua`), `http://127.0.0.1:${run.port}${load.path}`],
    ],
    cores: run.cores,
    env: { LUA_PATH: `${SCRIPTS}/?.lua` },
  });
  await child.exited;
  const result = parseLoadResult(child.stdout);
  await scope.stop(child);
  if (result === null) throw new Error(`wrk gave no result: ${(child.stderr || child.stdout).trim()}`);
  return result;
}

/** Finds the line that wrk/result.lua prints among wrk's own output. Null when it is missing or not whole. */
export function parseLoadResult(output: string): LoadResult | null {
  const line = /^millrace-bench (.+)$/m.exec(output)?.[1];
  if (line === undefined) return null;
  const numbers = new Map<string, number>();
  for (const pair of line.split(' ')) {
    const [name = '', value = ''] = pair.split('=');
    if (/^\d+$/.test(value)) numbers.set(name, Number(value));
  }
  if (!FIELDS.every((name) => numbers.has(name))) return null;
  const [requests, bytes, micros, p50, p99, connect, read, write, timeout, status] = FIELDS.map(
    (name) => numbers.get(name)!,
  );
  return {
    requests: requests!,
    bytes: bytes!,
    seconds: micros! / 1e6,
    p50Micros: p50!,
    p99Micros: p99!,
    errors: { connect: connect!, read: read!, write: write!, timeout: timeout!, status: status! },
  };
}

/** All errors together. */
export function countErrors(errors: LoadErrors): number {
  return errors.connect + errors.read + errors.write + errors.timeout + errors.status;
}

const SCRIPTS = join(import.meta.dirname, 'wrk');
const FIELDS = ['requests', 'bytes', 'micros', 'p50', 'p99', 'connect', 'read', 'write', 'timeout', 'status'];
