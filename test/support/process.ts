// Programs that a test starts: Millrace's own command line and other people's servers. Whatever happens to the test,
// every one of them is stopped by its id and the folders made here are removed.

import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, constants, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import type { Readable } from 'node:stream';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { freePort } from '../../native-bench/host/port.ts';
import { eventually, PATIENCE_MS, pause } from './wait.ts';

export { eventually, freePort, pause };

/** The top of the project. */
export const ROOT = fileURLToPath(new URL('../../', import.meta.url));

/** Whether coverage is to tell of programs too that tests start. */
const COUNTS_PROGRAMS = process.env['MILLRACE_COVERAGE'] === 'programs';

/** A program under way. */
export class Program {
  readonly process: ChildProcess;
  readonly pid: number;
  /** What it has printed so far. */
  out = '';
  err = '';
  /** Resolves to the exit code, or the signal's name, once it has ended and closed its outputs. */
  readonly ended: Promise<number | string>;
  /** Processes that have taken its place and hold its outputs: they are killed with it. */
  readonly successors: number[] = [];
  readonly #name: string;
  #closed = false;

  /** `descriptors`: open ones of ours that it gets as 3 and following. */
  constructor(
    command: string,
    args: readonly string[],
    env: Record<string, string> = {},
    cwd = ROOT,
    descriptors: readonly number[] = [],
  ) {
    this.#name = `${command} ${args.join(' ')}`;
    // What counts coverage would be loaded by each of its threads: a fifth more of all that tests do.
    const { NODE_OPTIONS } = env;
    const uncounted = NODE_OPTIONS === undefined ? ['-u', 'NODE_OPTIONS'] : [`NODE_OPTIONS=${NODE_OPTIONS}`];
    const call = COUNTS_PROGRAMS ? [command, ...args] : ['/usr/bin/env', ...uncounted, command, ...args];
    this.process = spawn(call[0]!, call.slice(1), {
      cwd,
      env: { PATH: process.env['PATH'], ...env },
      stdio: ['pipe', 'pipe', 'pipe', ...descriptors],
    });
    running.add(this);
    this.pid = this.process.pid ?? -1;
    this.process.stdout!.on('data', (chunk) => (this.out += chunk));
    this.process.stderr!.on('data', (chunk) => (this.err += chunk));
    this.process.stdin!.on('error', () => {});
    this.ended = once(this.process, 'close').then(([code, signal]) => {
      running.delete(this);
      this.#closed = true;
      return (code ?? signal) as number | string;
    });
    this.process.once('error', (error) => (this.err += error.message));
  }

  /** Resolves once `found` holds of what was printed; fails when the program ends first, or says nothing for long. */
  async until(found: (program: Program) => boolean, what = 'output'): Promise<void> {
    const deadline = performance.now() + PATIENCE_MS;
    while (!found(this)) {
      // Its last words may come behind the news of its end.
      if (this.#closed || this.pid < 0) {
        const { exitCode, signalCode } = this.process;
        assert.fail(`${this.#name} ended (${exitCode ?? signalCode}) before ${what}: ${this.out}${this.err}`);
      }
      if (performance.now() > deadline) assert.fail(`${this.#name}: no ${what} in time: ${this.out}${this.err}`);
      await pause(10);
    }
  }

  /** Its standard output, from now on not kept here: for what is too large to be text. */
  get stream(): Readable {
    return this.process.stdout!.removeAllListeners('data');
  }

  kill(signal: NodeJS.Signals): void {
    this.process.kill(signal);
  }

  /** Resolves once none of its threads goes on, after SIGSTOP. */
  standing(): Promise<void> {
    const folder = `/proc/${this.pid}/task`;
    const stands = (task: string): boolean => {
      try {
        return /\) T /.test(readFileSync(`${folder}/${task}/stat`, 'latin1'));
      } catch {
        // It has ended meanwhile; the others are looked at again.
        return false;
      }
    };
    return eventually(() => readdirSync(folder).every(stands), 'its standstill');
  }

  /** Sends the signal; resolves like `ended`. */
  end(signal: NodeJS.Signals): Promise<number | string> {
    this.kill(signal);
    return this.ended;
  }

  /** Kills it and whoever has come after it. */
  killAll(): void {
    this.kill('SIGKILL');
    for (const pid of this.successors) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // It has ended.
      }
    }
  }

  /** Resident memory now, in bytes; 0 once it is gone. */
  get residentBytes(): number {
    return residentBytes(this.pid);
  }
}

/** A form of the program: what its arguments stand behind, and where it runs. */
export interface Form {
  readonly command: readonly [string, ...string[]];
  readonly cwd: string;
}

const SOURCES: Form = { command: [process.execPath, join(ROOT, 'lib/cli/main.ts')], cwd: ROOT };

/** Millrace's command line, and the addresses that it got. */
export class Millrace extends Program {
  constructor(
    args: readonly string[],
    env: Record<string, string> = {},
    { command, cwd } = SOURCES,
    descriptors: readonly number[] = [],
  ) {
    const [program, ...before] = command;
    super(program, [...before, ...args], env, cwd, descriptors);
  }

  /** The address of a listener once it is bound, with the unspecified one replaced by this machine's own. */
  async address(listener: string): Promise<string> {
    const pattern = new RegExp(`"listening","listener":"${listener}","address":"([^"]+)"`);
    await this.until(({ err }) => pattern.test(err), `listener ${listener}`);
    return pattern.exec(this.err)![1]!.replace('[::]', '127.0.0.1').replace('0.0.0.0', '127.0.0.1');
  }

  async port(listener: string): Promise<number> {
    const address = await this.address(listener);
    return Number(address.slice(address.lastIndexOf(':') + 1));
  }
}

/** Starts Millrace; it is killed when the test ends. */
export function startMillrace(
  t: TestContext,
  args: readonly string[],
  env: Record<string, string> = {},
  form = SOURCES,
  descriptors: readonly number[] = [],
): Millrace {
  return endingWith(t, new Millrace(args, env, form, descriptors));
}

/** Starts any program; it is killed when the test ends. */
export function startProgram(
  t: TestContext,
  command: string,
  args: readonly string[],
  env: Record<string, string> = {},
  descriptors: readonly number[] = [],
): Program {
  return endingWith(t, new Program(command, args, env, ROOT, descriptors));
}

/** Runs a program to its end with `input` on its standard input. */
export async function run(
  t: TestContext,
  command: string,
  args: readonly string[],
  input: string | Uint8Array = '',
): Promise<{ code: number | string; out: string; err: string }> {
  const program = startProgram(t, command, args);
  program.process.stdin!.end(input);
  const code = await program.ended;
  return { code, out: program.out, err: program.err };
}

/** A folder that is removed when the test ends, after the programs that the test has started. */
export function temporaryFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-'));
  folders.add(folder);
  t.after(async () => {
    // Hooks run in the order in which they were added: programs that write here may still be there.
    await Promise.all((stopping.get(t) ?? []).map((stop) => stop()));
    rmSync(folder, { recursive: true, force: true });
    folders.delete(folder);
  });
  return folder;
}

/**
 * Starts a server that must be told its port: `start` answers the program for a port, and whether it serves is asked by
 * connecting. Another port is tried when somebody else has taken the first.
 */
export async function startOnFreePort(start: (port: number) => Program): Promise<{ program: Program; port: number }> {
  for (let attempt = 0; ; attempt++) {
    const port = await freePort();
    const program = start(port);
    try {
      await program.until(() => listens(program.pid, port), `port ${port}`);
      return { program, port };
    } catch (error) {
      program.kill('SIGKILL');
      if (attempt === 4 || !/in use|cannot bind/i.test(program.err)) throw error;
    }
  }
}

/** The path of a program, or null, and then stderr says what the tests miss. */
export function findProgram(name: string, debianPackage: string): string | null {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/sbin'];
  for (const folder of folders) {
    const file = join(folder, name);
    try {
      accessSync(file, constants.X_OK);
      return file;
    } catch {
      // The next folder may have it.
    }
  }
  process.stderr.write(`SKIPPED: ${name} is not installed (Debian package ${debianPackage}); its tests do not run\n`);
  return null;
}

/** Resident memory of a process in bytes, 0 once it is gone. */
export function residentBytes(pid: number): number {
  try {
    const found = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'latin1'));
    return found === null ? 0 : Number(found[1]) * 1024;
  } catch {
    return 0;
  }
}

/** Open descriptors of a process, 0 once it is gone. */
export function openDescriptors(pid: number): number {
  try {
    return readdirSync(`/proc/${pid}/fd`).length;
  } catch {
    return 0;
  }
}

const running = new Set<Program>();
const folders = new Set<string>();
const stopping = new WeakMap<TestContext, (() => Promise<unknown>)[]>();

// A test file that is told to stop, or that fails outside of a test, runs no hooks.
process.on('exit', () => {
  for (const program of running) program.killAll();
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.once(signal, () => process.exit(1));

function endingWith<P extends Program>(t: TestContext, program: P): P {
  const stop = (): Promise<unknown> => {
    // A stopped process dies of this signal as well.
    program.killAll();
    return program.pid < 0 ? Promise.resolve() : program.ended;
  };
  const known = stopping.get(t);
  if (known === undefined) stopping.set(t, [stop]);
  else known.push(stop);
  t.after(stop);
  return program;
}

/** Whether this very process, and not another one, listens on the port. */
function listens(pid: number, port: number): boolean {
  const sockets = new Set<string>();
  const end = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  for (const line of readFileSync('/proc/net/tcp', 'latin1').split('\n').slice(1)) {
    const [, local, , state, , , , , , inode] = line.trim().split(/\s+/);
    if (local?.endsWith(end) && state === '0A' && inode !== undefined) sockets.add(inode);
  }
  if (sockets.size === 0) return false;
  try {
    return readdirSync(`/proc/${pid}/fd`).some((fd) => {
      const target = readlinkSync(`/proc/${pid}/fd/${fd}`);
      return target.startsWith('socket:[') && sockets.has(target.slice(8, -1));
    });
  } catch {
    return false;
  }
}
