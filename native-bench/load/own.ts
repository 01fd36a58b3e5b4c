// Runs our own generator, which needs nothing but Node: a process of its own on the cores that the load is given, told by
// a file what to do, answering with one line.

import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Scope } from '../host/scope.ts';
import type { GeneratorSpec } from './generator/spec.ts';
import type { Load, LoadResult, LoadRun } from './load.ts';

/** Runs it to its end. Throws with what it said when it gave no result. */
export async function runOwn(scope: Scope, load: Load, run: LoadRun): Promise<LoadResult> {
  const folder = scope.folder();
  const path = join(folder, 'spec.json');
  const { port, seconds, ratePerSecond } = run;
  const threads = Math.min(Math.max(run.cores.length, 1), load.connections);
  const spec: GeneratorSpec = { load, port, seconds, ratePerSecond, threads, parentPid: process.pid };
  writeFileSync(path, JSON.stringify(spec));
  const child = scope.start('generator', { command: process.execPath, args: [MAIN, path], cores: run.cores });
  await child.exited;
  await scope.stop(child);
  rmSync(folder, { recursive: true, force: true });
  const result = parseOwnResult(child.stdout);
  if (result === null) throw new Error(`the generator gave no result: ${(child.stderr || child.stdout).trim()}`);
  return result;
}

/** The result in what the generator printed; null when it is not there, as when it was ended early. */
export function parseOwnResult(output: string): LoadResult | null {
  const line = /^millrace-bench (\{.+\})$/m.exec(output)?.[1];
  return line === undefined ? null : (JSON.parse(line) as LoadResult);
}

const MAIN = join(import.meta.dirname, 'generator/main.ts');
