// Tells systemd what we are doing (sd_notify(3)). Node has no datagrams over unix sockets, so its own program says it for
// us; the unit needs NotifyAccess=all for that. Without NOTIFY_SOCKET there is nobody to tell.

import { execFile } from 'node:child_process';
import type { Log } from '../base/log.ts';

export class Notifier {
  readonly #log: Log;
  readonly #enabled: boolean;
  readonly #watchdogMs: number;
  #timer: NodeJS.Timeout | null = null;
  /** Words leave in the order in which they were said. */
  #turn: Promise<void> = Promise.resolve();

  constructor(log: Log, environment: NodeJS.ProcessEnv = process.env) {
    this.#log = log;
    this.#enabled = (environment['NOTIFY_SOCKET'] ?? '') !== '';
    this.#watchdogMs = this.#enabled ? watchdogMs(environment) : 0;
  }

  /** It serves, as this process. */
  ready(status: string): void {
    this.#say('READY=1', `MAINPID=${process.pid}`, `STATUS=${status}`);
  }

  reloading(): void {
    // The monotonic clock, as Type=notify-reload wants it.
    this.#say('RELOADING=1', `MONOTONIC_USEC=${process.hrtime.bigint() / 1000n}`);
  }

  stopping(): void {
    this.#say('STOPPING=1', 'STATUS=draining');
  }

  /** Shows life three times as often as the unit asks for, so that one that comes late is none too few, while `sound` answers true. */
  watch(sound: () => boolean): void {
    if (this.#watchdogMs === 0) return;
    this.#timer = setInterval(() => {
      if (sound()) this.#say('WATCHDOG=1');
    }, this.#watchdogMs / 3);
    this.#timer.unref();
  }

  /** From now on another process speaks for the service. */
  handOver(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
  }

  /** Resolves once everything has been said. */
  close(): Promise<void> {
    this.handOver();
    return this.#turn;
  }

  #say(...words: readonly string[]): void {
    if (!this.#enabled) return;
    this.#turn = this.#turn.then(
      () =>
        new Promise((resolve) => {
          execFile('systemd-notify', [...words], { timeout: 5000 }, (error) => {
            if (error !== null)
              this.#log.limited('notify', 60_000).warn('systemd was not told', { cause: error.message });
            resolve();
          });
        }),
    );
  }
}

/** WATCHDOG_USEC, if it is meant for this process; 0 for none. */
function watchdogMs({ WATCHDOG_USEC = '', WATCHDOG_PID = '' }: NodeJS.ProcessEnv): number {
  const meant = WATCHDOG_PID === '' || Number(WATCHDOG_PID) === process.pid;
  return meant && /^\d+$/.test(WATCHDOG_USEC) ? Number(WATCHDOG_USEC) / 1000 : 0;
}
