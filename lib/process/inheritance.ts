// Listening sockets that a predecessor or a service manager hands over, as descriptors that this process was started with: what
// came into their queues before is not lost, since the sockets are never closed.

import { closeSync } from 'node:fs';
import { parseAddress } from '../base/address.ts';
import { type InheritedSockets, removePath } from '../server/port.ts';

/** Names the sockets: JSON of `HandedOver`. */
export const SOCKETS_VARIABLE = 'MILLRACE_SOCKETS';

/** By key: the address as bound, and the sockets there. */
export type HandedOver = Record<string, { bound: string; descriptors: number[] }>;

/** First descriptor that a service manager hands over (sd_listen_fds(3)). */
const FIRST_LISTENED = 3;

/** Whose socket it is that a configuration knows by a number; 'nobody' as long as either may have it. */
export type Owner = 'listener' | 'admin' | 'nobody';

export class Inheritance {
  static readonly none = new Inheritance(new Map(), new Map(), false);
  /** Numbers that a configuration may know sockets by (`fd:N`), and who may. */
  readonly numbers: ReadonlyMap<number, Owner>;
  /** All that there is comes from a predecessor. */
  readonly succeeds: boolean;
  readonly #sockets: Map<string, Sockets>;

  private constructor(sockets: Map<string, Sockets>, numbers: ReadonlyMap<number, Owner>, succeeds: boolean) {
    this.#sockets = sockets;
    this.numbers = numbers;
    this.succeeds = succeeds;
  }

  /**
   * What this process was handed over, or what is wrong with how that is told; the variable is taken away, so that no other
   * process believes it.
   */
  static claim(environment: NodeJS.ProcessEnv = process.env, pid = process.pid): Inheritance | { fault: string } {
    const text = environment[SOCKETS_VARIABLE];
    delete environment[SOCKETS_VARIABLE];
    if (text === undefined) return new Inheritance(new Map(), listened(environment, pid), false);
    const sockets = readSockets(text);
    if (sockets === null) {
      return { fault: `${SOCKETS_VARIABLE} is not what a predecessor sets: it must not be set by anybody else` };
    }
    // What a service manager has told our predecessor does not hold here: these are other numbers.
    const numbers = [...sockets.keys()].flatMap((key): [number, Owner][] => {
      const [, admin, fd] = /^(admin )?fd:(\d+)$/.exec(key) ?? [];
      return fd === undefined ? [] : [[Number(fd), admin === undefined ? 'listener' : 'admin']];
    });
    return new Inheritance(sockets, new Map(numbers), true);
  }

  has(key: string): boolean {
    return this.#sockets.has(key);
  }

  /** Those of one key that are for event loop `place` of `count`; nobody else gets them afterwards. Null for none. */
  take(key: string, place: number, count: number): InheritedSockets | null {
    const sockets = this.#sockets.get(key);
    if (sockets === undefined) return null;
    const { bound, descriptors: all } = sockets;
    const descriptors = all.filter((descriptor, at) => at % count === place && descriptor >= 0);
    for (const descriptor of descriptors) all[all.indexOf(descriptor)] = -1;
    return descriptors.length === 0 ? null : { bound, descriptors };
  }

  /** Those of `keys` that are for event loop `place` of `count`. */
  share(keys: readonly string[], place: number, count: number): ReadonlyMap<string, InheritedSockets> {
    const shared = new Map<string, InheritedSockets>();
    for (const key of keys) {
      const taken = this.take(key, place, count);
      if (taken !== null) shared.set(key, taken);
    }
    return shared;
  }

  /** Closes what nobody took: its address is not bound any more, and its path is nobody else's to remove. */
  closeRest(): void {
    for (const [key, { descriptors }] of this.#sockets) {
      const rest = descriptors.filter((descriptor) => descriptor >= 0);
      for (const descriptor of rest) closeHanded(descriptor);
      const address = parseAddress(key.replace(/^admin /, ''));
      if (rest.length > 0 && !('fault' in address)) removePath(address);
    }
    this.#sockets.clear();
  }
}

/** What is still to be taken: -1 in the place of what is not. */
interface Sockets extends InheritedSockets {
  readonly descriptors: number[];
}

/** Null when it is not as `startSuccessor` writes it. */
function readSockets(text: string): Map<string, Sockets> | null {
  let found: unknown;
  try {
    found = JSON.parse(text);
  } catch {
    return null;
  }
  if (typeof found !== 'object' || found === null || Array.isArray(found)) return null;
  const sockets = new Map<string, Sockets>();
  for (const [key, value] of Object.entries(found)) {
    const { bound, descriptors } = Object(value) as { bound?: unknown; descriptors?: unknown };
    const address = typeof bound === 'string' ? parseAddress(bound) : { fault: '' };
    if ('fault' in address || !Array.isArray(descriptors)) return null;
    if (!descriptors.every((fd) => Number.isInteger(fd) && fd > 2)) return null;
    sockets.set(key, { bound: address, descriptors });
  }
  return sockets;
}

function listened({ LISTEN_FDS, LISTEN_PID }: NodeJS.ProcessEnv, pid: number): ReadonlyMap<number, Owner> {
  const count = Number(LISTEN_FDS ?? 0);
  const meant = LISTEN_PID === undefined || Number(LISTEN_PID) === pid;
  if (!meant || !Number.isInteger(count) || count < 0 || count > MOST_LISTENED) return new Map();
  return new Map(Array.from({ length: count }, (_, at) => [FIRST_LISTENED + at, 'nobody']));
}

/** More than anybody hands over. */
const MOST_LISTENED = 65_536;

function closeHanded(descriptor: number): void {
  try {
    closeSync(descriptor);
  } catch {
    // It was not open: then nothing is left open either.
  }
}
