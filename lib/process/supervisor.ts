// The running proxy: an event loop in each worker thread, or one in this thread, that all serve the same configuration. Starts
// them, goes over to other configurations all at once or not at all, replaces those that fail, and ends them. No connection
// passes through here.

import { EventEmitter } from 'node:events';
import about from '../../package.json' with { type: 'json' };
import { Api } from '../admin/api.ts';
import type { ClusterStatus, Control, Refusal, ReloadResult, Status } from '../admin/control.ts';
import { AdminServer } from '../admin/server.ts';
import { type Address, formatAddress } from '../base/address.ts';
import type { Log } from '../base/log.ts';
import { compareConfigurations } from '../config/compare.ts';
import type { Configuration } from '../config/configuration.ts';
import { readEndpoint } from '../config/endpoint-list.ts';
import { formatConfigError } from '../config/error.ts';
import type { ReadResult } from '../config/read.ts';
import { crowdMemory } from '../server/crowd.ts';
import { probeAddress } from '../server/port.ts';
import type { StartFault } from '../server/server.ts';
import { ticketSecret, ticketTurn } from '../tls/ticket.ts';
import type { ChangeRefusal, EndpointChange } from '../upstream/membership.ts';
import type { News, Order } from './channel.ts';
import { Inheritance } from './inheritance.ts';
import { Seat } from './seat.ts';
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
  /** All that will serve, those that have yet to begin included. */
  readonly seats: readonly Seat[];
}

export class Supervisor extends EventEmitter<SupervisorEvents> implements Control {
  /** Resolves once nothing is open any more. */
  readonly ended: Promise<Ending>;
  readonly #log: Log;
  readonly #read: (() => Promise<ReadResult>) | null;
  readonly #inheritance: Inheritance;
  readonly #standstillMs: number;
  readonly #watch: Watch;
  readonly #bornMs = performance.now();
  readonly #tickets = { secret: ticketSecret(), turn: ticketTurn() };
  readonly #crowds = new Map<string, SharedArrayBuffer>();
  /** By key: the ports that were found for port 0. */
  readonly #found = new Map<string, number>();
  #configuration: Configuration;
  #seats: readonly Seat[] = [];
  #admin: AdminServer | null = null;
  #generation = 0;
  #configuredMs = 0;
  #reloadFault = '';
  #draining = false;
  #ready = false;
  #timer: NodeJS.Timeout | null = null;
  /** What changes event loops happens one after the other. */
  #turn: Promise<unknown> = Promise.resolve();
  #end: (ending: Ending) => void = () => {};

  private constructor(configuration: Configuration, log: Log, options: SupervisorOptions) {
    super();
    this.#configuration = configuration;
    this.#log = log;
    this.#read = options.read ?? null;
    this.#inheritance = options.inheritance ?? Inheritance.none;
    this.#standstillMs = options.standstillMs ?? STANDSTILL_MS;
    this.#watch = new Watch(log, (news) => this.#tell(news, null));
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
    const next = await supervisor.#prepare(configuration);
    if ('fault' in next) return next;
    await supervisor.#commit(next);
    supervisor.#inheritance.closeRest();
    supervisor.#ready = true;
    supervisor.#timer = setInterval(() => supervisor.#look(), supervisor.#standstillMs / LOOKS);
    supervisor.#timer.unref();
    return supervisor;
  }

  /** Whether new connections are welcome. */
  get ready(): boolean {
    return this.#ready && this.#seats.some(({ serving }) => serving);
  }

  /** Whether all event loops turn. */
  get sound(): boolean {
    return this.#seats.every(({ serving }) => serving);
  }

  /** How many event loops in threads there are. */
  get workers(): number {
    return this.#configuration.workers;
  }

  get generation(): number {
    return this.#generation;
  }

  /** Of the listeners, as bound. */
  get addresses(): readonly { listener: string; address: string }[] {
    return (this.#seats[0]?.ports ?? []).map(({ listener, address }) => ({
      listener,
      address: formatAddress(address),
    }));
  }

  /** Of the admin listener, '' without one. */
  get adminAddress(): string {
    return this.#admin?.address ?? '';
  }

  /** Reads the configuration anew and goes over to it, all or nothing; with `plan` it only tells what would change. */
  reload(plan = false): Promise<ReloadResult | Refusal> {
    return this.#inTurn(async () => {
      if (this.#draining) return { status: 409, fault: 'it is draining' };
      if (this.#read === null) return { status: 409, fault: 'it was not started from a configuration file' };
      if (!plan) this.emit('reloading');
      const result = await this.#reload(this.#read, plan);
      if (plan) return result;
      this.#reloadFault = 'fault' in result ? result.fault : result.errors.join('\n');
      if (this.#reloadFault !== '') {
        this.#log.error('not reloaded, nothing has changed', { fault: this.#reloadFault });
      }
      this.emit('reloaded', this.#reloadFault);
      return result;
    });
  }

  /** Goes over to `configuration`, all or nothing; answers '' or why not. */
  configure(configuration: Configuration): Promise<string> {
    return this.#inTurn(async () => {
      if (this.#draining) return 'it is draining';
      return this.#goOver(configuration);
    });
  }

  /** Accepts nothing new and lets what is open finish, as long as the configuration allows; false when that had begun. */
  drain(): boolean {
    if (this.#draining) return false;
    void this.#drain(this.#configuration.drainDelayMs, 'drained');
    return true;
  }

  /** Breaks off what is open. */
  stop(): void {
    this.#draining = true;
    void Promise.all(this.#seats.map((seat) => seat.stop())).then(() => this.#finish('stopped'));
  }

  /** Starts a successor that takes over all ports, then drains. */
  upgrade(): Promise<{ readonly pid: number } | Refusal> {
    return this.#inTurn(async () => {
      if (this.#draining) return { status: 409, fault: 'it is draining' };
      const ports = this.#seats.flatMap((seat) => seat.ports);
      const admin = this.#admin === null ? [] : [{ key: ADMIN_KEY, descriptor: this.#admin.descriptor }];
      this.#log.info('starting a successor', { program: process.execPath });
      const started = await startSuccessor([...ports, ...admin]);
      if ('fault' in started) {
        this.#log.error('the successor did not start, this process goes on', { fault: started.fault });
        return { status: 500, fault: started.fault };
      }
      this.#log.info('the successor serves', { pid: started.pid });
      for (const seat of this.#seats) seat.loop?.handOver();
      // Whoever asks from now on is answered by the successor.
      this.#admin?.handOver();
      this.#admin?.stop();
      this.#admin = null;
      void this.#drain(0, 'drained', true);
      return started;
    });
  }

  async status(): Promise<Status> {
    const reports = await Promise.all(this.#seats.map((seat) => seat.report(REPORT_MS)));
    const statuses = addStatuses(reports, this.#seats[0]?.ports ?? []);
    return {
      version: about.version,
      pid: process.pid,
      state: this.#draining ? 'draining' : 'serving',
      uptimeS: Math.floor((performance.now() - this.#bornMs) / 1000),
      generation: this.#generation,
      configured: new Date(this.#configuredMs).toISOString(),
      reloadFault: this.#reloadFault,
      connections: reports.reduce((sum, report) => sum + (report?.connections ?? 0), 0),
      workers: this.#seats.map((seat, place) => seat.status(reports[place] ?? null, this.#draining)),
      listeners: statuses.listeners,
    };
  }

  async clusters(): Promise<readonly ClusterStatus[]> {
    const reports = await Promise.all(this.#seats.map((seat) => seat.report(REPORT_MS)));
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
    return { errors: [], warnings, changes, generation: this.#generation };
  }

  async #goOver(configuration: Configuration): Promise<string> {
    const next = await this.#prepare(configuration);
    if ('fault' in next) return next.fault;
    await this.#commit(next);
    this.#log.info('reloaded', { generation: this.#generation });
    return '';
  }

  /** Gets everything ready, or nothing. */
  async #prepare(configuration: Configuration): Promise<Next | StartFault> {
    const count = Math.max(1, configuration.workers);
    const inThreads = configuration.workers > 0;
    // From threads to this one and back means other event loops altogether.
    const kept = inThreads === this.#configuration.workers > 0 ? this.#seats.slice(0, count) : [];
    const fresh = Array.from({ length: count - kept.length }, (_, at) => this.#seat(kept.length + at));
    for (const seat of fresh) seat.begin(configuration);
    const next = await this.#prepareSeats(configuration, [...kept, ...fresh]);
    if (!('fault' in next)) return next;
    for (const seat of kept) seat.abort();
    for (const seat of fresh) void seat.stop();
    return next;
  }

  async #prepareSeats(configuration: Configuration, seats: readonly Seat[]): Promise<Next | StartFault> {
    const taken = await this.#probe(configuration);
    if (taken !== '') return { fault: taken };
    const admin = await this.#prepareAdmin(configuration);
    if (admin !== null && 'fault' in admin) return admin;
    const watch = this.#watch.prepare(configuration);
    const prepare = (seat: Seat): Promise<string> => seat.prepare(this.#order(seat, seats.length, watch.configuration));
    const [first, ...others] = seats;
    let faults = [await prepare(first!)];
    for (const { key, address } of first!.nextPorts) if (address.kind === 'tcp') this.#found.set(key, address.port);
    if (faults[0] === '') faults = await Promise.all(others.map(prepare));
    const fault = faults.find((one) => one !== '');
    if (fault === undefined) return { configuration, watch, admin, seats };
    if (admin !== this.#admin) admin?.stop();
    return { fault };
  }

  /** Resolves once all event loops serve it: who is told of a reload finds it done. */
  async #commit({ configuration, watch, admin, seats }: Next): Promise<void> {
    const { drainTimeoutMs } = configuration;
    watch.commit();
    const committed = seats.map((seat) => seat.commit(drainTimeoutMs));
    for (const seat of this.#seats) if (!seats.includes(seat)) void seat.drain(drainTimeoutMs);
    if (admin !== this.#admin) this.#admin?.stop();
    else if (configuration.admin !== null) admin?.admit(configuration.admin);
    this.#admin = admin;
    this.#seats = seats;
    this.#configuration = configuration;
    this.#generation++;
    this.#configuredMs = Date.now();
    await Promise.all(committed);
    this.emit('configured', this.#generation);
  }

  /** Event loops that share an address would not notice that somebody else has it too. */
  async #probe(configuration: Configuration): Promise<string> {
    const ours = new Set(bindsOf(this.#generation === 0 ? null : this.#configuration).map(formatAddress));
    const faults: string[] = [];
    for (const [name, { bind }] of Object.entries(configuration.listeners)) {
      for (const address of bind) {
        const text = formatAddress(address);
        if (ours.has(text) || this.#inheritance.has(text)) continue;
        const fault = await probeAddress(address);
        if (fault !== '') faults.push(`listener ${name}: ${fault}`);
      }
    }
    return faults.join('; ');
  }

  async #prepareAdmin({ admin }: Configuration): Promise<AdminServer | null | StartFault> {
    if (admin === null) return null;
    const now = this.#configuration.admin;
    if (this.#admin !== null && now !== null && formatAddress(now.bind) === formatAddress(admin.bind))
      return this.#admin;
    const started = await AdminServer.start(
      admin,
      new Api(this, readEndpoint),
      this.#log,
      this.#inheritance.take(ADMIN_KEY, 0, 1)[0] ?? -1,
    );
    if (started instanceof AdminServer) this.#log.info('admin API', { address: started.address });
    return started;
  }

  #order({ place }: Seat, count: number, configuration: Configuration): Order {
    for (const name of Object.keys(configuration.listeners)) {
      if (!this.#crowds.has(name)) this.#crowds.set(name, crowdMemory());
    }
    return {
      configuration,
      place,
      count,
      tickets: this.#tickets,
      shared: configuration.workers > 0 || SHARES,
      found: this.#found,
      inherited: this.#inheritance.share(place, count),
      crowds: this.#crowds,
      news: this.#watch.news,
    };
  }

  #seat(place: number): Seat {
    return new Seat(place, this.#log, {
      news: (news, seat) => {
        this.#watch.hear(news);
        this.#tell(news, seat);
      },
      died: (seat) => this.#lost(seat),
    });
  }

  #tell(news: News, except: Seat | null): void {
    for (const seat of this.#seats) if (seat !== except) seat.tell(news);
  }

  /** An event loop is gone with all that it had; another takes its place. */
  #lost(seat: Seat): void {
    for (const memory of this.#crowds.values()) Atomics.store(new Int32Array(memory), seat.place, 0);
    if (this.#draining || !this.#seats.includes(seat)) return;
    const handed = bindsOf(this.#configuration).some(({ kind }) => kind === 'fd');
    if (seat.place === 0 && handed) {
      this.#log.error(
        'a socket that was handed over is lost with its event loop: ending, so that it can be handed over again',
      );
      void this.#drain(0, 'failed');
      return;
    }
    seat.replaceSoon(() => this.#inTurn(() => this.#replace(seat)));
  }

  async #replace(seat: Seat): Promise<void> {
    if (this.#draining || !this.#seats.includes(seat)) return;
    const { configuration } = this.#watch.prepare(this.#configuration);
    const order = this.#order(seat, this.#seats.length, configuration);
    const fault = await seat.prepare(order);
    if (fault === '') {
      await seat.commit(0);
      this.#log.info('event loop replaced', { worker: seat.place, tookMs: seat.replacedAfterMs });
      return;
    }
    this.#log.error('event loop not replaced', { worker: seat.place, fault });
    seat.abort();
    this.#lost(seat);
  }

  #look(): void {
    const now = performance.now();
    for (const seat of this.#seats) seat.check(now, this.#standstillMs);
  }

  async #drain(delayMs: number, ending: 'drained' | 'failed', succeeded = false): Promise<void> {
    this.#draining = true;
    this.#ready = false;
    this.emit('draining', succeeded);
    try {
      if (delayMs > 0) {
        this.#log.info('not ready any more, draining soon', { delayMs });
        await new Promise((resolve) => setTimeout(resolve, delayMs));
      }
      const { drainTimeoutMs } = this.#configuration;
      this.#log.info('draining', { timeoutMs: drainTimeoutMs });
      const ends = await Promise.all(this.#seats.map((seat) => seat.drain(drainTimeoutMs)));
      const cut = ends.reduce((sum, end) => sum + end.cut, 0);
      if (cut > 0) this.#log.warn('drain timeout: connections were cut off', { cut });
      else this.#log.info('drained');
      this.#finish(cut > 0 && ending === 'drained' ? 'cut' : ending);
    } catch (error) {
      this.#log.error('draining failed', { error });
      this.#finish('failed');
    }
  }

  #finish(ending: Ending): void {
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

const ADMIN_KEY = 'admin';

/** A lone event loop leaves room for others where the kernel lets it, so that a reload can go over to threads. */
const SHARES = process.platform === 'linux';

const REFUSALS: Readonly<Record<ChangeRefusal, string>> = {
  'not known': 'the cluster has no such endpoint',
  'known already': 'the cluster has this endpoint already',
  'too many endpoints': 'the cluster has too many endpoints that were added',
};

function bindsOf(configuration: Configuration | null): Address[] {
  return configuration === null ? [] : Object.values(configuration.listeners).flatMap(({ bind }) => bind);
}
