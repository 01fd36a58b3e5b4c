// What signals mean to a process that serves, or is about to: until somebody obeys them, a SIGHUP would end it, and a SIGTERM
// would end it without a word.

import type { Log } from '../base/log.ts';
import type { Supervisor } from '../process/supervisor.ts';
import { endThreads, hasThreads } from '../process/thread.ts';
import { EXIT_FAILED } from './command.ts';
import { reportFailure } from './output.ts';

/** How long a proxy that was told twice to end may take for it, */
const DEADLINE_MS = 1500;
/** and how long files and threads are waited for then. */
const LAST_MS = 500;
/** How long they are waited for at any other end. */
const SETTLE_MS = 1000;

export class Signals {
  readonly #ending = new AbortController();
  #proxy: Supervisor | null = null;
  #log: Log | null = null;
  /** To reload, before there was anything that could be. */
  #early = false;

  private constructor() {
    process.on('SIGTERM', (signal) => this.#end(signal));
    process.on('SIGINT', (signal) => this.#end(signal));
    process.on('SIGHUP', () => this.#reload());
    // Log rotation sends this to every daemon; the default would be to die of it.
    process.on('SIGUSR2', () => this.#log?.debug('SIGUSR2: there are no log files to reopen'));
  }

  /** From now on they are obeyed. */
  static obey(): Signals {
    return new Signals();
  }

  /** Aborted once this process was told to end. */
  get ending(): AbortSignal {
    return this.#ending.signal;
  }

  /** They are for this proxy now. */
  lead(proxy: Supervisor, log: Log): void {
    this.#proxy = proxy;
    this.#log = log;
    if (this.#early) this.#reload();
  }

  #end(signal: NodeJS.Signals): void {
    const again = this.ending.aborted;
    this.#ending.abort();
    // It may be draining by an operator's word already: the first signal does not make it more urgent.
    this.#log?.info('told to end', { signal });
    if (this.#proxy?.drain() || !again) return;
    this.#log?.warn('stopping at once', { signal });
    this.#proxy?.stop();
    setTimeout(quit, this.#proxy === null ? 0 : DEADLINE_MS, EXIT_FAILED);
  }

  #reload(): void {
    const log = this.#log;
    this.#early = this.#proxy === null;
    this.#proxy?.reload().then(
      (result) => {
        if ('fault' in result && result.status === 409) log?.warn('SIGHUP: not reloaded', { fault: result.fault });
      },
      (error: unknown) => log?.error('reload failed', { error }),
    );
  }
}

/**
 * To be awaited before this process ends. exit(3) waits for threads that wait for files, and a file system that does not
 * answer would keep them, and the process, for ever: it is killed then.
 */
export async function settle(withinMs = SETTLE_MS): Promise<void> {
  const deadline = performance.now() + withinMs;
  endThreads();
  while (isHeld() && performance.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 10));
  if (isHeld()) kill();
}

async function quit(code: number): Promise<void> {
  await settle(LAST_MS);
  process.exit(code);
}

function kill(): void {
  reportFailure('a file system does not answer, so this process kills itself');
  process.kill(process.pid, 'SIGKILL');
}

/** Whether exit(3) would wait, perhaps for ever. */
function isHeld(): boolean {
  return isReading() || hasThreads();
}

/** Whether a file is being waited for. */
function isReading(): boolean {
  return process.getActiveResourcesInfo().some((kind) => kind.startsWith('FSReq'));
}
