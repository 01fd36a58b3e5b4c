// The program's own files, and threads and processes that are started from them. The program comes in three forms: a source
// checkout (TypeScript), an npm package (JavaScript beside this file), and one executable that holds everything. Which of
// them this is, nobody else needs to know. A file is named by its path from the top of the project; one that is run, without its ending.

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { getAsset, isSea } from 'node:sea';
import { fileURLToPath } from 'node:url';
import { compileFunction } from 'node:vm';
import { Worker, type WorkerOptions } from 'node:worker_threads';

/** Whether everything is in one executable: then there is neither a `node` nor a file of ours on the disk. */
export const BUNDLED: boolean = isSea();

/** Top of the checkout or of the package; '' in the executable. */
export const ROOT: string = BUNDLED ? '' : fileURLToPath(new URL('../..', import.meta.url));

/** What is to be spawned. */
export interface Call {
  readonly command: string;
  readonly args: readonly string[];
}

/** A text file of the program, such as `native-bench/peers/nginx/http.conf`. Throws when there is none. */
export function readAsset(name: string): string {
  return BUNDLED ? getAsset(name, 'utf8') : readFileSync(join(ROOT, name), 'utf8');
}

/**
 * Starts a thread from a program, such as `lib/process/worker`. For the executable it must be named
 * among the PROGRAMS of packaging/contents.ts, and may not await at its top.
 */
export function startThread(program: string, options: WorkerOptions = {}): Worker {
  if (!BUNDLED) return new Worker(fileOf(program), options);
  // Said beforehand, or Node would read the whole of it once more to find out.
  const execArgv = [...(options.execArgv ?? process.execArgv), '--input-type=commonjs'];
  // What was loaded first into this process is to be in its threads too, as it is with `--import`.
  const before = loadedFirst.map((first) => `(() => {\n${codeOf(first)}})();\n`).join('');
  return new Worker(before + codeOf(program), { ...options, execArgv, eval: true });
}

/**
 * How to run a program as a process of its own, after another one, `first`, has been loaded into it. `program` may also be
 * `lib/cli/main`, the command line.
 */
export function callProgram(program: string, args: readonly string[], first: string | null = null): Call {
  const command = process.execPath;
  if (BUNDLED) return { command, args: callWithin(program, args, first) };
  const before = first === null ? [] : ['--import', fileOf(first)];
  return { command, args: [...before, fileOf(program), ...args] };
}

/** Where a program stands on the disk; meaningless in the executable. */
export function fileOf(program: string): string {
  return join(ROOT, program + ENDING);
}

/** How to start this very program once more, with the arguments that it was given. */
export function callAgain(): Call {
  // In the executable the second of them is no file but the executable once more.
  const args = BUNDLED ? process.argv.slice(2) : [...process.execArgv, ...process.argv.slice(1)];
  return { command: process.execPath, args };
}

/** The arguments by which an executable of ours runs one of the programs in it; see `callProgram`. */
export function callWithin(program: string, args: readonly string[], first: string | null = null): string[] {
  const before = first === null ? [] : [FIRST, first];
  return program === COMMAND_LINE ? [...before, ...args] : [...before, PROGRAM, program, ...args];
}

/**
 * Does in the executable what such a call asks for, and takes it out of `process.argv`. False when the command line is still
 * to be run; always false outside of the executable.
 */
export function runCalled(): boolean {
  if (!BUNDLED) return false;
  for (;;) {
    const [, , asked, program] = process.argv;
    if ((asked !== FIRST && asked !== PROGRAM) || program === undefined) return false;
    process.argv.splice(2, 2);
    // As `node FILE` would: the program ends on its own, and finds its arguments where they always are.
    compileFunction(codeOf(program), ['require', 'module', 'exports'])(
      createRequire(process.execPath),
      { exports: {} },
      {},
    );
    if (asked === FIRST) loadedFirst.push(program);
    if (asked === PROGRAM) return true;
  }
}

/** Programs that were loaded into the executable before its own. */
const loadedFirst: string[] = [];
const COMMAND_LINE = 'lib/cli/main';
const PROGRAM = '--program';
const FIRST = '--first';
const ENDING = BUNDLED ? '' : import.meta.url.slice(import.meta.url.lastIndexOf('.'));

/** Stack traces name the program rather than `[worker eval]`. */
function codeOf(program: string): string {
  return `${getAsset(`${program}.cjs`, 'utf8')}\n//# sourceURL=${program}\n`;
}
