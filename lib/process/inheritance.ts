// Listening sockets that a predecessor hands over, as descriptors that this process was started with: what came into their
// queues before is not lost, since the sockets are never closed.

import { closeSync } from 'node:fs';

/** Names the sockets: JSON, from their keys to lists of descriptors. */
export const SOCKETS_VARIABLE = 'MILLRACE_SOCKETS';

export class Inheritance {
  static readonly none = new Inheritance(new Map());
  readonly #sockets: Map<string, number[]>;

  private constructor(sockets: Map<string, number[]>) {
    this.#sockets = sockets;
  }

  /** What this process was handed over; the variable is taken away, so that no other process believes it. */
  static claim(environment: NodeJS.ProcessEnv = process.env): Inheritance {
    const text = environment[SOCKETS_VARIABLE];
    delete environment[SOCKETS_VARIABLE];
    if (text === undefined) return Inheritance.none;
    return new Inheritance(new Map(Object.entries(JSON.parse(text) as Record<string, number[]>)));
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
    for (const descriptor of [...this.#sockets.values()].flat()) if (descriptor >= 0) closeSync(descriptor);
    this.#sockets.clear();
  }
}
