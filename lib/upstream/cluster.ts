// A named group of endpoints: publishes a picker for those that may be chosen, lets exchanges wait when all are full, and
// counts. What is sent to an endpoint is left to those who pick.

import type { ErrorCode } from '../base/errors.ts';
import { disabledLevel, type Log } from '../base/log.ts';
import type { Originator } from '../tls/originator.ts';
import { Allotment } from './allotment.ts';
import type { Choice } from './choice.ts';
import { Concurrency } from './concurrency.ts';
import { Ejection } from './ejection.ts';
import { type ClusterLoad, Endpoint } from './endpoint.ts';
import { type ChangeRefusal, type EndpointChange, Membership } from './membership.ts';
import type { ClusterOptions, EndpointOptions } from './options.ts';
import { RetryBudget } from './retry-budget.ts';
import { type Followed, Roster } from './roster.ts';
import { Sticky } from './sticky.ts';
import type { Waiter } from './waiters.ts';

export type { Waiter };

/** Looks after endpoints while the cluster is in use: checks them, or finds them. */
export interface Keeper {
  start(): void;
  stop(): void;
}

/** Learns of changes that others who have the same cluster, in other event loops, should know of. */
export interface ClusterObserver {
  /** These are its endpoints now. */
  membersChanged(cluster: Cluster, endpoints: readonly EndpointOptions[]): void;
  /** Checks have found out something. */
  healthChanged(cluster: Cluster, endpoint: Endpoint): void;
  /** Its idle connections lead where it is not any more. */
  evicted(cluster: Cluster, endpoint: Endpoint): void;
  /** Traffic has: it is put aside for `forMs`, or used again (0). */
  ejectionChanged(cluster: Cluster, endpoint: Endpoint, forMs: number): void;
}

/** How often standings are looked at that change with time. */
const TICK_MS = 1000;
const SILENT: Log = {
  debug: disabledLevel,
  info: disabledLevel,
  warn: disabledLevel,
  error: disabledLevel,
  limited: () => SILENT,
};

export class Cluster {
  readonly name: string;
  /** Replaced when some of them change; those that connections depend on stay as they are. */
  options: ClusterOptions;
  /** What encrypts its connections, null when they are plain. */
  readonly tls: Originator | null;
  /** Whether it is worth measuring how long exchanges take. */
  measures = false;
  /** Whether its endpoints may speak HTTP/2, which has many exchanges on one connection. */
  readonly multiplexes: boolean;
  /** Clients stay with their endpoint; null when they do not. */
  readonly sticky: Sticky<Endpoint> | null;
  /** Finds out how much may be under way; null without that. */
  readonly concurrency: Concurrency | null;
  /** Since the start. */
  readonly stats = {
    requests: 0,
    /** Tries after the first, and those that the budget did not allow. */
    retries: 0,
    retriesRefused: 0,
    /** Requests that were sent twice at once, and those of which the second was answered first. */
    hedges: 0,
    hedgesWon: 0,
    /** Who was turned away, and who has waited too long. */
    queueFull: 0,
    queueTimeouts: 0,
    /** Copies for a shadow: sent, left out, and not answered. */
    copies: 0,
    copiesDropped: 0,
    copiesFailed: 0,
    /** Changes that a source has brought, and how often it failed. */
    discoveryUpdates: 0,
    discoveryFailures: 0,
  };
  /** Null: nobody else has this cluster. */
  observer: ClusterObserver | null = null;
  /** Told when endpoints have come or gone. */
  onMembers: () => void = () => {};
  readonly #log: Log;
  readonly #load: ClusterLoad = { active: 0, tunnels: 0 };
  readonly #ejection: Ejection | null;
  readonly #allotment: Allotment;
  readonly #roster: Roster;
  readonly #budget = new RetryBudget();
  #members: Membership;
  #panicking = false;
  #timer: NodeJS.Timeout | null = null;
  /** Who looks after its endpoints besides; they start and stop with it. */
  #keepers: readonly Keeper[] = [];

  constructor(name: string, options: ClusterOptions, tls: Originator | null = null, log: Log = SILENT) {
    this.name = name;
    this.options = options;
    this.tls = tls;
    this.#log = log;
    this.multiplexes = options.protocol === 'h2' || options.tls?.alpn.includes('h2') === true;
    this.sticky = options.sticky === null ? null : new Sticky(options.sticky);
    const { ejection } = options;
    this.concurrency = options.adaptive === null ? null : new Concurrency(options.adaptive);
    this.measures = this.#isMeasured();
    this.#ejection =
      ejection === null
        ? null
        : new Ejection(
            ejection,
            () => this.endpoints,
            (endpoint, reason) => this.#judged(endpoint, reason),
          );
    this.#roster = new Roster((endpoint) => new Endpoint(endpoint, this.options.pool, this.#load));
    this.#allotment = new Allotment(this, (choice) => this.#tell(choice));
    this.#members = new Membership(options.endpoints);
    this.#follow(this.#members.list());
  }

  get endpoints(): readonly Endpoint[] {
    return this.#roster.endpoints;
  }

  /** Whether there is a cap on what is under way, so that each end makes room. */
  get capped(): boolean {
    return this.options.requests > 0 || this.concurrency !== null;
  }

  /** As much is under way as may be. */
  get full(): boolean {
    const { requests } = this.options;
    if (requests > 0 && this.#load.active >= requests) return true;
    return this.concurrency !== null && this.#exchanges >= this.concurrency.limit;
  }

  /** Exchanges and tunnels under way. */
  get active(): number {
    return this.#load.active;
  }

  /** What is found out about latency is for these alone: tunnels are answered by nobody, and may last for days. */
  get #exchanges(): number {
    return this.#load.active - this.#load.tunnels;
  }

  get waiting(): number {
    return this.#allotment.waiters.size;
  }

  /** Looks after what changes with time, until `stop`. */
  start(): void {
    if (this.#timer !== null) return;
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
    this.#timer.unref();
    for (const keeper of this.#keepers) keeper.start();
  }

  stop(): void {
    for (const keeper of this.#keepers) keeper.stop();
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
  }

  /** These look after its endpoints from now on, in place of those before. */
  keep(keepers: readonly Keeper[]): void {
    const running = this.#timer !== null;
    if (running) for (const keeper of this.#keepers) keeper.stop();
    this.#keepers = keepers;
    if (running) for (const keeper of keepers) keeper.start();
  }

  /** Goes by other numbers from now on; what its connections depend on must be the same. `quiet`: others tell of it. */
  configure(options: ClusterOptions, quiet = false): void {
    this.options = options;
    this.measures = this.#isMeasured();
    // What nobody checks any more is neither well nor ill.
    if (options.health === null) for (const { standing } of this.endpoints) standing.health = 'unknown';
    if (options.discovery === null) this.#members.find([]);
    this.#members.configure(options.endpoints);
    if (!this.#regroup(quiet)) this.publish();
  }

  /** Takes the place of one with the same name: what operators and checks have said of its endpoints holds on. */
  inherit(before: Cluster): void {
    this.#members = before.#members;
    if (this.options.discovery === null) this.#members.find([]);
    this.#members.configure(this.options.endpoints);
    this.#regroup(true);
    const known = new Map(before.endpoints.map((endpoint) => [endpoint.name, endpoint.standing]));
    for (const { name, standing } of this.endpoints) {
      const was = known.get(name);
      if (was === undefined) continue;
      standing.inherit(was, this.options.health !== null, this.#ejection !== null);
    }
    this.#allotment.forget();
    this.publish();
  }

  /** A source has found these endpoints; they are added to those of the configuration. */
  find(endpoints: readonly EndpointOptions[]): void {
    this.#members.find(endpoints);
    if (this.#regroup()) this.stats.discoveryUpdates++;
  }

  /** Takes an operator's word about an endpoint; answers why not, null when it is taken. */
  change(change: EndpointChange): ChangeRefusal | null {
    const refusal = this.#members.change(change);
    if (refusal === null) this.#regroup();
    return refusal;
  }

  /** Makes the choice anew, now. Where an exchange may be under way it is only told of a change. */
  publish(): void {
    this.#allotment.publish();
  }

  /** How often that was done. */
  get published(): number {
    return this.#allotment.published;
  }

  /**
   * An endpoint for a tunnel or a connection, none of `tried` if there is another; `hash` as pickers want it. Null without
   * endpoints. On trial it is on trial with `who`, who alone can give that back.
   */
  pick(tried: readonly Endpoint[], hash: number, who: object | null = null): Endpoint | null {
    return this.#allotment.pick(tried, hash, who);
  }

  /**
   * As `pick`, but only with room in its pool: null when every endpoint is full, and then waiting is the way. `alone`: room
   * on a connection that serves others as well will not do.
   */
  pickAvailable(tried: readonly Endpoint[], hash: number, who: object | null = null, alone = false): Endpoint | null {
    return this.#allotment.pickAvailable(tried, hash, who, alone);
  }

  /**
   * Takes `endpoint`, which is wanted for itself, as `pickAvailable` would; false when it may not be used now. One on trial
   * gets one exchange in this way too.
   */
  take({ standing, pool }: Endpoint, who: object | null = null, alone = false): boolean {
    if (this.full || !standing.eligible || standing.trial === 'underway' || !pool.offers(alone)) return false;
    standing.begin(who);
    return true;
  }

  /**
   * Puts `waiter` at the end of the queue, or `ahead` of it if it has had its turn; answers why not when that is not
   * possible.
   */
  wait(waiter: Waiter, ahead = false): ErrorCode | null {
    if (waiter.queue !== null) return null;
    // Room is worth waiting for, but that somebody gets well may take for ever.
    if (this.endpoints.length === 0 || this.#allotment.barren) return 'no_endpoint';
    if (ahead) {
      this.#allotment.waiters.addFirst(waiter);
      return null;
    }
    if (this.waiting >= this.options.pool.queue) {
      this.stats.queueFull++;
      return 'queue_full';
    }
    this.#allotment.waiters.add(waiter);
    return null;
  }

  /** `waiter` has what it waited for, or has given up. */
  leave(waiter: Waiter): void {
    this.#allotment.waiters.remove(waiter);
  }

  /** An endpoint has room again: whoever waits longest goes on. */
  wake(): void {
    this.#allotment.wake();
  }

  /** The same for those in the midst of an exchange: who waits goes on in a turn of its own. */
  wakeSoon(): void {
    this.#allotment.wakeSoon();
  }

  /** `endpoint` has answered with this status, `tookMs` after it was sent (0: not measured). */
  answered(endpoint: Endpoint, status: number, tookMs: number): void {
    if (status === 502 || status === 503 || status === 504) this.failed(endpoint, `status ${status}`);
    else this.succeeded(endpoint, tookMs);
  }

  /** An exchange was answered well by `endpoint`, `tookMs` after it was sent (0: not measured). */
  succeeded(endpoint: Endpoint, tookMs: number): void {
    if (this.measures) endpoint.pace.add(tookMs, performance.now());
    if (tookMs > 0) this.concurrency?.add(tookMs, this.#exchanges);
    // Without rates and latencies most successes change nothing, and need not ask what time it is.
    const { failures, trial, ejected } = endpoint.standing;
    if (this.#ejection === null || !(this.#ejection.counts || failures > 0 || trial !== 'none' || ejected)) return;
    this.#ejection.succeeded(endpoint, tookMs, performance.now());
  }

  /** An exchange, a dial or a tunnel failed because of `endpoint`; `cause` is one word for the log. */
  failed(endpoint: Endpoint, cause: string): void {
    this.concurrency?.failed();
    this.#ejection?.failed(endpoint, cause, performance.now());
  }

  /** An exchange of `who`, as it was picked for, has ended without showing anything of `endpoint`. */
  undecided({ standing }: Endpoint, who: object | null = null): void {
    standing.giveBack(who);
  }

  /** An exchange was answered elsewhere before `endpoint` had answered, `afterMs` after it was sent (0: not measured). */
  outrun(endpoint: Endpoint, afterMs: number, who: object | null = null): void {
    const now = performance.now();
    // It would have taken that long at least.
    if (this.measures && afterMs > endpoint.pace.at(now)) endpoint.pace.add(afterMs, now);
    this.undecided(endpoint, who);
  }

  /** An exchange begins: the part of a retry that it adds to what is allowed, `share`, is saved. */
  begun(share: number): void {
    this.stats.requests++;
    this.#budget.save(share, this.#load.active);
  }

  /**
   * Takes a try out of the budget; false when that is spent. `again`: for an exchange that has had one. `endRetry` is to
   * follow once for each exchange.
   */
  beginRetry(again = false): boolean {
    const allowed = this.#budget.begin(again);
    if (allowed) this.stats.retries++;
    else this.stats.retriesRefused++;
    return allowed;
  }

  endRetry(): void {
    this.#budget.end();
  }

  /** What active checks have found of an endpoint. */
  found(endpoint: Endpoint, health: 'up' | 'down', reason: string): void {
    const before = endpoint.standing.health;
    if (before === health || !this.#roster.has(endpoint)) return;
    endpoint.standing.believe(health, performance.now());
    this.observer?.healthChanged(this, endpoint);
    const told = { cluster: this.name, endpoint: endpoint.name, reason };
    if (health === 'down') this.#log.warn('endpoint is down', told);
    else if (before === 'down') this.#log.info('endpoint is up', told);
    this.#allotment.change();
  }

  /** Whom it would have if these were configured; `finding`: what a source has found counts as well. */
  expect(configured: readonly EndpointOptions[], finding: boolean): readonly EndpointOptions[] {
    return [...this.#members.list(configured, finding).values()];
  }

  /** These are its endpoints, as another event loop has found them. */
  hearMembers(endpoints: readonly EndpointOptions[]): void {
    this.#members.configure(endpoints);
    this.#regroup(true);
  }

  /** What checks of another event loop have found. */
  hearHealth(name: string, health: 'unknown' | 'up' | 'down'): void {
    const endpoint = this.#roster.find(name);
    if (endpoint === undefined || endpoint.standing.health === health) return;
    endpoint.standing.believe(health, performance.now());
    this.#allotment.change();
  }

  /** What traffic of another event loop has met with: put aside for `forMs`, or used again (0). */
  hearEjection(name: string, forMs: number): void {
    const endpoint = this.#roster.find(name);
    if (endpoint === undefined || this.#ejection === null) return;
    if (this.#ejection.hear(endpoint, forMs, performance.now())) this.#allotment.change();
  }

  /** Its idle connections lead where it is not any more; those that are busy are closed when they have ended. */
  evict(endpoint: Endpoint): void {
    endpoint.pool.renew();
    this.observer?.evicted(this, endpoint);
  }

  /** The same, found out by another event loop. */
  hearEviction(name: string): void {
    this.#roster.find(name)?.pool.renew();
  }

  /** Closes idle connections; with `forGood` every one that becomes idle. */
  empty(forGood: boolean): void {
    for (const endpoint of this.endpoints) endpoint.pool.empty(forGood);
  }

  #isMeasured(): boolean {
    const { balance, ejection } = this.options;
    return this.concurrency !== null || balance === 'latency' || (ejection !== null && ejection.latency > 0);
  }

  /** Whether there are other endpoints now, or others say other things. */
  #regroup(quiet = false): boolean {
    const list = this.#members.list();
    // Sources name theirs in another order each time, and most policies go by none.
    const ordered = this.options.balance === 'first' && this.options.discovery === null;
    if (this.#roster.matches(list, ordered)) return false;
    const { added, removed } = this.#follow(list);
    if (!quiet) {
      this.#log.info('endpoints have changed', {
        cluster: this.name,
        endpoints: list.size,
        added: added.slice(0, 10).join(' '),
        removed: removed.slice(0, 10).join(' '),
      });
    }
    this.observer?.membersChanged(this, [...list.values()]);
    return true;
  }

  #follow(list: ReadonlyMap<string, EndpointOptions>): Followed {
    const followed = this.#roster.follow(list, performance.now());
    if (this.tls !== null) for (const { pool } of followed.renamed) pool.renew();
    for (const { name, active, standing } of followed.turned) {
      const told = { cluster: this.name, endpoint: name, active };
      this.#log.info(standing.draining ? 'endpoint is draining' : 'endpoint is used again', told);
    }
    this.sticky?.update(this.endpoints);
    this.publish();
    this.onMembers();
    return followed;
  }

  #tell({ selection: { panicking } }: Choice): void {
    if (panicking === this.#panicking) return;
    this.#panicking = panicking;
    const well = this.endpoints.filter(({ standing }) => standing.eligible).length;
    const told = { cluster: this.name, well, endpoints: this.endpoints.length };
    if (panicking) this.#log.error('too few endpoints are well, so all are used', told);
    else this.#log.info('enough endpoints are well again', told);
  }

  #tick(): void {
    this.#ejection?.tick(performance.now());
    if (this.#allotment.ramping) this.#allotment.change();
  }

  #judged(endpoint: Endpoint, reason: string): void {
    const { standing } = endpoint;
    const told = { cluster: this.name, endpoint: endpoint.name, reason };
    if (standing.ejected) {
      const forS = Math.round((standing.ejectedUntilMs - performance.now()) / 1000);
      this.#log.warn('endpoint is put aside', { ...told, forS });
      this.observer?.ejectionChanged(this, endpoint, standing.ejectedUntilMs - performance.now());
    } else if (standing.trial === 'none') {
      this.#log.info('endpoint is used again', told);
      this.observer?.ejectionChanged(this, endpoint, 0);
    } else this.#log.debug('endpoint is on trial', told);
    this.#allotment.change();
  }
}
