// Reading the configuration anew, for as long as can be waited for: a file system may not answer, and a module may never have
// done with what it awaits. What does not come is left alone, and nothing else waits for it.

import type { ReadResult } from '../config/read.ts';
import { Turns } from './turns.ts';

/** Longest read. */
const PATIENCE_MS = 20_000;
/**
 * Reads that may be left alone. Each may hold one of the four threads that all files and names are asked for by: when none is
 * left, names are not resolved any more.
 */
const MOST_LEFT = 2;
const BROKEN_OFF = { fault: 'it is draining' };

export class Reading {
  readonly #read: () => Promise<ReadResult>;
  readonly #patienceMs: number;
  readonly #turns = new Turns();
  #left = 0;

  constructor(read: () => Promise<ReadResult>, patienceMs = PATIENCE_MS) {
    this.#read = read;
    this.#patienceMs = patienceMs;
  }

  /** What stands there now, or why that is not known; `signal` breaks it off. */
  next(signal: AbortSignal): Promise<ReadResult | { readonly fault: string }> {
    return this.#turns.take(async () => {
      if (signal.aborted) return BROKEN_OFF;
      if (this.#left >= MOST_LEFT)
        return { fault: 'earlier attempts to read the configuration have not come to an end' };
      return this.#once(signal);
    });
  }

  #once(signal: AbortSignal): Promise<ReadResult | { readonly fault: string }> {
    return new Promise((resolve, reject) => {
      let left = false;
      const leave = (result: { readonly fault: string }): void => {
        left = true;
        this.#left++;
        done();
        resolve(result);
      };
      const broken = (): void => leave(BROKEN_OFF);
      const fault = `the configuration could not be read within ${this.#patienceMs / 1000}s`;
      const late = setTimeout(leave, this.#patienceMs, { fault });
      const done = (): void => {
        clearTimeout(late);
        signal.removeEventListener('abort', broken);
      };
      signal.addEventListener('abort', broken);
      this.#read()
        .finally(() => {
          if (left) this.#left--;
          else done();
        })
        .then(resolve, reject);
    });
  }
}
