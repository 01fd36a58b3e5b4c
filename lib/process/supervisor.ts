// The running proxy: goes from configuration to configuration, all at once or not at all, replaces event loops that fail,
// hands over to a successor, and ends. No connection passes through here.

import { EventEmitter } from 'node:events';
import about from '../../package.json' with { type: 'json' };
import type { ClusterStatus, Control, Refusal, ReloadResult, Status } from '../admin/control.ts';
import { formatAddress } from '../base/address.ts';
import type { Log } from '../base/log.ts';
import { compareConfigurations } from '../config/compare.ts';
import type { Configuration } from '../config/configuration.ts';
import { formatConfigError } from '../config/error.ts';
import type { ReadResult } from '../config/read.ts';
import { Crowd, crowdMemory } from '../server/crowd.ts';
import type { StartFault } from '../server/server.ts';
import { clusterFiles, listenerFiles, Materials } from '../tls/material.ts';
import { ticketSecret, ticketTurn } from '../tls/ticket.ts';
import type { ChangeRefusal, EndpointChange } from '../upstream/membership.ts';
import { Addresses, bindsOf } from './addresses.ts';
import { AdminDoor, type NextAdmin } from './admin-door.ts';
import type { News, Order } from './channel.ts';
import { Chorus } from './chorus.ts';
import { Crew, type NextCrew } from './crew.ts';
import { Departure, type Ending } from './departure.ts';
import { Inheritance } from './inheritance.ts';
import { Reading } from './reading.ts';
import type { Seat } from './seat.ts';
import { handOver, refuseSuccessor } from './succession.ts';
import { Turns } from './turns.ts';
import { type NextWatch, Watch } from './watch.ts';

export interface SupervisorEvents {
  /** A configuration has taken effect. */
  configured: [generation: number];
  /** A reload has begun, and ended: '' when it did what it should. */
  reloading: [];
  reloaded: [fault: string];
  /** From now on it is not ready any more; `succeeded`: a successor serves in its place. */
  draining: [succeeded: boolean];
  ended: [ending: Ending];
}

export interface SupervisorOptions {
  /** Reads the configuration anew; without it there is nothing to reload. */
  readonly read?: () => Promise<ReadResult>;
  /** Longest wait for it. */
  readonly readWithinMs?: number;
  /** Sockets that a predecessor has handed over. */
  readonly inheritance?: Inheritance;
  /** This process can be started once more by its own arguments, and says then that it serves. */
  readonly upgradable?: boolean;
  /** Breaks off a start that is under way. */
  readonly signal?: AbortSignal;
  /** Of this process, where it is not to be believed. */
  readonly pid?: number;
  /** Binds without leaving room for others on the same ports: with `workers: 0` alone. */
  readonly exclusive?: boolean;
  /** How long an event loop may stand still before it is replaced. */
  readonly standstillMs?: number;
}

const STANDSTILL_MS = 10_000;
/** How often event loops are looked at while one may stand still for so long. */
const LOOKS = 10;
/** An event loop that does not answer must not keep others from telling their status. */
const REPORT_MS = 2000;

const DRAINING: Refusal = { status: 409, fault: 'it is draining' };

/** What is ready to take effect. */
interface Next {
  readonly configuration: Configuration;
  readonly watch: NextWatch;
  readonly admin: NextAdmin;
  readonly crew: NextCrew;
}

export class Supervisor extends EventEmitter<SupervisorEvents> implements Control {
  readonly #log: Log;
  readonly #options: SupervisorOptions;
  readonly #addresses: Addresses;
  readonly #watch: Watch;
  readonly #crew: Crew;
  readonly #bornMs = performance.now();
  readonly #tickets = { secret: ticketSecret(), turn: ticketTurn() };
  /** By listener: where its connections are counted. */
  readonly #crowds = new Map<string, SharedArrayBuffer>();
  readonly #materials = new Materials();
  #configuration: Configuration;
  readonly #admin: AdminDoor;
  #generation = 0;
  #configuredMs = 0;
  #reloadFault = '';
  #timer: NodeJS.Timeout | null = null;
  readonly #reading: Reading | null;
  /** What changes event loops happens one after the other. Nothing in it waits for others than them. */
  readonly #turn = new Turns();
  /** So do reloads and upgrades, which do: meanwhile event loops are replaced as ever. */
  readonly #changes = new Turns();
  readonly #departure: Departure;

  private constructor(configuration: Configuration, log: Log, options: SupervisorOptions) {
    super();
    this.#configuration = configuration;
    this.#log = log;
    this.#options = options;
    this.#reading = options.read === undefined ? null : new Reading(options.read, options.readWithinMs);
    this.#addresses = new Addresses(options.inheritance ?? Inheritance.none, configuration);
    const chorus = new Chorus(log);
    this.#watch = new Watch(chorus.voice(-1), (news) => this.#crew.tell(news, null));
    this.#crew = new Crew(chorus, {
      news: (news, seat) => this.#hear(news, seat),
      died: (seat) => this.#lost(seat),
    });
    this.#admin = new AdminDoor(this, log, this.#addresses);
    this.#departure = new Departure(log, this.#crew, this.#turn, {
      began: (succeeded) => this.emit('draining', succeeded),
      ended: (ending) => this.#ended(ending),
    });
  }

  /** Starts everything, or nothing: then the fault says why. */
  static async start(
    configuration: Configuration,
    log: Log,
    options: SupervisorOptions = {},
  ): Promise<Supervisor | StartFault> {
    const supervisor = new Supervisor(configuration, log, options);
    const stop = (): void => supervisor.stop();
    if (options.signal?.aborted) stop();
    options.signal?.addEventListener('abort', stop);
    const fault = await supervisor.#turn.take(() => supervisor.#goOver(configuration));
    options.signal?.removeEventListener('abort', stop);
    if (fault !== '') {
      if (supervisor.#generation > 0) await supervisor.#departure.stop();
      supervisor.#departure.finish('failed');
      return { fault };
    }
    supervisor.#addresses.closeRest(configuration);
    const { standstillMs = STANDSTILL_MS } = options;
    supervisor.#timer = setInterval(() => supervisor.#crew.look(performance.now(), standstillMs), standstillMs / LOOKS);
    supervisor.#timer.unref();
    return supervisor;
  }

  /** Resolves once nothing is open any more. */
  get ended(): Promise<Ending> {
    return this.#departure.ended;
  }

  /** Whether new connections are welcome. */
  get ready(): boolean {
    return this.#generation > 0 && !this.#departure.begun && this.#crew.seats.some(({ serving }) => serving);
  }

  /** Whether it serves at all: an event loop that is lost is replaced while the others go on. */
  get sound(): boolean {
    return this.#crew.seats.some(({ serving }) => serving);
  }

  /** What is served. */
  get configuration(): Configuration {
    return this.#configuration;
  }

  /** How many event loops in threads there are. */
  get workers(): number {
    return this.#crew.workers;
  }

  get generation(): number {
    return this.#generation;
  }

  /** Of the listeners, as bound. */
  get addresses(): readonly { listener: string; address: string }[] {
    return this.#crew.ports.map(({ listener, address }) => ({ listener, address: formatAddress(address) }));
  }

  /** Of the admin listener, '' without one. */
  get adminAddress(): string {
    return this.#admin.address;
  }

  /** Event loops by their places. */
  get seats(): readonly Seat[] {
    return this.#crew.seats;
  }

  /** Reads the configuration anew and goes over to it, all or nothing; with `plan` it only tells what would change. */
  async reload(plan = false): Promise<ReloadResult | Refusal> {
    const reading = this.#reading;
    if (reading === null) return { status: 409, fault: 'it was not started from a configuration file' };
    if (this.#departure.begun) return DRAINING;
    if (plan) return this.#reload(reading, true);
    return this.#changes.take(async () => {
      if (this.#departure.begun) return DRAINING;
      this.emit('reloading');
      this.#reloadFault = 'it was broken off';
      try {
        const result = await this.#reload(reading, false);
        this.#reloadFault = 'fault' in result ? result.fault : result.errors.join('\n');
        return result;
      } finally {
        if (this.#reloadFault !== '') {
          this.#log.error('not reloaded, nothing has changed', { fault: this.#reloadFault });
        }
        this.emit('reloaded', this.#reloadFault);
      }
    });
  }

  /** Goes over to `configuration`, all or nothing; answers '' or why not. */
  configure(configuration: Configuration): Promise<string> {
    return this.#changes.take(() => this.#turn.take(() => this.#goOver(configuration)));
  }

  /** Accepts nothing new and lets what is open finish, as long as the configuration allows; false when that had begun. */
  drain(): boolean {
    if (this.#departure.begun) return false;
    this.#drain(this.#configuration.drainDelayMs, 'drained', false);
    return true;
  }

  /** Breaks off what is open. */
  stop(): void {
    void this.#departure.stop();
  }

  /** Starts a successor that takes over all ports, then drains. */
  upgrade(): Promise<{ readonly pid: number } | Refusal> {
    return this.#changes.take(async () => {
      const { upgradable = false, pid = process.pid } = this.#options;
      const refusal = refuseSuccessor(upgradable, pid);
      if (refusal !== null) return refusal;
      // Whoever is just being replaced has its sockets by then.
      await this.#turn.last;
      if (this.#departure.begun) return DRAINING;
      const started = await handOver(this.#crew, this.#admin, this.#log, this.#departure.leaving);
      if ('pid' in started) this.#drain(0, 'drained', true);
      return started;
    });
  }

  async status(): Promise<Status> {
    const { reports, listeners } = await this.#crew.statuses(REPORT_MS);
    return {
      version: about.version,
      pid: process.pid,
      state: this.#departure.begun ? 'draining' : 'serving',
      uptimeS: Math.floor((performance.now() - this.#bornMs) / 1000),
      generation: this.#generation,
      configured: new Date(this.#configuredMs).toISOString(),
      reloadFault: this.#reloadFault,
      connections: reports.reduce((sum, report) => sum + (report?.connections ?? 0), 0),
      workers: this.#crew.seats.map((seat, place) => seat.status(reports[place] ?? null, this.#departure.begun)),
      listeners,
    };
  }

  async clusters(): Promise<readonly ClusterStatus[]> {
    const { clusters } = await this.#crew.statuses(REPORT_MS);
    return clusters.map((cluster) => ({
      ...cluster,
      ...this.#watch.discovery(cluster.name),
      endpoints: cluster.endpoints.map((endpoint) => ({
        ...endpoint,
        checks: this.#watch.checks(cluster.name, endpoint.address),
      })),
    }));
  }

  async change(cluster: string, change: EndpointChange): Promise<Refusal | null> {
    const refusal = this.#watch.change(cluster, change);
    if (refusal === null) return null;
    if (refusal === 'no cluster') return { status: 404, fault: `there is no cluster "${cluster}"` };
    return { status: refusal === 'not known' ? 404 : 409, fault: REFUSALS[refusal] };
  }

  async #reload(reading: Reading, plan: boolean): Promise<ReloadResult | Refusal> {
    const found = await reading.next(this.#departure.leaving);
    if ('fault' in found) return this.#departure.begun ? DRAINING : { status: 500, fault: found.fault };
    const generation = this.#generation;
    if ('errors' in found) {
      return { errors: found.errors.map(formatConfigError), warnings: [], changes: [], generation };
    }
    const { configuration } = found;
    const warnings = found.warnings.map(formatConfigError);
    const changes = compareConfigurations(this.#configuration, configuration);
    if (plan || changes.length === 0) {
      if (!plan) this.#log.info('reloaded: nothing has changed', { generation });
      return { errors: [], warnings, changes, generation };
    }
    const fault = await this.#turn.take(() => this.#goOver(configuration));
    if (fault !== '') return { status: 409, fault };
    this.#log.info('reloaded', { generation: this.#generation });
    return { errors: [], warnings, changes, generation: this.#generation };
  }

  /** All or nothing; answers '' or why not. */
  async #goOver(configuration: Configuration): Promise<string> {
    if (this.#departure.begun) return 'it is draining';
    const next = await this.#prepare(configuration);
    if ('fault' in next) return next.fault;
    if ((await this.#commit(next)) || this.#options.inheritance?.succeeds !== true || this.#generation > 1) return '';
    // Nobody would accept what waits at the sockets that it was given, which this process has open yet: the predecessor has
    // them still, and goes on.
    this.#crew.handOver();
    this.#admin.handOver();
    return 'an event loop has failed while it took over listening sockets';
  }

  /** Gets everything ready, or nothing. */
  async #prepare(configuration: Configuration): Promise<Next | StartFault> {
    const crew = this.#crew.begin(configuration);
    let admin: NextAdmin = null;
    const take = (next: NextAdmin | StartFault): string => {
      if (next !== null && 'fault' in next) return next.fault;
      admin = next;
      return '';
    };
    let watch: NextWatch | null = null;
    let fault: string;
    try {
      fault = await this.#addresses.probe(configuration);
      if (fault === '') fault = take(await this.#admin.prepare(configuration.admin));
      if (fault === '') watch = await this.#watch.prepare(configuration);
      if (watch !== null) {
        const known = watch.configuration;
        fault = await this.#crew.prepare(
          crew,
          (place) => this.#order(place, crew.seats.length, known),
          (ports) => this.#addresses.note(ports),
        );
      }
      if (fault === '') fault = take(await this.#admin.move(configuration.admin, admin));
    } catch (error) {
      // A file that was there when the document was checked, and is not any more.
      fault = error instanceof Error ? error.message : String(error);
    }
    // Meanwhile it may have been told to end.
    if (this.#departure.begun) fault ||= 'it is draining';
    if (fault === '' && watch !== null) return { configuration, watch, admin, crew };
    await this.#crew.discard(crew);
    watch?.abort();
    this.#addresses.giveUp(this.#configuration);
    this.#admin.abort(admin);
    return { fault };
  }

  /** Resolves once all event loops serve it: who is told of a reload finds it done. To false when one has died instead. */
  async #commit({ configuration, watch, admin, crew }: Next): Promise<boolean> {
    watch.commit();
    const committed = this.#crew.commit(crew, configuration, this.#watch.news);
    this.#admin.commit(admin, configuration.admin);
    this.#configuration = configuration;
    this.#addresses.settle(configuration);
    this.#materials.retain(filesOf(configuration));
    for (const name of this.#crowds.keys())
      if (!Object.hasOwn(configuration.listeners, name)) this.#crowds.delete(name);
    if (this.#crew.workers !== configuration.workers) {
      this.#log.warn(
        'fewer event loops, or the main thread alone or not, come with the next process: millrace upgrade',
        {
          workers: this.#crew.workers,
          wanted: configuration.workers,
        },
      );
    }
    this.#generation++;
    this.#configuredMs = Date.now();
    const whole = await committed;
    this.emit('configured', this.#generation);
    return whole;
  }

  #order(place: number, count: number, configuration: Configuration): Order {
    for (const name of Object.keys(configuration.listeners)) {
      if (!this.#crowds.has(name)) this.#crowds.set(name, crowdMemory());
    }
    return {
      configuration,
      place,
      count,
      tickets: this.#tickets,
      // One that is alone leaves room for others too, so that a successor can have threads.
      shared: this.#options.exclusive !== true && SHARES,
      ...this.#addresses.orderFor(configuration, place, count),
      crowds: this.#crowds,
      materials: this.#materials.all,
    };
  }

  #hear(news: News, seat: Seat): void {
    if (news.kind === 'material') return this.#materials.keep(news.files, news.contents);
    this.#watch.hear(news);
    this.#crew.tell(news, seat);
  }

  /** An event loop is gone with all that it had; another takes its place. */
  #lost(seat: Seat): void {
    for (const [listener, memory] of this.#crowds) {
      const crowd = new Crowd(memory, seat.place);
      if (this.#departure.begun) this.#departure.cuts.lost(listener, crowd.own);
      crowd.clear();
    }
    if (this.#departure.begun || !this.#crew.has(seat)) return;
    if (seat.stuck) {
      this.#log.error('an event loop waits for a file system that does not answer and cannot be ended: ending', {
        worker: seat.place,
      });
      this.#drain(0, 'failed', false);
      return;
    }
    if (seat.place === 0 && bindsOf(this.#configuration).some(({ kind }) => kind === 'fd')) {
      this.#log.error(
        'a socket that was handed over is lost with its event loop: ending, so that it can be handed over again',
      );
      this.#drain(0, 'failed', false);
      return;
    }
    seat.replaceSoon(() => this.#turn.take(() => this.#replace(seat)));
  }

  async #replace(seat: Seat): Promise<void> {
    // A configuration that took effect meanwhile may have brought one along.
    if (this.#departure.begun || seat.serving || !this.#crew.has(seat)) return;
    const order = this.#order(seat.place, this.#crew.seats.length, this.#watch.known);
    const fault = (await seat.prepare(order)) || (seat.loop === null ? 'it has ended' : '');
    if (this.#departure.begun) return seat.abort();
    if (fault === '') {
      await seat.commit(0, this.#watch.news);
      if (seat.serving) this.#log.info('event loop replaced', { worker: seat.place, tookMs: seat.replacedAfterMs });
      return;
    }
    this.#log.error('event loop not replaced', { worker: seat.place, fault });
    await seat.abort();
    this.#lost(seat);
  }

  #drain(delayMs: number, ending: 'drained' | 'failed', succeeded: boolean): void {
    const timeoutMs = (): number => this.#configuration.drainTimeoutMs;
    void this.#departure.drain({ delayMs, timeoutMs, ending, succeeded });
  }

  #ended(ending: Ending): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#watch.stop();
    this.#admin.stop();
    this.emit('ended', ending);
  }
}

/** All files of certificates. */
function filesOf({ listeners, clusters }: Configuration): (readonly string[])[] {
  return [
    ...Object.values(listeners).flatMap(({ tls }) => (tls === null ? [] : listenerFiles(tls))),
    ...Object.values(clusters).flatMap(({ tls }) => (tls === null ? [] : [clusterFiles(tls)])),
  ];
}

/** Whether several sockets can be bound to one address, and the kernel shares connections out among them. */
const SHARES = process.platform === 'linux';

const REFUSALS: Readonly<Record<ChangeRefusal, string>> = {
  'not known': 'the cluster has no such endpoint',
  'known already': 'the cluster has this endpoint already',
  'too many endpoints': 'the cluster has too many endpoints that were added',
};
