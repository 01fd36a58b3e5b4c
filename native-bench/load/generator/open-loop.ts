// The open loop: requests are due at even intervals whatever the proxy does, and their latency counts from then. Those
// that find no client free wait in line until nobody would wait any longer; so a proxy that stalls
// pays for every request that came meanwhile, where a closed loop would merely have asked less.

import type { Client, Run } from './pace.ts';
import { partOf } from './spec.ts';
import type { Tally } from './tally.ts';

/** What is due: a rate for some seconds, of which each of the threads takes every `threads`th request. */
export interface Arrivals {
  readonly seconds: number;
  readonly ratePerSecond: number;
  readonly thread: number;
  readonly threads: number;
}

export class OpenLoop implements Run {
  readonly #tally: Tally;
  readonly #seconds: number;
  readonly #intervalMs: number;
  readonly #firstMs: number;
  readonly #total: number;
  #startMs = 0;
  #arrived = 0;
  #busy = 0;
  readonly #idle: Client[] = [];
  /** When those who wait were due: a ring. */
  readonly #line: Float64Array;
  #lineStart = 0;
  #waiting = 0;
  #settle: (() => void) | null = null;

  constructor(tally: Tally, { seconds, ratePerSecond, thread, threads }: Arrivals) {
    this.#tally = tally;
    this.#seconds = seconds;
    this.#intervalMs = (1000 / ratePerSecond) * threads;
    this.#firstMs = (1000 / ratePerSecond) * thread;
    this.#total = partOf(Math.round(seconds * ratePerSecond), thread, threads);
    this.#line = new Float64Array(Math.min(this.#total, LINE_LENGTH));
  }

  /** Requests that are not answered soon after the last was due count as timed out. The seconds end with the last answer. */
  async run(clients: readonly Client[]): Promise<number> {
    this.#idle.push(...clients);
    this.#startMs = performance.now();
    await new Promise<void>((resolve) => {
      this.#settle = resolve;
      this.#turn();
    });
    this.#settle = null;
    for (const client of clients) client.stop();
    // Those who pause have been counted when they failed.
    this.#tally.errors.timeout += this.#busy - this.#tally.pausing + this.#waiting;
    return Math.max(this.#seconds, (this.#tally.lastMs - this.#startMs) / 1000);
  }

  free(client: Client, nowMs: number): void {
    this.#busy--;
    while (this.#waiting > 0) {
      const dueMs = this.#line[this.#lineStart]!;
      this.#lineStart = (this.#lineStart + 1) % this.#line.length;
      this.#waiting--;
      if (nowMs - dueMs < this.#tally.patienceMs * IN_LINE) return this.#begin(client, dueMs, nowMs);
      this.#tally.gaveUp(dueMs, nowMs);
    }
    this.#idle.push(client);
    if (this.#busy === 0 && this.#arrived === this.#total) this.#settle?.();
  }

  /** Lets arrive what is due and comes back for the next. */
  readonly #turn = (): void => {
    const nowMs = performance.now();
    let dueMs = this.#dueOf(this.#arrived);
    while (dueMs <= nowMs && this.#arrived < this.#total) {
      this.#arrived++;
      this.#arrive(dueMs, nowMs);
      dueMs = this.#dueOf(this.#arrived);
    }
    if (this.#arrived === this.#total) {
      if (this.#busy === 0) this.#settle?.();
      else setTimeout(() => this.#settle?.(), PATIENCE_MS);
      return;
    }
    // Timers are only good to a millisecond or two, and sleeping that long puts half a millisecond on every latency
    // (p50 0.9 ms instead of 0.04 at 2,000 a second). For the rest the loop goes round, which also reads what comes in.
    const waitMs = dueMs - nowMs;
    if (waitMs > COARSE_MS) setTimeout(this.#turn, Math.floor(waitMs) - 1);
    else setImmediate(this.#turn);
  };

  /** Multiplied out, so that nothing adds up. */
  #dueOf(arrival: number): number {
    return this.#startMs + this.#firstMs + arrival * this.#intervalMs;
  }

  #arrive(dueMs: number, nowMs: number): void {
    // The last to become free first: a connection that is not needed is not dialed.
    const client = this.#idle.pop();
    if (client !== undefined) this.#begin(client, dueMs, nowMs);
    else if (this.#waiting === this.#line.length) this.#tally.unsent++;
    else this.#line[(this.#lineStart + this.#waiting++) % this.#line.length] = dueMs;
  }

  #begin(client: Client, dueMs: number, nowMs: number): void {
    this.#busy++;
    client.begin(dueMs, nowMs);
  }
}

/** 16 MB at most: what does not fit would have waited far longer than anybody does. */
const LINE_LENGTH = 2_000_000;
/** How long anybody waits for an answer in an open loop. */
export const OPEN_PATIENCE_MS = 1_000;
/** The part of that time that may pass in line. */
const IN_LINE = 0.5;
const COARSE_MS = 2;
/** How long what is under way when the last request was due may still take. */
const PATIENCE_MS = 1_000;
