// All event loops of the process, and a spare one. They go over to what comes next together, or not at all. They may become
// more, but not fewer: a listening socket that is closed takes with it who waits there to be accepted, and only another
// process can be given it (see upgrade).

import type { Configuration } from '../config/configuration.ts';
import type { Cut } from '../server/listener.ts';
import type { BoundPort } from '../server/server.ts';
import type { EventLoop, LoopReport, News, Order } from './channel.ts';
import type { Chorus } from './chorus.ts';
import { Losses } from './losses.ts';
import { Seat, type SeatEvents } from './seat.ts';
import { addStatuses } from './statuses.ts';
import { ThreadLoop } from './thread.ts';

/** Counters are taken down once a second or so; of very many endpoints less often, a millisecond for each. */
const NOTE_MS = 900;
/** How long after a start or a reload a spare event loop is made. */
const SPARE_AFTER_MS = 2000;

/** Event loops that are to serve next: those that stay, and new ones. Either `commit` or `discard` is to follow. */
export interface NextCrew {
  readonly kept: readonly Seat[];
  readonly fresh: readonly Seat[];
  /** Both, in the order of their places. */
  readonly seats: readonly Seat[];
}

export class Crew {
  readonly #chorus: Chorus;
  readonly #events: SeatEvents;
  #seats: readonly Seat[] = [];
  /** Those that were begun and serve nothing yet. */
  #fresh: readonly Seat[] = [];
  #inThreads = false;
  readonly #losses = new Losses();
  #notedMs = 0;
  #noteMs = NOTE_MS;
  /** A thread that has loaded everything and serves nothing: it takes the place of one that is lost at once. */
  #spare: ThreadLoop | null = null;
  #spareTimer: NodeJS.Timeout | null = null;

  constructor(chorus: Chorus, events: Omit<SeatEvents, 'thread'>) {
    this.#chorus = chorus;
    this.#events = {
      news: events.news,
      died: (seat) => {
        if (seat.known !== null) this.#losses.add(seat.known);
        seat.forget();
        events.died(seat);
      },
      thread: (heapBytes) => this.#thread(heapBytes),
    };
  }

  get seats(): readonly Seat[] {
    return this.#seats;
  }

  /** How many of them have threads of their own. */
  get workers(): number {
    return this.#inThreads ? this.#seats.length : 0;
  }

  /** What the first of them has bound; the others have the same. */
  get ports(): readonly BoundPort[] {
    return this.#seats.find(({ serving }) => serving)?.ports ?? [];
  }

  /** Starts the event loops that a configuration wants besides those that there are: threads take their time. */
  begin(configuration: Configuration): NextCrew {
    const kept = this.#seats;
    const wanted = Math.max(1, configuration.workers);
    // The main thread stays alone once it is.
    const count = kept.length === 0 || this.#inThreads ? Math.max(kept.length, wanted) : kept.length;
    const inThread = kept.length === 0 ? configuration.workers > 0 : this.#inThreads;
    const fresh = Array.from(
      { length: count - kept.length },
      (_, at) => new Seat(kept.length + at, inThread, this.#chorus.voice(kept.length + at), this.#events),
    );
    this.#fresh = fresh;
    for (const seat of fresh) seat.begin(configuration);
    return { kept, fresh, seats: [...kept, ...fresh] };
  }

  /**
   * Gets all of them ready for what `orderFor` says; answers '' or why not. The first goes ahead, and `bound` judges what it
   * has got, for the others to take the same.
   */
  async prepare(
    { seats }: NextCrew,
    orderFor: (place: number) => Order,
    bound: (ports: readonly BoundPort[]) => Promise<string>,
  ): Promise<string> {
    const [first, ...others] = seats;
    const fault = await first!.prepare(orderFor(0));
    if (fault !== '') return fault;
    const taken = await bound(first!.nextPorts);
    if (taken !== '') return taken;
    const faults = await Promise.all(others.map((seat) => seat.prepare(orderFor(seat.place))));
    return faults.find((one) => one !== '') ?? '';
  }

  /** Resolves once nothing of it is left. */
  async discard({ kept, fresh }: NextCrew): Promise<void> {
    await Promise.all([...kept.map((seat) => seat.abort()), ...fresh.map((seat) => seat.stop())]);
    this.#fresh = [];
  }

  /** Resolves once all serve what they were prepared for; to false when one has died instead. */
  async commit(
    { seats }: NextCrew,
    { workers, workerMemoryBytes: heapBytes, drainTimeoutMs }: Configuration,
    news: readonly News[],
  ): Promise<boolean> {
    if (this.#seats.length === 0) this.#inThreads = workers > 0;
    this.#seats = seats;
    this.#fresh = [];
    this.#wantSpare(heapBytes);
    return (await Promise.all(seats.map((seat) => seat.commit(drainTimeoutMs, news)))).every(Boolean);
  }

  /** Whether it belongs to those that serve. */
  has(seat: Seat): boolean {
    return this.#seats.includes(seat);
  }

  tell(news: News, except: Seat | null): void {
    for (const seat of this.#seats) if (seat !== except) seat.tell(news);
  }

  /** Looks whether those in threads turn, and takes down what they have counted: it would be gone with them. */
  look(now: number, standstillMs: number): void {
    for (const seat of this.#seats) seat.check(now, standstillMs);
    if (!this.#inThreads || now - this.#notedMs < this.#noteMs) return;
    this.#notedMs = now;
    void this.#report(NOTE_MS).then(([report]) => {
      const endpoints = report?.clusters.reduce((sum, cluster) => sum + cluster.endpoints.length, 0) ?? 0;
      this.#noteMs = Math.max(NOTE_MS, endpoints);
    });
  }

  /**
   * What they report, by the order of their places; of one that does not answer in time what it said last, null when nothing
   * is known of it. And that added up with what others have counted that are gone.
   */
  async statuses(
    withinMs: number,
  ): Promise<{ readonly reports: readonly (LoopReport | null)[] } & ReturnType<typeof addStatuses>> {
    const seats = this.#seats;
    // What is known of one that is gone is among the losses.
    const reports = (await this.#report(withinMs)).map(
      (report, place) => report ?? (seats[place]!.serving ? seats[place]!.known : null),
    );
    return { reports, ...addStatuses([...reports, this.#losses.among(reports)], this.ports) };
  }

  #report(withinMs: number): Promise<(LoopReport | null)[]> {
    return Promise.all(this.#seats.map((seat) => seat.report(withinMs)));
  }

  /** Another process has all ports of these event loops too. One that came later has sockets of its own. */
  handOver(loops: ReadonlySet<EventLoop | null> = new Set(this.#seats.map(({ loop }) => loop))): void {
    for (const { loop } of this.#seats) if (loops.has(loop)) loop?.handOver();
  }

  /** Answers what was cut off. */
  async drain(timeoutMs: number): Promise<readonly Cut[]> {
    this.#dropSpare();
    return (await Promise.all(this.#seats.map((seat) => seat.drain(timeoutMs)))).flat();
  }

  async stop(): Promise<void> {
    this.#dropSpare();
    await Promise.all([...this.#seats, ...this.#fresh].map((seat) => seat.stop()));
  }

  #thread(heapBytes: number): ThreadLoop {
    const spare = this.#spare;
    if (spare === null || spare.heapBytes !== heapBytes) return new ThreadLoop(this.#chorus.voice(-1), heapBytes);
    this.#spare = null;
    this.#wantSpare(heapBytes);
    return spare;
  }

  /** Not at once: whoever starts or reloads has better things to do. */
  #wantSpare(heapBytes: number): void {
    if (this.#spare !== null && this.#spare.heapBytes !== heapBytes) this.#dropSpare();
    if (this.#spareTimer !== null) clearTimeout(this.#spareTimer);
    this.#spareTimer = null;
    if (!this.#inThreads) return this.#dropSpare();
    if (this.#spare !== null) return;
    this.#spareTimer = setTimeout(() => {
      const spare = new ThreadLoop(this.#chorus.voice(-1), heapBytes);
      spare.onDeath = () => {
        if (this.#spare === spare) this.#spare = null;
      };
      this.#spare = spare;
    }, SPARE_AFTER_MS);
    this.#spareTimer.unref();
  }

  #dropSpare(): void {
    if (this.#spareTimer !== null) clearTimeout(this.#spareTimer);
    this.#spareTimer = null;
    void this.#spare?.stop();
    this.#spare = null;
  }
}
