// An event loop in a worker thread, as the supervisor holds it: calls become messages, and the thread is watched, since
// one that has ended or does not turn any more answers nothing.

import type { Worker } from 'node:worker_threads';
import { startThread } from '../base/asset.ts';
import { type Log, levelOf } from '../base/log.ts';
import type { Cut } from '../server/listener.ts';
import type { Call, EventLoop, LoopReport, News, Order, PrepareResult, Said, ThreadStart } from './channel.ts';

/** Why a thread is not there any more. */
export type Death = 'ended' | 'out of memory' | 'does not turn' | 'failed';

/** All that have begun and not ended: exit(3) waits for each of them. */
const alive = new Set<ThreadLoop>();

/** Whether there are threads yet. */
export function hasThreads(): boolean {
  return alive.size > 0;
}

/** Ends all of them at once. */
export function endThreads(): void {
  for (const loop of alive) loop.end();
}

const OVER = 'the event loop has ended';
/** What the main thread has for objects that live shortly; threads would get four times as much, and use it. */
const YOUNG_MB = 48;
/** Longest wait for a thread to break off its connections. */
const STOP_MS = 1000;
/** How often, and how many times, a thread that was killed is looked for: by looks, since the whole process may be stopped meanwhile. */
const END_LOOK_MS = 500;
const END_LOOKS = 10;

export class ThreadLoop implements EventLoop {
  /** Called once when it is gone without having been told to end. */
  onDeath: (death: Death) => void = () => {};
  readonly #thread: Worker;
  readonly heapBytes: number;
  #log: Log;
  #say: (news: News) => void;
  readonly #answers = new Map<number, { resolve: (value: never) => void; reject: (error: Error) => void }>();
  readonly #beats: Int32Array;
  #lastBeat = -1;
  #lastBeatMs = performance.now();
  #checkedMs = Number.POSITIVE_INFINITY;
  #ids = 0;
  #ending = false;
  #over = false;
  #death: Death | null = null;
  /** Looks for its end once it was killed. */
  #looks: NodeJS.Timeout | null = null;
  #stuck = false;

  /** `log` and `say` until it gets a place. */
  constructor(log: Log, heapBytes: number, say: (news: News) => void = () => {}) {
    this.#log = log;
    this.#say = say;
    this.heapBytes = heapBytes;
    const beats = new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT);
    this.#beats = new Int32Array(beats);
    const workerData: ThreadStart = { logLevel: levelOf(log), beats };
    this.#thread = startThread('lib/process/worker', {
      workerData,
      resourceLimits: {
        maxOldGenerationSizeMb: Math.ceil(heapBytes / 1024 / 1024),
        maxYoungGenerationSizeMb: YOUNG_MB,
      },
    });
    this.#thread.on('message', (said: Said) => {
      if (said.kind === 'news') this.#say(said.news);
      else if (said.kind === 'log') this.#log[said.level](said.message, said.fields);
      else this.#answered(said);
    });
    this.#thread.on('error', (error: NodeJS.ErrnoException) => {
      this.#death ??= error.code === 'ERR_WORKER_OUT_OF_MEMORY' ? 'out of memory' : 'failed';
      if (this.#death === 'failed') this.#log.error('event loop failed', { error });
    });
    alive.add(this);
    this.#thread.once('exit', () => {
      alive.delete(this);
      this.#gone();
    });
  }

  /** It has ended without having been told to, or is about to. */
  get dying(): boolean {
    return this.#death !== null;
  }

  /**
   * It was told to end and has not: it waits for a file system that does not answer. It counts as gone, but its sockets
   * stay open, and nobody accepts there any more.
   */
  get stuck(): boolean {
    return this.#stuck;
  }

  /** It has a place from now on, and speaks for it. */
  settle(log: Log, say: (news: News) => void): void {
    this.#log = log;
    this.#say = say;
    this.#lastBeatMs = performance.now();
  }

  prepare(order: Order): Promise<PrepareResult> {
    return this.#ask('prepare', order);
  }

  async commit(drainTimeoutMs: number, news: readonly News[]): Promise<void> {
    try {
      await this.#ask('commit', drainTimeoutMs, news);
    } catch (error) {
      // One that cannot, or has died meanwhile, is replaced by one that begins with what holds then.
      this.#log.error('an event loop has not gone over to the configuration', { error });
      this.kill('failed');
    }
  }

  async abort(): Promise<void> {
    // One that is gone has nothing any more.
    await this.#ask('abort').catch(() => {});
  }

  tell(news: News): void {
    this.#order('tell', news);
  }

  report(): Promise<LoopReport> {
    return this.#ask('report');
  }

  handOver(): void {
    this.#order('handOver');
  }

  async drain(timeoutMs: number): Promise<readonly Cut[]> {
    // One that dies while it drains cannot tell what it had: others have counted that.
    const cuts = await this.#ask('drain', timeoutMs).catch(() => []);
    await this.stop();
    return cuts;
  }

  async stop(): Promise<void> {
    this.#ending = true;
    // A thread that is just ended closes its connections as if all had been said; told to stop, it breaks them off.
    await atMost(
      STOP_MS,
      this.#ask('stop').catch(() => {}),
    );
    if (!this.#stuck) await atMost(END_LOOK_MS * END_LOOKS, this.#thread.terminate());
    this.#stuck = alive.has(this);
  }

  /** Ends it without a word, and whether it does is not looked at. */
  end(): void {
    this.#ending = true;
    void this.#thread.terminate();
  }

  /** Ends a thread that has stood still for longer than `withinMs`; to be asked several times within that. */
  check(now: number, withinMs: number): boolean {
    const beat = Atomics.load(this.#beats, 0);
    // Whoever looks so late has stood still as well: the whole process or machine was stopped, and it has yet to beat again.
    const late = now - this.#checkedMs > withinMs / 2;
    this.#checkedMs = now;
    if (beat !== this.#lastBeat || late) {
      this.#lastBeat = beat;
      this.#lastBeatMs = now;
      return true;
    }
    if (now - this.#lastBeatMs < withinMs) return true;
    if (!this.#ending && this.#death === null) this.kill('does not turn');
    return false;
  }

  /** Ends the thread as if it had died. */
  kill(death: Death): void {
    this.#death ??= death;
    if (this.#over) return;
    void this.#thread.terminate();
    let looks = 0;
    this.#looks ??= setInterval(() => {
      if (++looks < END_LOOKS) return;
      this.#stuck = true;
      this.#gone();
    }, END_LOOK_MS);
  }

  #gone(): void {
    if (this.#looks !== null) clearInterval(this.#looks);
    if (this.#over) return;
    this.#over = true;
    const error = new Error(OVER);
    for (const { reject } of this.#answers.values()) reject(error);
    this.#answers.clear();
    if (!this.#ending) this.onDeath(this.#death ?? 'ended');
  }

  #answered(said: Said & { kind: 'answer' | 'failure' }): void {
    const waiting = this.#answers.get(said.id);
    this.#answers.delete(said.id);
    if (said.kind === 'answer') waiting?.resolve(said.value as never);
    else waiting?.reject(new Error(said.fault));
  }

  #ask<Name extends keyof EventLoop>(
    name: Name,
    ...given: Parameters<EventLoop[Name]>
  ): Promise<Awaited<ReturnType<EventLoop[Name]>>> {
    return new Promise((resolve, reject) => {
      if (this.#over) return reject(new Error(OVER));
      const id = ++this.#ids;
      this.#answers.set(id, { resolve, reject });
      this.#thread.postMessage({ id, name, with: given } as unknown as Call);
    });
  }

  #order<Name extends keyof EventLoop>(name: Name, ...given: Parameters<EventLoop[Name]>): void {
    this.#ask(name, ...given).catch((error: Error) => this.#log.debug('not heard', { name, cause: error.message }));
  }
}

/** Waits for what does not fail, for so long. */
async function atMost(ms: number, promise: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  await Promise.race([promise, late]);
  clearTimeout(timer);
}
