// Addresses of the whole process: who has them already, which ports were found for port 0, and which sockets a predecessor
// has handed over. Binding is done by event loops.

import { type Address, formatAddress } from '../base/address.ts';
import type { Configuration } from '../config/configuration.ts';
import { probeAddress } from '../server/port.ts';
import { type BoundPort, keysOf } from '../server/server.ts';
import type { Order } from './channel.ts';
import type { Inheritance } from './inheritance.ts';

/** How long a port that was let go may still be closing. */
const CLOSING_MS = 3000;

export class Addresses {
  readonly #inheritance: Inheritance;
  /** By key: the ports that were found for port 0. */
  readonly #found = new Map<string, number>();
  /** Ports that are ours, whatever the host: Infinity, or until when they are while they close. */
  readonly #ours = new Map<number, number>();

  constructor(inheritance: Inheritance) {
    this.#inheritance = inheritance;
  }

  /** Whether nobody else has what is to be bound; '' or why not. Event loops that share an address would not notice. */
  async probe({ listeners }: Configuration): Promise<string> {
    const now = performance.now();
    const faults: string[] = [];
    for (const [name, { bind }] of Object.entries(listeners)) {
      for (const { key, address } of keysOf(name, bind)) {
        if ((this.#ours.get(address.port) ?? 0) > now || this.#inheritance.has(key)) continue;
        const fault = await probeAddress(address);
        if (fault !== '') faults.push(`listener ${name}: ${fault}`);
      }
    }
    return faults.join('; ');
  }

  /** One event loop has bound these: the others take the same ports. */
  note(ports: readonly BoundPort[]): void {
    for (const { key, address } of ports) if (address.kind === 'tcp') this.#found.set(key, address.port);
  }

  /** A configuration has taken effect: what it does not have is being closed. */
  settle({ listeners }: Configuration, ports: readonly BoundPort[]): void {
    const keys = new Set(
      Object.entries(listeners).flatMap(([name, { bind }]) => keysOf(name, bind).map(({ key }) => key)),
    );
    for (const key of this.#found.keys()) if (!keys.has(key)) this.#found.delete(key);
    const now = performance.now();
    for (const [port, untilMs] of this.#ours) {
      if (untilMs === Number.POSITIVE_INFINITY) this.#ours.set(port, now + CLOSING_MS);
      else if (untilMs <= now) this.#ours.delete(port);
    }
    for (const { address } of ports) if (address.port > 0) this.#ours.set(address.port, Number.POSITIVE_INFINITY);
  }

  /** What event loop `place` of `count` has to know to bind what `configuration` says. */
  orderFor({ listeners }: Configuration, place: number, count: number): Pick<Order, 'found' | 'inherited'> {
    const keys = Object.entries(listeners).flatMap(([name, { bind }]) => keysOf(name, bind).map(({ key }) => key));
    return { found: this.#found, inherited: this.#inheritance.share(keys, place, count) };
  }

  /** The socket of the admin listener that was handed over, -1 without one. */
  takeAdmin(): number {
    return this.#inheritance.take(ADMIN_KEY, 0, 1)[0] ?? -1;
  }

  /** All that was handed over and is wanted has been taken. */
  closeRest(): void {
    this.#inheritance.closeRest();
  }
}

export const ADMIN_KEY = 'admin';

/** Addresses of all listeners. */
export function bindsOf({ listeners }: Configuration): Address[] {
  return Object.values(listeners).flatMap(({ bind }) => bind);
}

/** Whether two addresses are written alike. */
export function isSameAddress(a: Address, b: Address): boolean {
  return formatAddress(a) === formatAddress(b);
}
