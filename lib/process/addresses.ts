// Addresses of the whole process: who has them already, which ports were found for port 0, and which sockets a predecessor
// has handed over. Binding is done by event loops.

import { setTimeout as delay } from 'node:timers/promises';
import { type Address, formatAddress } from '../base/address.ts';
import type { Configuration } from '../config/configuration.ts';
import type { InheritedSockets } from '../server/port.ts';
import { type BoundPort, keysOf } from '../server/server.ts';
import { findStrangers, type Stranger } from '../server/stranger.ts';
import type { Order } from './channel.ts';
import { HandedSockets } from './handed.ts';
import type { Inheritance } from './inheritance.ts';

export class Addresses {
  readonly #inheritance: Inheritance;
  readonly #handed: HandedSockets;
  /** By key: the ports that were found for port 0. */
  readonly #found = new Map<string, number>();
  /** Keys of what is bound. */
  #bound: ReadonlySet<string> = new Set();

  /** To be made before anything is opened: what the first configuration names may be open already. */
  constructor(inheritance: Inheritance, first: Configuration) {
    this.#inheritance = inheritance;
    this.#handed = new HandedSockets(inheritance.numbers, inheritance.succeeds ? null : first);
  }

  /**
   * Whether everything that is to be bound is there, and nobody else has it; '' or why not. Event loops that share an address
   * would not notice.
   */
  async probe(configuration: Configuration): Promise<string> {
    const missing = this.#handed.judge(configuration);
    if (missing !== '') return missing;
    const asked = Object.entries(configuration.listeners).flatMap(([listener, { bind }]) =>
      keysOf(listener, bind).flatMap(({ key, address }) =>
        this.#isOurs(key) ? [] : [{ listener, address, descriptor: -1 }],
      ),
    );
    const fault = told(await findStrangers(asked));
    if (fault === '') this.#handed.give(configuration);
    return fault;
  }

  /** One event loop has bound these, for the others to take the same; '' or why not: somebody else was quicker. */
  async note(ports: readonly BoundPort[]): Promise<string> {
    for (const { key, address } of ports) if (address.kind === 'tcp') this.#found.set(key, address.port);
    const fresh = ports.filter(({ key }) => !this.#isOurs(key));
    let strangers = await findStrangers(fresh);
    // Who came at the same moment gives way at once if we may stay; who was there before does not.
    for (let look = 0; look < LOOKS && strangers.length > 0 && strangers.every(({ mayStay }) => mayStay); look++) {
      await delay(LOOK_EVERY_MS);
      strangers = await findStrangers(fresh);
    }
    return told(strangers);
  }

  /** What was probed last has been given up: `configuration` still holds. */
  giveUp(configuration: Configuration): void {
    this.#handed.giveUp(configuration);
  }

  /** A configuration has taken effect: ports that were found for what it does not have are not ours any more. */
  settle(configuration: Configuration): void {
    const { listeners } = configuration;
    this.#handed.settle(configuration);
    this.#bound = new Set(
      Object.entries(listeners).flatMap(([name, { bind }]) => keysOf(name, bind).map(({ key }) => key)),
    );
    for (const key of this.#found.keys()) if (!this.#bound.has(key)) this.#found.delete(key);
  }

  /** What event loop `place` of `count` has to know to bind what `configuration` says. */
  orderFor({ listeners }: Configuration, place: number, count: number): Pick<Order, 'found' | 'inherited'> {
    const keys = Object.entries(listeners).flatMap(([name, { bind }]) => keysOf(name, bind).map(({ key }) => key));
    return { found: this.#found, inherited: this.#inheritance.share(keys, place, count) };
  }

  #isOurs(key: string): boolean {
    return this.#bound.has(key) || this.#inheritance.has(key);
  }

  /** The socket of an admin listener at this very address that was handed over, null without one. */
  takeAdmin(bind: Address): InheritedSockets | null {
    return this.#inheritance.take(adminKey(bind), 0, 1);
  }

  /** All that was handed over and is wanted by `configuration` has been taken. */
  closeRest(configuration: Configuration): void {
    this.#inheritance.closeRest();
    if (this.#inheritance.succeeds) this.#handed.retain(configuration);
  }
}

/** How long somebody else may take to give way. */
const LOOKS = 20;
const LOOK_EVERY_MS = 100;

function told(strangers: readonly Stranger<{ readonly listener: string; readonly address: Address }>[]): string {
  return strangers
    .map(({ asked: { listener, address } }) => `listener ${listener}: ${formatAddress(address)}: the address is in use`)
    .join('; ');
}

/** What the admin listener is handed over by: whoever binds it elsewhere, or lets others in, must not get its socket. */
export function adminKey(bind: Address): string {
  return `admin ${formatAddress(bind)}`;
}

/** Addresses of all listeners. */
export function bindsOf({ listeners }: Configuration): Address[] {
  return Object.values(listeners).flatMap(({ bind }) => bind);
}

/** Whether two addresses are written alike. */
export function isSameAddress(a: Address, b: Address): boolean {
  return formatAddress(a) === formatAddress(b);
}
