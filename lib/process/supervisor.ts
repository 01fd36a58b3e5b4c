// The running proxy: goes from configuration to configuration, all at once or not at all, replaces event loops that fail,
// hands over to a successor, and ends. No connection passes through here.

import { EventEmitter } from 'node:events';
import about from '../../package.json' with { type: 'json' };
import { Api } from '../admin/api.ts';
import type { ClusterStatus, Control, Refusal, ReloadResult, Status } from '../admin/control.ts';
import { AdminServer } from '../admin/server.ts';
import { formatAddress } from '../base/address.ts';
import type { Log } from '../base/log.ts';
import { compareConfigurations } from '../config/compare.ts';
import type { Configuration } from '../config/configuration.ts';
import { readEndpoint } from '../config/endpoint-list.ts';
import { formatConfigError } from '../config/error.ts';
import type { ReadResult } from '../config/read.ts';
import { Crowd, crowdMemory } from '../server/crowd.ts';
import type { StartFault } from '../server/server.ts';
import { clusterFiles, listenerFiles, Materials } from '../tls/material.ts';
import { ticketSecret, ticketTurn } from '../tls/ticket.ts';
import type { ChangeRefusal, EndpointChange } from '../upstream/membership.ts';
import { ADMIN_KEY, Addresses, bindsOf, isSameAddress } from './addresses.ts';
import type { News, Order } from './channel.ts';
import { Chorus } from './chorus.ts';
import { Crew, type NextCrew } from './crew.ts';
import { Inheritance } from './inheritance.ts';
import type { Seat } from './seat.ts';
import { addStatuses } from './statuses.ts';
import { startSuccessor } from './successor.ts';
import { type NextWatch, Watch } from './watch.ts';

/** How a proxy ended: `cut`, when what was open did not finish in time. */
export type Ending = 'drained' | 'cut' | 'stopped' | 'failed';

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
  /** Sockets that a predecessor has handed over. */
  readonly inheritance?: Inheritance;
  /** This process can be started once more by its own arguments, and says then that it serves. */
  readonly upgradable?: boolean;
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

/** What is ready to take effect. */
interface Next {
  readonly configuration: Configuration;
  readonly watch: NextWatch;
  readonly admin: AdminServer | null;
  readonly crew: NextCrew;
}

export class Supervisor extends EventEmitter<SupervisorEvents> implements Control {
  /** Resolves once nothing is open any more. */
  readonly ended: Promise<Ending>;
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
  #admin: AdminServer | null = null;
  #generation = 0;
  #configuredMs = 0;
  #reloadFault = '';
  #draining = false;
  #over = false;
  #timer: NodeJS.Timeout | null = null;
  /** Ends the start of a successor. */
  readonly #leavingSoon = new AbortController();
  /** What changes event loops happens one after the other. */
  #turn: Promise<unknown> = Promise.resolve();
  #end: (ending: Ending) => void = () => {};

  private constructor(configuration: Configuration, log: Log, options: SupervisorOptions) {
    super();
    this.#configuration = configuration;
    this.#log = log;
    this.#options = options;
    this.#addresses = new Addresses(options.inheritance ?? Inheritance.none, configuration);
    const chorus = new Chorus(log);
    this.#watch = new Watch(chorus.voice(-1), (news) => this.#crew.tell(news, null));
    this.#crew = new Crew(chorus, {
      news: (news, seat) => this.#hear(news, seat),
      died: (seat) => this.#lost(seat),
    });
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
  }

  /** Starts everything, or nothing: then the fault says why. */
  static async start(
    configuration: Configuration,
    log: Log,
    options: SupervisorOptions = {},
  ): Promise<Supervisor | StartFault> {
    const supervisor = new Supervisor(configuration, log, options);
    const fault = await supervisor.#inTurn(() => supervisor.#goOver(configuration));
    if (fault !== '') {
      supervisor.#finish('failed');
      return { fault };
    }
    supervisor.#addresses.closeRest();
    const { standstillMs = STANDSTILL_MS } = options;
    supervisor.#timer = setInterval(() => supervisor.#crew.look(performance.now(), standstillMs), standstillMs / LOOKS);
    supervisor.#timer.unref();
    return supervisor;
  }

  /** Whether new connections are welcome. */
  get ready(): boolean {
    return this.#generation > 0 && !this.#draining && this.#crew.seats.some(({ serving }) => serving);
  }

  /** Whether all event loops turn. */
  get sound(): boolean {
    return this.#crew.seats.every(({ serving }) => serving);
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
    return this.#admin?.address ?? '';
  }

  /** Event loops by their places. */
  get seats(): readonly Seat[] {
    return this.#crew.seats;
  }

  /** Reads the configuration anew and goes over to it, all or nothing; with `plan` it only tells what would change. */
  reload(plan = false): Promise<ReloadResult | Refusal> {
    return this.#inTurn(async () => {
      const { read } = this.#options;
      if (this.#draining) return { status: 409, fault: 'it is draining' };
      if (read === undefined) return { status: 409, fault: 'it was not started from a configuration file' };
      if (plan) return this.#reload(read, true);
      this.emit('reloading');
      this.#reloadFault = 'it was broken off';
      try {
        const result = await this.#reload(read, false);
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
    return this.#inTurn(() => this.#goOver(configuration));
  }

  /** Accepts nothing new and lets what is open finish, as long as the configuration allows; false when that had begun. */
  drain(): boolean {
    if (this.#draining) return false;
    void this.#drain(this.#configuration.drainDelayMs, 'drained', false);
    return true;
  }

  /** Breaks off what is open. */
  stop(): void {
    this.#draining = true;
    this.#leavingSoon.abort();
    // A configuration that is on its way gives up first, and with it what it has prepared.
    void this.#inTurn(() => this.#crew.stop()).then(() => this.#finish('stopped'));
  }

  /** Starts a successor that takes over all ports, then drains. */
  upgrade(): Promise<{ readonly pid: number } | Refusal> {
    return this.#inTurn(async () => {
      if (this.#draining) return { status: 409, fault: 'it is draining' };
      if (this.#options.upgradable !== true) {
        return { status: 409, fault: 'it runs within another program, which would be started once more' };
      }
      const ports = this.#crew.seats.flatMap(({ ports }) => ports).filter(({ descriptor }) => descriptor >= 0);
      const { admin: bound } = this.#configuration;
      const admin =
        this.#admin === null || bound === null
          ? []
          : [{ key: ADMIN_KEY, address: bound.bind, descriptor: this.#admin.descriptor }];
      this.#log.info('starting a successor', { program: process.execPath });
      const started = await startSuccessor([...ports, ...admin], this.#leavingSoon.signal, (how) =>
        this.#log.error('the successor has ended', { how }),
      );
      if ('fault' in started) {
        this.#log.error('the successor did not start, this process goes on', { fault: started.fault });
        return { status: 500, fault: started.fault };
      }
      this.#log.info('the successor serves', { pid: started.pid });
      this.#crew.handOver();
      // Whoever asks from now on is answered by the successor.
      this.#admin?.handOver();
      this.#admin?.stop();
      this.#admin = null;
      void this.#drain(0, 'drained', true);
      return started;
    });
  }

  async status(): Promise<Status> {
    const reports = await this.#crew.report(REPORT_MS);
    return {
      version: about.version,
      pid: process.pid,
      state: this.#draining ? 'draining' : 'serving',
      uptimeS: Math.floor((performance.now() - this.#bornMs) / 1000),
      generation: this.#generation,
      configured: new Date(this.#configuredMs).toISOString(),
      reloadFault: this.#reloadFault,
      connections: reports.reduce((sum, report) => sum + (report?.connections ?? 0), 0),
      workers: this.#crew.seats.map((seat, place) => seat.status(reports[place] ?? null, this.#draining)),
      listeners: addStatuses(reports, this.#crew.ports).listeners,
    };
  }

  async clusters(): Promise<readonly ClusterStatus[]> {
    const reports = await this.#crew.report(REPORT_MS);
    return addStatuses(reports, []).clusters.map((cluster) => ({
      ...cluster,
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

  async #reload(read: () => Promise<ReadResult>, plan: boolean): Promise<ReloadResult | Refusal> {
    const found = await read();
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
    const fault = await this.#goOver(configuration);
    if (fault !== '') return { status: 409, fault };
    this.#log.info('reloaded', { generation: this.#generation });
    return { errors: [], warnings, changes, generation: this.#generation };
  }

  /** All or nothing; answers '' or why not. */
  async #goOver(configuration: Configuration): Promise<string> {
    if (this.#draining) return 'it is draining';
    const next = await this.#prepare(configuration);
    if ('fault' in next) return next.fault;
    await this.#commit(next);
    return '';
  }

  /** Gets everything ready, or nothing. */
  async #prepare(configuration: Configuration): Promise<Next | StartFault> {
    const crew = this.#crew.begin(configuration);
    let admin: AdminServer | StartFault | null = null;
    let watch: NextWatch | null = null;
    let fault: string;
    try {
      fault = await this.#addresses.probe(configuration);
      if (fault === '') admin = await this.#prepareAdmin(configuration);
      if (admin !== null && 'fault' in admin) ({ fault } = admin);
      if (fault === '') watch = await this.#watch.prepare(configuration);
      if (watch !== null) {
        const known = watch.configuration;
        fault = await this.#crew.prepare(
          crew,
          (place) => this.#order(place, crew.seats.length, known),
          (ports) => this.#addresses.note(ports),
        );
      }
    } catch (error) {
      // A file that was there when the document was checked, and is not any more.
      fault = error instanceof Error ? error.message : String(error);
    }
    // Meanwhile it may have been told to end.
    if (this.#draining) fault ||= 'it is draining';
    if (fault === '' && watch !== null && !(admin !== null && 'fault' in admin)) {
      return { configuration, watch, admin, crew };
    }
    await this.#crew.discard(crew);
    watch?.abort();
    this.#addresses.giveUp(this.#configuration);
    if (admin instanceof AdminServer && admin !== this.#admin) admin.stop();
    return { fault };
  }

  /** Resolves once all event loops serve it: who is told of a reload finds it done. */
  async #commit({ configuration, watch, admin, crew }: Next): Promise<void> {
    watch.commit();
    const committed = this.#crew.commit(crew, configuration, this.#watch.news);
    if (admin !== this.#admin) this.#admin?.stop();
    if (configuration.admin !== null) admin?.admit(configuration.admin);
    this.#admin = admin;
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
    await committed;
    this.emit('configured', this.#generation);
  }

  async #prepareAdmin({ admin }: Configuration): Promise<AdminServer | null | StartFault> {
    if (admin === null) return null;
    const now = this.#configuration.admin;
    if (this.#admin !== null && now !== null && isSameAddress(now.bind, admin.bind)) return this.#admin;
    const api = new Api(this, readEndpoint);
    const started = await AdminServer.start(admin, api, this.#log, this.#addresses.takeAdmin());
    if (started instanceof AdminServer) this.#log.info('admin API', { address: started.address });
    return started;
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
    for (const memory of this.#crowds.values()) new Crowd(memory, seat.place).clear();
    if (this.#draining || !this.#crew.has(seat)) return;
    if (seat.place === 0 && bindsOf(this.#configuration).some(({ kind }) => kind === 'fd')) {
      this.#log.error(
        'a socket that was handed over is lost with its event loop: ending, so that it can be handed over again',
      );
      void this.#drain(0, 'failed', false);
      return;
    }
    seat.replaceSoon(() => this.#inTurn(() => this.#replace(seat)));
  }

  async #replace(seat: Seat): Promise<void> {
    if (this.#draining || !this.#crew.has(seat)) return;
    const order = this.#order(seat.place, this.#crew.seats.length, this.#watch.known);
    const fault = await seat.prepare(order);
    if (this.#draining) return seat.abort();
    if (fault === '') {
      await seat.commit(0, this.#watch.news);
      this.#log.info('event loop replaced', { worker: seat.place, tookMs: seat.replacedAfterMs });
      return;
    }
    this.#log.error('event loop not replaced', { worker: seat.place, fault });
    seat.abort();
    this.#lost(seat);
  }

  async #drain(delayMs: number, ending: 'drained' | 'failed', succeeded: boolean): Promise<void> {
    this.#draining = true;
    if (!succeeded) this.#leavingSoon.abort();
    this.emit('draining', succeeded);
    try {
      if (delayMs > 0) {
        this.#log.info('not ready any more, draining soon', { delayMs });
        await new Promise((resolve) => setTimeout(resolve, delayMs));
      }
      const { drainTimeoutMs } = this.#configuration;
      this.#log.info('draining', { timeoutMs: drainTimeoutMs });
      const { cut } = await this.#crew.drain(drainTimeoutMs);
      // What was on its way when this began gives up, and lets go of what it has bound.
      await this.#turn;
      if (cut > 0) this.#log.warn('drain timeout: connections were cut off', { cut });
      else this.#log.info('drained');
      this.#finish(cut > 0 && ending === 'drained' ? 'cut' : ending);
    } catch (error) {
      this.#log.error('draining failed', { error });
      this.#finish('failed');
    }
  }

  #finish(ending: Ending): void {
    if (this.#over) return;
    this.#over = true;
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#watch.stop();
    this.#admin?.stop();
    this.#end(ending);
    this.emit('ended', ending);
  }

  #inTurn<Result>(act: () => Promise<Result>): Promise<Result> {
    const done = this.#turn.then(act);
    this.#turn = done.catch(() => {});
    return done;
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
