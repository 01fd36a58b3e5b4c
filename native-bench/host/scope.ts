// What a run owns: child processes and temporary folders. Whatever happens (the end, a failure, Ctrl-C, even the
// harness killed outright), nothing of it stays behind, and nothing that is not ours is ever touched.

import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { processTree } from './accounting.ts';

/** What to start. `cores` empty: wherever the kernel likes. */
export interface Launch {
  readonly command: string;
  readonly args: readonly string[];
  readonly cores: readonly number[];
  readonly env?: Readonly<Record<string, string>>;
}

/** Tools that wrap a launch; null where the machine has none. */
export interface Launcher {
  readonly taskset: string | null;
  readonly setpriv: string | null;
}

/** A process of ours. `stdout` and `stderr` keep the last 64 KiB that it said. */
export class Child {
  readonly name: string;
  readonly pid: number;
  readonly exited: Promise<void>;
  running = true;
  stdout = '';
  stderr = '';

  constructor(name: string, pid: number, process: ChildProcess) {
    this.name = name;
    this.pid = pid;
    process.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.stdout = (this.stdout + text).slice(-KEPT_CHARACTERS);
    });
    process.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.stderr = (this.stderr + text).slice(-KEPT_CHARACTERS);
    });
    // 'close' comes when the last descendant has let go of the pipes, so it stands for the whole tree.
    this.exited = new Promise((resolve) => {
      process.once('exit', () => {
        this.running = false;
      });
      process.once('close', () => resolve());
    });
  }
}

/** Owner of children and folders. After `close` or `closeAtOnce` it starts nothing any more. */
export class Scope {
  closed = false;
  readonly #launcher: Launcher;
  readonly #patienceMs: number;
  readonly #children = new Set<Child>();
  readonly #folders = new Set<string>();
  readonly #whenExiting = (): void => this.closeAtOnce();

  /** `patienceMs`: how long a child may take to end when asked, before it is killed. */
  constructor(launcher: Launcher, patienceMs = 3_000) {
    this.#launcher = launcher;
    this.#patienceMs = patienceMs;
    process.once('exit', this.#whenExiting);
    OPEN.add(this);
  }

  /** A new temporary folder, removed when the scope closes. Readable by all: nginx drops to another user when root starts it. */
  folder(): string {
    this.#assertOpen();
    const folder = mkdtempSync(join(tmpdir(), 'millrace-bench-'));
    this.#folders.add(folder);
    chmodSync(folder, 0o755);
    return folder;
  }

  /** Starts a process without a shell. Throws when it cannot be started at all. */
  start(name: string, launch: Launch): Child {
    this.#assertOpen();
    const [command, ...args] = wrapped(launch, this.#launcher);
    const env = { ...process.env, ...launch.env };
    const started = spawn(command!, args, { stdio: ['ignore', 'pipe', 'pipe'], env });
    // Without a listener a failed start would be an uncaught exception; the missing pid says the same.
    started.on('error', () => {});
    if (started.pid === undefined) throw new Error(`${name}: cannot start ${launch.command}`);
    const child = new Child(name, started.pid, started);
    this.#children.add(child);
    return child;
  }

  /** Asks a child to end, then insists; resolves when it and all its descendants are gone. */
  async stop(child: Child): Promise<void> {
    // Taken before the signal: once a master is gone its workers have another parent.
    const tree = processTree(child.pid);
    if (child.running) signal(child.pid, 'SIGTERM');
    if (!(await settled(child.exited, this.#patienceMs))) {
      for (const pid of tree) signal(pid, 'SIGKILL');
      await settled(child.exited, this.#patienceMs);
    }
    this.#children.delete(child);
  }

  /** Stops all children and removes all folders. Safe to call twice. */
  async close(): Promise<void> {
    this.closed = true;
    await Promise.all([...this.#children].map((child) => this.stop(child)));
    this.closeAtOnce();
  }

  /** The same without waiting, for the last moment of this process: kills and removes synchronously. */
  closeAtOnce(): void {
    this.closed = true;
    process.removeListener('exit', this.#whenExiting);
    OPEN.delete(this);
    for (const child of this.#children) {
      if (!child.running) continue;
      for (const pid of processTree(child.pid)) signal(pid, 'SIGKILL');
    }
    this.#children.clear();
    for (const folder of this.#folders) rmSync(folder, { recursive: true, force: true });
    this.#folders.clear();
  }

  #assertOpen(): void {
    if (this.closed) throw new Error('the run is over');
  }
}

/**
 * Closes every open scope and exits with 128 + the signal's number on the first SIGINT, SIGTERM or SIGHUP; a second one exits at
 * once. Returns what removes the handlers again.
 */
export function closeOnSignals(): () => void {
  let asked = false;
  const numbers = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 } as const;
  const handlers = Object.entries(numbers).map(([name, number]) => {
    const handler = (): void => {
      if (asked) process.exit(128 + number);
      asked = true;
      void Promise.all([...OPEN].map((scope) => scope.close())).finally(() => process.exit(128 + number));
    };
    process.on(name, handler);
    return { name, handler };
  });
  return () => {
    for (const { name, handler } of handlers) process.removeListener(name, handler);
  };
}

const KEPT_CHARACTERS = 65_536;
/** Scopes that own something still. */
const OPEN = new Set<Scope>();

/** setpriv makes the kernel end the child if the harness is killed outright; taskset pins. Both exec, so the pid stays. */
function wrapped({ command, args, cores }: Launch, { taskset, setpriv }: Launcher): string[] {
  const words = [command, ...args];
  if (taskset !== null && cores.length > 0) words.unshift(taskset, '-c', cores.join(','));
  if (setpriv !== null) words.unshift(setpriv, '--pdeathsig', 'TERM', '--');
  return words;
}

/** Whether `exited` came within `patienceMs`. */
async function settled(exited: Promise<void>, patienceMs: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(resolve, patienceMs, false);
  });
  const inTime = await Promise.race([exited.then(() => true), late]);
  clearTimeout(timer);
  return inTime;
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // Gone already: that is what was wanted.
  }
}
