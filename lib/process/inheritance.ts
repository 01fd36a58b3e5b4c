// Listening sockets that a predecessor or a service manager hands over, as descriptors that this process was started with: what
// came into their queues before is not lost, since the sockets are never closed.

import { closeSync } from 'node:fs';

/** Names the sockets: JSON, from their keys to lists of descriptors. */
export const SOCKETS_VARIABLE = 'MILLRACE_SOCKETS';

/** First descriptor that a service manager hands over (sd_listen_fds(3)). */
const FIRST_LISTENED = 3;

export class Inheritance {
  static readonly none = new Inheritance(new Map(), new Set(), false);
  /** Numbers that a configuration may know sockets by (`fd:N`). */
  readonly numbers: ReadonlySet<number>;
  /** All that there is comes from a predecessor. */
  readonly succeeds: boolean;
  readonly #sockets: Map<string, number[]>;

  private constructor(sockets: Map<string, number[]>, numbers: ReadonlySet<number>, succeeds: boolean) {
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
    const named = [...sockets.keys()].filter((key) => /^fd:\d+$/.test(key)).map((key) => Number(key.slice(3)));
    return new Inheritance(sockets, new Set(named), true);
  }

  has(key: string): boolean {
    return this.#sockets.has(key);
  }

  /** Those of one key that are for event loop `place` of `count`; nobody else gets them afterwards. */
  take(key: string, place: number, count: number): readonly number[] {
    const all = this.#sockets.get(key) ?? [];
    const taken = all.filter((_, at) => at % count === place);
    for (const descriptor of taken) all[all.indexOf(descriptor)] = -1;
    return taken.filter((descriptor) => descriptor >= 0);
  }

  /** Those of `keys` that are for event loop `place` of `count`. */
  share(keys: readonly string[], place: number, count: number): ReadonlyMap<string, readonly number[]> {
    return new Map(keys.map((key) => [key, this.take(key, place, count)]));
  }

  /** Closes what nobody took: its address is not bound any more. */
  closeRest(): void {
    for (const descriptor of [...this.#sockets.values()].flat()) if (descriptor >= 0) closeHanded(descriptor);
    this.#sockets.clear();
  }
}

/** Null when it is not as `startSuccessor` writes it. */
function readSockets(text: string): Map<string, number[]> | null {
  let found: unknown;
  try {
    found = JSON.parse(text);
  } catch {
    return null;
  }
  if (typeof found !== 'object' || found === null || Array.isArray(found)) return null;
  const lists = Object.values(found);
  const whole = lists.every((list) => Array.isArray(list) && list.every((fd) => Number.isInteger(fd) && fd > 2));
  return whole ? new Map(Object.entries(found) as [string, number[]][]) : null;
}

function listened({ LISTEN_FDS, LISTEN_PID }: NodeJS.ProcessEnv, pid: number): ReadonlySet<number> {
  const count = Number(LISTEN_FDS ?? 0);
  const meant = LISTEN_PID === undefined || Number(LISTEN_PID) === pid;
  if (!meant || !Number.isInteger(count) || count < 0 || count > MOST_LISTENED) return new Set();
  return new Set(Array.from({ length: count }, (_, at) => FIRST_LISTENED + at));
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
