// How a proxy ends: it drains, or stops, and says what that has cut off.

import { setTimeout as sleep } from 'node:timers/promises';
import type { Log } from '../base/log.ts';
import type { Crew } from './crew.ts';
import { Cuts } from './cuts.ts';
import type { Turns } from './turns.ts';

/** How a proxy ended: `cut`, when what was open did not finish in time. */
export type Ending = 'drained' | 'cut' | 'stopped' | 'failed';

export interface DepartureEvents {
  /** From now on it is not ready any more; `succeeded`: a successor serves in its place. */
  began(succeeded: boolean): void;
  /** Nothing is open any more. */
  ended(ending: Ending): void;
}

export interface DrainOptions {
  /** How long it goes on accepting. */
  readonly delayMs: number;
  /** How long what is open may go on then; asked for when that begins. */
  readonly timeoutMs: () => number;
  /** What it ends as when nothing is cut off. */
  readonly ending: 'drained' | 'failed';
  readonly succeeded: boolean;
}

/** Longest wait for a configuration that is on its way to give up, when all is told to stop. */
const STOP_MS = 1000;

export class Departure {
  readonly ended: Promise<Ending>;
  readonly cuts = new Cuts();
  readonly #log: Log;
  readonly #crew: Crew;
  readonly #turn: Turns;
  readonly #events: DepartureEvents;
  readonly #leaving = new AbortController();
  readonly #stopping = new AbortController();
  #begun = false;
  #over = false;
  #end: (ending: Ending) => void = () => {};

  /** `turn`: what changes event loops, and gives up when this has begun. */
  constructor(log: Log, crew: Crew, turn: Turns, events: DepartureEvents) {
    this.#log = log;
    this.#crew = crew;
    this.#turn = turn;
    this.#events = events;
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
  }

  /** Whether nothing new is to begin. */
  get begun(): boolean {
    return this.#begun;
  }

  /** Aborted when it begins: ends the start of a successor, and the reading of a configuration. */
  get leaving(): AbortSignal {
    return this.#leaving.signal;
  }

  /** Accepts nothing new and lets what is open finish. */
  async drain({ delayMs, timeoutMs, ending, succeeded }: DrainOptions): Promise<void> {
    this.#begun = true;
    if (!succeeded) this.#leaving.abort();
    this.#events.began(succeeded);
    const { signal } = this.#stopping;
    try {
      if (delayMs > 0) {
        this.#log.info('not ready any more, draining soon', { delayMs });
        await sleep(delayMs, null, { signal }).catch(() => {});
      }
      // Told to stop meanwhile, and everything else is said there.
      if (signal.aborted) return;
      const drainTimeoutMs = timeoutMs();
      this.#log.info('draining', { timeoutMs: drainTimeoutMs });
      for (const cut of await this.#crew.drain(drainTimeoutMs)) this.cuts.add(cut);
      // What was on its way when this began gives up, and lets go of what it has bound.
      await this.#turn.last;
      if (signal.aborted) return;
      const { total: cut, listeners } = this.cuts;
      if (cut > 0) this.#log.warn('drain timeout: connections were cut off', { cut, listeners });
      else this.#log.info('drained');
      this.finish(cut > 0 && ending === 'drained' ? 'cut' : ending);
    } catch (error) {
      if (signal.aborted) return;
      this.#log.error('draining failed', { error });
      this.finish('failed');
    }
  }

  /** Breaks off what is open. */
  async stop(): Promise<void> {
    this.#begun = true;
    this.#leaving.abort();
    this.#stopping.abort();
    // A configuration that is on its way gives up without its event loops, and lets go of what else it has prepared: a
    // moment is enough for that.
    const late = sleep(STOP_MS, null, { ref: false });
    await this.#crew.stop().catch((error: unknown) => this.#log.error('stopping failed', { error }));
    await Promise.race([this.#turn.last, late]);
    this.finish('stopped');
  }

  /** It is over, however that came. */
  finish(ending: Ending): void {
    if (this.#over) return;
    this.#over = true;
    this.#end(ending);
    this.#events.ended(ending);
  }
}
