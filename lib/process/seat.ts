// A place for an event loop: holds the one that serves now, starts another when it is gone, each time after a longer
// pause, and tells what it is doing.

import type { WorkerStatus } from '../admin/control.ts';
import type { Log } from '../base/log.ts';
import type { Configuration } from '../config/configuration.ts';
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

export class Seat {
  readonly place: number;
  /** What its event loop has bound. */
  ports: readonly BoundPort[] = [];
  /** What it will have bound once what it prepares takes effect. */
  nextPorts: readonly BoundPort[] = [];
  readonly #log: Log;
  readonly #events: SeatEvents;
  #loop: EventLoop | null = null;
  #serving = false;
  #bornMs = 0;
  #diedMs = 0;
  #restarts = 0;
  /** Deaths in a row that came soon after a start. */
  #early = 0;
  #timer: NodeJS.Timeout | null = null;
  #ending = false;

  constructor(place: number, log: Log, events: SeatEvents) {
    this.place = place;
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

  /** From the death of one event loop until the next served. */
  get replacedAfterMs(): number {
    return Math.round(this.#bornMs - this.#diedMs);
  }

  /** Starts an event loop if there is none: threads take their time, and can take it beside each other. */
  begin({ workers, workerMemoryBytes }: Configuration): EventLoop {
    this.#loop ??= this.#start(workers > 0, workerMemoryBytes);
    return this.#loop;
  }

  /** Gets its event loop ready, a new one if there is none; answers '' or why not. */
  async prepare(order: Order): Promise<string> {
    try {
      const result = await this.begin(order.configuration).prepare(order);
      if ('fault' in result) return result.fault;
      this.nextPorts = result.ports;
      return '';
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    }
  }

  /** Resolves once its event loop serves what was prepared. */
  async commit(drainTimeoutMs: number, news: readonly News[]): Promise<void> {
    if (this.#loop === null) {
      // It died after it was ready: it is missing now, and will be replaced by one for the new order.
      this.#diedMs = performance.now();
      return this.#events.died(this);
    }
    if (!this.#serving) this.#bornMs = performance.now();
    const done = this.#loop.commit(drainTimeoutMs, news);
    this.#serving = true;
    this.ports = this.nextPorts;
    return done;
  }

  /** What was prepared will not be; an event loop that serves nothing else ends. */
  abort(): void {
    if (this.#serving) return this.#loop?.abort();
    const loop = this.#loop;
    this.#loop = null;
    if (loop instanceof ThreadLoop) loop.onDeath = () => {};
    void loop?.stop();
  }

  tell(news: News): void {
    if (this.#serving) this.#loop?.tell(news);
  }

  /** Null when it does not answer in time. */
  async report(withinMs: number): Promise<LoopReport | null> {
    if (this.#loop === null || !this.#serving) return null;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<null>((resolve) => {
      timer = setTimeout(resolve, withinMs, null);
    });
    const report = await Promise.race([this.#loop.report().catch(() => null), late]);
    clearTimeout(timer);
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

  async drain(timeoutMs: number): Promise<{ cut: number }> {
    this.#end();
    return (await this.#loop?.drain(timeoutMs)) ?? { cut: 0 };
  }

  async stop(): Promise<void> {
    this.#end();
    await this.#loop?.stop();
  }

  #end(): void {
    this.#ending = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
  }

  #start(inThread: boolean, heapBytes: number): EventLoop {
    const news = (one: News): void => this.#events.news(one, this);
    if (!inThread) return new OwnLoop(this.#log, news);
    const loop = this.#events.thread(heapBytes);
    loop.settle(this.#log, news);
    loop.onDeath = (death) => this.#died(loop, death);
    return loop;
  }

  #died(loop: ThreadLoop, death: Death): void {
    if (this.#loop !== loop) return;
    this.#loop = null;
    // Its descriptors may belong to others by now.
    this.ports = [];
    const served = this.#serving;
    this.#serving = false;
    if (!served) return;
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
