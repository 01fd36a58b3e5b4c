// The process that comes after this one: the program as it lies on disk now, started with the same arguments and with our
// listening sockets. It says when it serves; until then nothing has changed.

import { spawn } from 'node:child_process';
import { type Address, formatAddress } from '../base/address.ts';
import { callAgain } from '../base/asset.ts';
import { type HandedOver, SOCKETS_VARIABLE } from './inheritance.ts';

/** A socket to hand over. */
export interface HandedSocket {
  readonly key: string;
  /** As bound. */
  readonly address: Address;
  readonly descriptor: number;
}

/** Longest start of a successor. */
const PATIENCE_MS = 30_000;
/** Standard streams, and the channel by which it says that it serves. */
const FIRST_DESCRIPTOR = 4;

/** What a successor says once it serves. */
export const SERVING = 'serving';

/**
 * Starts it and waits until it serves; answers its process id, or why it does not. `signal` gives it up until then; `ended` is
 * told when it ends later.
 */
export function startSuccessor(
  sockets: readonly HandedSocket[],
  signal: AbortSignal,
  ended: (how: string) => void,
): Promise<{ pid: number } | { fault: string }> {
  const handed: HandedOver = {};
  for (const [at, { key, address }] of sockets.entries()) {
    handed[key] ??= { bound: formatAddress(address), descriptors: [] };
    handed[key].descriptors.push(FIRST_DESCRIPTOR + at);
  }
  const { command, args } = callAgain();
  // Both name this process by its id: the watchdog is to be shown life by the successor, and its sockets come from us.
  const { WATCHDOG_PID, LISTEN_PID, ...environment } = process.env;
  const successor = spawn(command, args, {
    stdio: ['inherit', 'inherit', 'inherit', 'ipc', ...sockets.map(({ descriptor }) => descriptor)],
    env: { ...environment, [SOCKETS_VARIABLE]: JSON.stringify(handed) },
  });
  return new Promise((resolve) => {
    const giveUp = (fault: string): void => {
      successor.kill('SIGKILL');
      done({ fault });
    };
    const late = setTimeout(giveUp, PATIENCE_MS, `it did not serve within ${PATIENCE_MS / 1000}s`);
    const aborted = (): void => giveUp('this process ends before it serves');
    const done = (result: { pid: number } | { fault: string }): void => {
      clearTimeout(late);
      signal.removeEventListener('abort', aborted);
      successor.removeAllListeners();
      successor.on('error', () => {});
      if ('pid' in result) successor.on('exit', (code, reason) => ended(String(code ?? reason)));
      // Not ours to wait for any more.
      if (successor.connected) successor.disconnect();
      successor.unref();
      resolve(result);
    };
    signal.addEventListener('abort', aborted);
    successor.on('message', (said) => {
      if (said === SERVING) done({ pid: successor.pid! });
    });
    successor.on('error', (error: NodeJS.ErrnoException) => done({ fault: error.code ?? error.message }));
    successor.on('exit', (code, signal) => done({ fault: `it ended with ${code ?? signal}; its log says why` }));
  });
}
