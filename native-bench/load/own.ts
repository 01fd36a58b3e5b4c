// Runs our own generator, which needs nothing but Node: a process of its own on the cores that the load is given, told by
// a file what to do, answering with one line.

import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { callProgram } from '../../lib/base/asset.ts';
import type { Scope } from '../host/scope.ts';
import type { GeneratorSpec } from './generator/spec.ts';
import type { HandshakeCounts, HandshakeKind, Load, LoadResult, LoadRun } from './load.ts';

/** What the generator prints. */
export interface OwnResult extends LoadResult {
  /** None without TLS. */
  readonly handshakes: HandshakeCounts;
}

/** What of a load our generator cannot do, as in "our own generator cannot ..."; null when it can do it. */
export function ownObjection(load: Load): string | null {
  return load.kind === 'http' && load.streams !== undefined ? 'speak HTTP/2' : null;
}

/**
 * Runs it to its end. Throws with what it said when it gave no result, and when a handshake was not of the kind that the
 * load asks for: figures of the one would be taken for figures of the other.
 */
export async function runOwn(scope: Scope, load: Load, run: LoadRun): Promise<LoadResult> {
  const folder = scope.folder();
  const path = join(folder, 'spec.json');
  const { port, seconds, ratePerSecond } = run;
  const threads = Math.min(Math.max(run.cores.length, 1), load.connections);
  const spec: GeneratorSpec = { load, port, seconds, ratePerSecond, threads, parentPid: process.pid };
  writeFileSync(path, JSON.stringify(spec));
  const child = scope.start('generator', { ...callProgram(PROGRAM, [path]), cores: run.cores });
  await child.exited;
  await scope.stop(child);
  rmSync(folder, { recursive: true, force: true });
  const result = parseOwnResult(child.stdout);
  if (result === null) throw new Error(`the generator gave no result: ${(child.stderr || child.stdout).trim()}`);
  const { handshakes, ...rest } = result;
  const fault = load.kind === 'http' && load.tls !== undefined ? handshakeFault(handshakes, load.tls) : '';
  if (fault !== '') throw new Error(fault);
  return rest;
}

/** What is wrong with these handshakes, in one sentence, where all were to be of one kind; '' when nothing is. */
export function handshakeFault({ full, resumed }: HandshakeCounts, wanted: HandshakeKind): string {
  if (wanted === 'resumed' && full > 0) return `${full} of ${full + resumed} handshakes resumed no session`;
  return wanted === 'full' && resumed > 0 ? `${resumed} of ${full + resumed} handshakes resumed a session` : '';
}

/** The result in what the generator printed; null when it is not there, as when it was ended early. */
export function parseOwnResult(output: string): OwnResult | null {
  const line = /^millrace-bench (\{.+\})$/m.exec(output)?.[1];
  return line === undefined ? null : (JSON.parse(line) as OwnResult);
}

const PROGRAM = 'native-bench/load/generator/main';
