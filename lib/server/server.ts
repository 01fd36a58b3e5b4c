// One event loop's proxy: does what a snapshot says, goes over to the next one without closing what stays, and ends.

import { type Address, formatAddress } from '../base/address.ts';
import type { Log } from '../base/log.ts';
import { onCrash } from '../io/connection.ts';
import { Crowd } from './crowd.ts';
import { type Cut, Listener } from './listener.ts';
import type { ListenerOptions } from './options.ts';
import { type InheritedSockets, Port } from './port.ts';
import type { ListenerPlan, Snapshot } from './snapshot.ts';

/** Why a server could not start, or not go over to another snapshot, in words. */
export interface StartFault {
  readonly fault: string;
}

/** How addresses are bound where several event loops have the same. */
export interface Binding {
  /** Others bind the same addresses, and the kernel shares connections out among all. */
  readonly shared: boolean;
  /** This one binds what cannot be shared: paths and descriptors. */
  readonly first: boolean;
  /** By key: the port that another loop was given for port 0. */
  readonly found: ReadonlyMap<string, number>;
  /** By key: listening sockets that are there already, for this loop to take over. */
  readonly inherited: ReadonlyMap<string, InheritedSockets>;
  /** Counts the connections of a listener, by its name. */
  crowd(listener: string): Crowd;
}

/** What is bound, for other loops and other processes. */
export interface BoundPort {
  readonly key: string;
  readonly listener: string;
  readonly address: Address;
  readonly descriptor: number;
}

/** A snapshot that could take effect: its addresses are bound. One of the two is to be called. */
export interface Prepared {
  /** All that will be bound then, in the order of the configuration. */
  readonly ports: readonly BoundPort[];
  /** From now on this holds. What is not wanted any more ends within `drainTimeoutMs`, and nothing else notices. */
  commit(drainTimeoutMs: number): void;
  abort(): void;
}

const ALONE: Binding = { shared: false, first: true, found: new Map(), inherited: new Map(), crowd: () => new Crowd() };
const EMPTY: Snapshot = { listeners: [], clusters: new Map(), changes: [] };

/** How often running out of descriptors is answered by closing what is idle. */
const SHED_EVERY_MS = 10;

/** Longest wait at the end for what others have to put away, such as a hook that removes a record. */
const TIDY_MS = 5000;

/** The ports of one listener, by key. */
type Ports = ReadonlyMap<string, readonly Port[]>;

export class Server {
  #snapshot: Snapshot = EMPTY;
  #listeners: readonly Listener[] = [];
  #ports = new Map<string, readonly Port[]>();
  /** Listeners that are there no more but for connections that have yet to end. */
  readonly #leaving = new Set<Listener>();
  readonly #log: Log;
  /** Made once: a closure of each reload would hold what was there before it. */
  readonly #shedding = (): void => this.#shed();
  #shedMs = 0;
  /** What a drain had to cut off. */
  readonly cuts: Cut[] = [];
  #ending = false;

  private constructor(log: Log) {
    this.#log = log;
  }

  /** A server that has nothing to serve yet. */
  static create(log: Log): Server {
    onCrash((error) => log.error('connection failed', { error }));
    return new Server(log);
  }

  /** Binds everything, or nothing: then the fault names every address that could not be bound. */
  static async start(snapshot: Snapshot, log: Log, binding: Binding = ALONE): Promise<Server | StartFault> {
    const server = Server.create(log);
    const prepared = await server.prepare(snapshot, binding);
    if ('fault' in prepared) return prepared;
    prepared.commit(0);
    return server;
  }

  get snapshot(): Snapshot {
    return this.#snapshot;
  }

  /** In the order of the configuration. */
  get listeners(): readonly Listener[] {
    return this.#listeners;
  }

  /** Addresses as bound, in the order of the configuration. */
  get addresses(): readonly { listener: string; address: string }[] {
    return this.ports.map(({ listener, address }) => ({ listener, address: formatAddress(address) }));
  }

  /** Everything that is bound, in the order of the configuration. */
  get ports(): readonly BoundPort[] {
    return portsOf(this.#snapshot, this.#ports);
  }

  /** Connections open now. */
  get open(): number {
    const sum = (listeners: Iterable<Listener>): number => [...listeners].reduce((all, { open }) => all + open, 0);
    return sum(this.#listeners) + sum(this.#leaving);
  }

  /** Binds what a snapshot needs that is not bound yet; the fault names every address that could not be. */
  async prepare(snapshot: Snapshot, binding: Binding = ALONE): Promise<Prepared | StartFault> {
    const ports = new Map<string, readonly Port[]>();
    const fresh: Port[] = [];
    const faults: string[] = [];
    for (const plan of snapshot.listeners) {
      for (const { key, address } of keysOf(plan.name, plan.options.bind)) {
        const known = this.#ports.get(key);
        if (known !== undefined) {
          ports.set(key, known);
          continue;
        }
        const bound: Port[] = [];
        for (const port of await openPorts(key, address, binding)) {
          if (port instanceof Port) bound.push(port);
          else faults.push(`listener ${plan.name}: ${port.fault}`);
        }
        fresh.push(...bound);
        ports.set(key, bound);
      }
    }
    const abort = (): void => {
      for (const port of fresh) port.close();
    };
    if (faults.length > 0) abort();
    if (faults.length > 0) return { fault: faults.join('; ') };
    return {
      ports: portsOf(snapshot, ports),
      commit: (drainTimeoutMs) => this.#follow(snapshot, ports, binding, drainTimeoutMs),
      abort,
    };
  }

  /**
   * Accepts nothing more, closes what is idle, and lets exchanges and tunnels finish for up to `timeoutMs`; then what is
   * left is broken off. Resolves when nothing is open, with how many connections were cut.
   */
  async drain(timeoutMs: number): Promise<{ cut: number }> {
    this.#ending = true;
    for (const listener of this.#listeners) this.#leaving.add(listener);
    this.#listeners = [];
    const ports = [...this.#ports.values()].flat();
    this.#ports.clear();
    const cut = await this.#letGo([...this.#leaving], ports, timeoutMs);
    await this.#empty();
    return { cut };
  }

  /** Another process has all ports as well: they can be closed without looking after what waits there. */
  handOver(): void {
    for (const port of [...this.#ports.values()].flat()) port.handOver();
  }

  /** Stops at once: what is open is broken off. Resolves once what was under way has tidied up behind it. */
  close(): Promise<void> {
    this.#ending = true;
    for (const port of [...this.#ports.values()].flat()) port.close();
    this.#ports.clear();
    for (const listener of [...this.#listeners, ...this.#leaving]) listener.cut();
    return this.#empty();
  }

  #follow(snapshot: Snapshot, ports: Ports, binding: Binding, drainTimeoutMs: number): void {
    const before = this.#snapshot;
    const gone = new Map(this.#listeners.map((listener) => [listener.plan.name, listener]));
    for (const change of snapshot.changes.splice(0)) change();
    const kept = new Set(before.clusters.values());
    for (const cluster of snapshot.clusters.values()) if (!kept.delete(cluster)) cluster.start();
    const terminating = new Set(before.listeners.map(({ tls }) => tls));
    for (const { tls } of snapshot.listeners) if (!terminating.delete(tls)) tls?.start();
    const names = new Set(snapshot.listeners.map(({ name }) => name));
    this.#listeners = snapshot.listeners.map((plan) => {
      const known = gone.get(plan.name) ?? renamed(plan, gone.values(), names);
      const crowd = binding.crowd(plan.name);
      if (known === undefined || !continues(known.plan.options, plan.options))
        return new Listener(plan, crowd, this.#log, this.#shedding);
      gone.delete(known.plan.name);
      known.follow(plan, crowd);
      return known;
    });
    const released = [...this.#ports].flatMap(([key, old]) => (ports.has(key) ? [] : old));
    this.#snapshot = snapshot;
    this.#ports = new Map(ports);
    for (const listener of this.#listeners)
      for (const { key } of keysOf(listener.plan.name, listener.plan.options.bind))
        for (const port of ports.get(key) ?? []) port.give(listener);
    // Who still uses these has a hold on them: exchanges end under what they began with.
    for (const cluster of kept) {
      cluster.stop();
      cluster.empty(true);
    }
    for (const tls of terminating) void tls?.stop();
    for (const listener of gone.values()) this.#leaving.add(listener);
    if (gone.size === 0 && released.length === 0) return;
    void this.#letGo([...gone.values()], released, drainTimeoutMs).then((cut) => {
      if (cut > 0) this.#log.warn('connections of listeners that are gone were cut off', { cut });
    });
  }

  /** Closes ports and lets listeners end; answers how many connections had to be cut. */
  async #letGo(listeners: readonly Listener[], ports: readonly Port[], timeoutMs: number): Promise<number> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<'late'>((resolve) => {
      timer = setTimeout(resolve, timeoutMs, 'late');
    });
    for (const listener of listeners) listener.retire(timeoutMs);
    const released = Promise.all(ports.map((port) => port.release()));
    const drained = released.then(() => Promise.all(listeners.map((listener) => listener.drain())));
    const outcome = await Promise.race([drained, late]);
    clearTimeout(timer);
    if (outcome === 'late' && this.#ending) this.cuts.push(...listeners.map(({ uncut }) => uncut));
    const cut = outcome === 'late' ? listeners.reduce((sum, listener) => sum + listener.cut(), 0) : 0;
    if (!this.#ending) for (const listener of listeners) this.#leaving.delete(listener);
    return cut;
  }

  #shed(): void {
    const now = performance.now();
    if (now - this.#shedMs < SHED_EVERY_MS) return;
    this.#shedMs = now;
    for (const cluster of this.#snapshot.clusters.values()) cluster.empty(false);
    for (const listener of this.#listeners) listener.shedIdle();
  }

  async #empty(): Promise<void> {
    for (const cluster of this.#snapshot.clusters.values()) {
      cluster.stop();
      cluster.empty(true);
    }
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise((resolve) => {
      timer = setTimeout(resolve, TIDY_MS);
    });
    await Promise.race([Promise.all(this.#snapshot.listeners.map(({ tls }) => tls?.stop())), late]);
    clearTimeout(timer);
  }
}

/** The one of `gone` that has the same addresses, and whose name nobody has any more. */
function renamed(plan: ListenerPlan, gone: Iterable<Listener>, names: ReadonlySet<string>): Listener | undefined {
  for (const listener of gone) {
    const { name, options } = listener.plan;
    if (!names.has(name) && isSameBind(name, options, plan.name, plan.options)) return listener;
  }
  return undefined;
}

/** Whether two listeners have the same addresses; the kernel chooses other ports for those with port 0. */
export function isSameBind(name: string, options: ListenerOptions, other: string, others: ListenerOptions): boolean {
  const keys = keysOf(other, others.bind);
  const own = keysOf(name, options.bind);
  return own.length === keys.length && own.every(({ key }, at) => key === keys[at]!.key);
}

/** Whether connections of the one can go on under the other: they speak what they spoke. */
export function continues(before: ListenerOptions, after: ListenerOptions): boolean {
  return before.protocol === after.protocol && (before.tls === null) === (after.tls === null);
}

/** What the addresses of a listener are known by from one snapshot to the next; those with port 0 by their place. */
export function keysOf(
  name: string,
  bind: readonly Address[],
): readonly { readonly key: string; readonly address: Address }[] {
  return bind.map((address, place) => ({
    key: address.kind === 'tcp' && address.port === 0 ? `${name} ${place}` : formatAddress(address),
    address,
  }));
}

function portsOf(snapshot: Snapshot, ports: Ports): BoundPort[] {
  return snapshot.listeners.flatMap((plan) =>
    keysOf(plan.name, plan.options.bind).flatMap(({ key }) =>
      (ports.get(key) ?? []).map((port) => ({
        key,
        listener: plan.name,
        address: port.bound,
        descriptor: port.descriptor,
      })),
    ),
  );
}

/** The sockets that this loop listens at: those that are there for it, or one that it opens. */
async function openPorts(
  key: string,
  address: Address,
  { shared, first, inherited, found }: Binding,
): Promise<readonly (Port | { readonly fault: string })[]> {
  const there = inherited.get(key);
  if (there !== undefined && there.descriptors.length > 0) {
    return there.descriptors.map((descriptor) => Port.inherit(address, descriptor, there.bound));
  }
  if (!first && (address.kind !== 'tcp' || !shared)) return [];
  const port = found.get(key);
  return [await Port.bind(port === undefined ? address : { ...address, port }, { shared, descriptor: -1 })];
}
