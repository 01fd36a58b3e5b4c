// Names that are looked up by the system, for all who keep an eye on them: few at a time, since each look-up holds one of the
// four threads that files and other work need too, and once for all who ask for the same name.

import dns from 'node:dns';

/** Addresses, sorted, or the code of what went wrong. */
export type Told = (answer: { readonly addresses: readonly string[] } | { readonly cause: string }) => void;

const MOST_AT_ONCE = 2;

export class Lookups {
  /** By name: who waits for it, whether it is being looked up or still has to be. */
  readonly #asked = new Map<string, Set<Told>>();
  readonly #queue: string[] = [];
  #underway = 0;

  /** Asks for a name; answers how to take that back, after which nothing is told. */
  ask(name: string, told: Told): () => void {
    let waiting = this.#asked.get(name);
    if (waiting === undefined) {
      waiting = new Set();
      this.#asked.set(name, waiting);
      this.#queue.push(name);
    }
    // Of its own, in case the same function waits twice.
    const own: Told = (answer) => told(answer);
    waiting.add(own);
    this.#next();
    return () => void waiting.delete(own);
  }

  #next(): void {
    while (this.#underway < MOST_AT_ONCE) {
      const name = this.#queue.shift();
      if (name === undefined) return;
      if (this.#asked.get(name)!.size === 0) this.#asked.delete(name);
      else this.#look(name);
    }
  }

  #look(name: string): void {
    this.#underway++;
    dns.lookup(name, { all: true }, (error, found) => {
      this.#underway--;
      const waiting = this.#asked.get(name)!;
      this.#asked.delete(name);
      const answer =
        error === null
          ? { addresses: found.map(({ address }) => address).sort() }
          : { cause: error.code ?? error.message };
      for (const told of waiting) told(answer);
      this.#next();
    });
  }
}

/** Those of this thread. */
export const lookups = new Lookups();
