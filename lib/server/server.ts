// One event loop's proxy: starts what a snapshot describes, drains it and closes it.

import type { Log } from '../base/log.ts';
import { onCrash } from '../io/connection.ts';
import { Listener } from './listener.ts';
import type { Snapshot } from './snapshot.ts';

/** Why a server could not start, in words. */
export interface StartFault {
  readonly fault: string;
}

/** How often running out of descriptors is answered by closing what is idle. */
const SHED_EVERY_MS = 10;

export class Server {
  /** Addresses as bound, in the order of the configuration. */
  readonly addresses: readonly { listener: string; address: string }[];
  readonly #snapshot: Snapshot;
  readonly listeners: readonly Listener[];

  private constructor(snapshot: Snapshot, listeners: readonly Listener[]) {
    this.#snapshot = snapshot;
    this.listeners = listeners;
    this.addresses = listeners.flatMap((listener) =>
      listener.addresses.map((address) => ({ listener: listener.plan.name, address })),
    );
  }

  /** Binds everything, or nothing: then the fault names every address that could not be bound. */
  static async start(snapshot: Snapshot, log: Log): Promise<Server | StartFault> {
    onCrash((error) => log.error('connection failed', { error }));
    let shedMs = 0;
    const shed = (): void => {
      const now = performance.now();
      if (now - shedMs < SHED_EVERY_MS) return;
      shedMs = now;
      for (const cluster of snapshot.clusters.values()) cluster.empty(false);
      for (const listener of listeners) listener.shedIdle();
    };
    const listeners = snapshot.listeners.map((plan) => new Listener(plan, log, shed));
    const faults: string[] = [];
    for (const listener of listeners) {
      for (const address of listener.plan.options.bind) {
        const fault = await listener.bind(address);
        if (fault !== '') faults.push(fault);
      }
    }
    if (faults.length === 0) {
      for (const { tls } of snapshot.listeners) tls?.start();
      for (const cluster of snapshot.clusters.values()) cluster.start();
      return new Server(snapshot, listeners);
    }
    for (const listener of listeners) listener.stop();
    return { fault: faults.join('; ') };
  }

  /** Connections open now. */
  get open(): number {
    return this.listeners.reduce((sum, listener) => sum + listener.open, 0);
  }

  /**
   * Accepts nothing more, closes what is idle, and lets exchanges and tunnels finish for up to `timeoutMs`; then what is
   * left is broken off. Resolves when nothing is open, with how many connections were cut.
   */
  async drain(timeoutMs: number): Promise<{ cut: number }> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<'late'>((resolve) => {
      timer = setTimeout(resolve, timeoutMs, 'late');
    });
    const drained = Promise.all(this.listeners.map((listener) => listener.drain()));
    const outcome = await Promise.race([drained, late]);
    clearTimeout(timer);
    const cut = outcome === 'late' ? this.#cut() : 0;
    this.#empty();
    return { cut };
  }

  /** Stops at once: what is open is broken off. */
  close(): void {
    for (const listener of this.listeners) listener.stop();
    this.#cut();
    this.#empty();
  }

  #cut(): number {
    return this.listeners.reduce((sum, listener) => sum + listener.cut(), 0);
  }

  #empty(): void {
    for (const cluster of this.#snapshot.clusters.values()) {
      cluster.stop();
      cluster.empty(true);
    }
    for (const { tls } of this.#snapshot.listeners) tls?.stop();
  }
}
