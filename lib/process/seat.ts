// A place for an event loop: holds the one that serves now, starts another when it is gone, each time after a longer
// pause, and tells what it is doing.

import type { WorkerStatus } from '../admin/control.ts';
import type { Log } from '../base/log.ts';
import type { Configuration } from '../config/configuration.ts';
import type { Cut } from '../server/listener.ts';
import type { BoundPort } from '../server/server.ts';
import type { EventLoop, LoopReport, News, Order } from './channel.ts';
import { OwnLoop } from './loop.ts';
import { type Death, ThreadLoop } from './thread.ts';

export interface SeatEvents {
  /** The event loop has found something out. */
  news(news: News, seat: Seat): void;
  /** It is gone. */
  died(seat: Seat): void;
  /** A thread for it, which may have been waiting for this. */
  thread(heapBytes: number): ThreadLoop;
}

/** One that has served for so long is replaced at once when it dies. */
const SETTLED_MS = 10_000;
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 10_000;
/** Longest wait for an event loop to get ready: others wait for it. */
const PREPARE_MS = 30_000;
const ENDS = 'the event loop has ended';
const LATE = { fault: `an event loop was not ready within ${PREPARE_MS / 1000}s` };

export class Seat {
  readonly place: number;
  /** What its event loop has bound. */
  ports: readonly BoundPort[] = [];
  /** What it will have bound once what it prepares takes effect. */
  nextPorts: readonly BoundPort[] = [];
  /** Where its event loops run: in threads of their own, or here. */
  readonly #inThread: boolean;
  readonly #log: Log;
  readonly #events: SeatEvents;
  #loop: EventLoop | null = null;
  #serving = false;
  /** It is known that there is none, and that another is wanted. */
  #missing = false;
  #known: LoopReport | null = null;
  #bornMs = 0;
  #diedMs = 0;
  #restarts = 0;
  /** Deaths in a row that came soon after a start. */
  #early = 0;
  #timer: NodeJS.Timeout | null = null;
  #ending = false;
  #stuck = false;

  constructor(place: number, inThread: boolean, log: Log, events: SeatEvents) {
    this.place = place;
    this.#inThread = inThread;
    this.#log = log;
    this.#events = events;
  }

  /** Null while there is none. */
  get loop(): EventLoop | null {
    return this.#loop;
  }

  get serving(): boolean {
    return this.#serving;
  }

  /** An event loop that it has had cannot be ended. */
  get stuck(): boolean {
    return this.#stuck;
  }

  /** From the death of one event loop until the next served. */
  get replacedAfterMs(): number {
    return Math.round(this.#bornMs - this.#diedMs);
  }

  /** Starts an event loop if there is none: threads take their time, and can take it beside each other. */
  begin({ workerMemoryBytes }: Configuration): EventLoop {
    this.#loop ??= this.#start(workerMemoryBytes);
    return this.#loop;
  }

  /** Gets its event loop ready, a new one if there is none; answers '' or why not. */
  async prepare(order: Order): Promise<string> {
    if (this.#ending) return ENDS;
    try {
      const result = await within(this.begin(order.configuration).prepare(order), PREPARE_MS, LATE);
      if ('fault' in result) return result.fault;
      this.nextPorts = result.ports;
      return '';
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    }
  }

  /** Resolves once its event loop serves what was prepared; to false when it has died instead. */
  async commit(drainTimeoutMs: number, news: readonly News[]): Promise<boolean> {
    if (this.#loop === null) {
      // It died after it was ready. One that had served is being replaced, by one for the new order.
      if (this.#missing) return false;
      this.#missing = true;
      this.#diedMs = performance.now();
      this.#events.died(this);
      return false;
    }
    if (!this.#serving) this.#bornMs = performance.now();
    const loop = this.#loop;
    const done = loop.commit(drainTimeoutMs, news);
    this.#serving = true;
    this.#missing = false;
    this.ports = this.nextPorts;
    await done;
    return !(loop instanceof ThreadLoop && loop.dying);
  }

  /** What was prepared will not be; an event loop that serves nothing else ends. Resolves once that is so. */
  async abort(): Promise<void> {
    if (this.#serving) return this.#loop?.abort();
    const loop = this.#loop;
    this.#loop = null;
    if (loop instanceof ThreadLoop) loop.onDeath = () => {};
    await loop?.stop();
    this.#stuck ||= loop instanceof ThreadLoop && loop.stuck;
  }

  tell(news: News): void {
    if (this.#serving) this.#loop?.tell(news);
  }

  /** The last report of its event loop, or of one that has died; it is forgotten with that. */
  get known(): LoopReport | null {
    return this.#known;
  }

  forget(): void {
    this.#known = null;
  }

  /** Null when it does not answer in time. */
  async report(withinMs: number): Promise<LoopReport | null> {
    const loop = this.#loop;
    if (loop === null || !this.#serving) return null;
    const report = await within(
      loop.report().catch(() => null),
      withinMs,
      null,
    );
    if (report !== null && this.#loop === loop) this.#known = report;
    return report;
  }

  status(report: LoopReport | null, draining: boolean): WorkerStatus {
    return {
      worker: this.place,
      state: !this.#serving ? 'starting' : draining ? 'draining' : 'serving',
      uptimeS: this.#serving ? Math.floor((performance.now() - this.#bornMs) / 1000) : 0,
      connections: report?.connections ?? 0,
      heapBytes: report?.heapBytes ?? 0,
      restarts: this.#restarts,
    };
  }

  /** Ends an event loop that has stood still for too long. */
  check(now: number, withinMs: number): void {
    if (this.#loop instanceof ThreadLoop && this.#serving) this.#loop.check(now, withinMs);
  }

  /** Ends its event loop as if it had failed. */
  kill(): void {
    if (this.#loop instanceof ThreadLoop) this.#loop.kill('failed');
  }

  /** Calls `replace` when it is time for another event loop: at once, unless the last ones died soon as well. */
  replaceSoon(replace: () => Promise<void>): void {
    const pauseMs = this.#early === 0 ? 0 : Math.min(FIRST_PAUSE_MS * 2 ** (this.#early - 1), LONGEST_PAUSE_MS);
    this.#early++;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#timer = null;
      if (!this.#ending) void replace();
    }, pauseMs);
  }

  async drain(timeoutMs: number): Promise<readonly Cut[]> {
    this.#end();
    return (await this.#loop?.drain(timeoutMs)) ?? [];
  }

  async stop(): Promise<void> {
    this.#end();
    await this.#loop?.stop();
  }

  #end(): void {
    this.#ending = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
  }

  #start(heapBytes: number): EventLoop {
    const news = (one: News): void => this.#events.news(one, this);
    if (!this.#inThread) return new OwnLoop(this.#log, news);
    const loop = this.#events.thread(heapBytes);
    loop.settle(this.#log, news);
    loop.onDeath = (death) => this.#died(loop, death);
    return loop;
  }

  #died(loop: ThreadLoop, death: Death): void {
    if (this.#loop !== loop) return;
    this.#loop = null;
    this.#stuck ||= loop.stuck;
    // Its descriptors may belong to others by now.
    this.ports = [];
    const served = this.#serving;
    this.#serving = false;
    if (!served) return;
    this.#missing = true;
    this.#diedMs = performance.now();
    const servedMs = this.#diedMs - this.#bornMs;
    if (servedMs > SETTLED_MS) this.#early = 0;
    this.#restarts++;
    this.#log.error('event loop is lost with its connections', {
      worker: this.place,
      cause: death,
      afterS: Math.round(servedMs / 1000),
    });
    this.#events.died(this);
  }
}

/** What a promise comes to, or `late`. */
async function within<Value, Late>(promise: Promise<Value>, ms: number, late: Late): Promise<Value | Late> {
  let timer: NodeJS.Timeout | undefined;
  const passed = new Promise<Late>((resolve) => {
    timer = setTimeout(resolve, ms, late);
  });
  try {
    return await Promise.race([promise, passed]);
  } finally {
    clearTimeout(timer);
  }
}
