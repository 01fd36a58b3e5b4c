// The same endpoint for the same key: Maglev hashing (Eisenbud et al., NSDI 2016, section 3.4). A table of prime size is
// filled by the endpoints in turn, each in an order of its own, so that all have their share and few keys move when one
// comes or goes. With a bound, no endpoint has more than so many times the average under way (Mirrokni, Thorup and
// Zadimoghaddam 2016): keys beyond it go on to the next.

import { hashText } from '../../base/hash.ts';
import type { Endpoint, Load } from '../endpoint.ts';
import type { Candidate, Picker } from '../picker.ts';

/** Prime, and more than a hundred times as many as most clusters have endpoints. */
export const TABLE_SIZE = 65_537;

export class Hash implements Picker {
  readonly #candidates: readonly Candidate[];
  readonly #table: Uint16Array;
  /** 0: no bound. */
  readonly #bound: number;
  readonly #total: number;
  /** What the candidates have under way together. */
  readonly #load: Load = { active: 0 };

  constructor(candidates: readonly Candidate[], bound = 0) {
    // What has no slot cannot be chosen.
    this.#candidates = candidates.slice(0, TABLE_SIZE - 1);
    this.#bound = bound;
    this.#total = candidates.reduce((sum, { weight }) => sum + weight, 0);
    this.#table = fill(this.#candidates);
    if (bound === 0) return;
    // From here on they keep it themselves: adding it up took 1.4 microseconds for each choice among 1,000.
    for (const { endpoint } of this.#candidates) {
      this.#load.active += endpoint.active;
      endpoint.share = this.#load;
    }
  }

  pick(avoid: Endpoint | null, hash: number): Endpoint | null {
    const candidates = this.#candidates;
    if (candidates.length === 0) return null;
    let slot = hash % TABLE_SIZE;
    const first = candidates[this.#table[slot]!]!;
    if (candidates.length === 1) return first.endpoint;
    if (first.endpoint !== avoid && this.#within(first)) return first.endpoint;
    // Onwards in the table: as good as drawn, and the same for the same key.
    for (let steps = 0; steps < WALK; steps++) {
      slot = slot + 1 < TABLE_SIZE ? slot + 1 : 0;
      const next = candidates[this.#table[slot]!]!;
      if (next.endpoint !== avoid && this.#within(next)) return next.endpoint;
    }
    return first.endpoint !== avoid
      ? first.endpoint
      : candidates[(this.#table[slot]! + 1) % candidates.length]!.endpoint;
  }

  other(hash: number, accepts: (endpoint: Endpoint) => boolean): Endpoint | null {
    const candidates = this.#candidates;
    if (candidates.length === 0) return null;
    let slot = hash % TABLE_SIZE;
    let beyond: Endpoint | null = null;
    for (let steps = 0; steps < WALK; steps++) {
      const next = candidates[this.#table[slot]!]!;
      if (accepts(next.endpoint)) {
        if (this.#within(next)) return next.endpoint;
        beyond ??= next.endpoint;
      }
      slot = slot + 1 < TABLE_SIZE ? slot + 1 : 0;
    }
    // Few of many: whoever comes next in the list, from where this key has come to.
    for (let left = candidates.length, at = this.#table[slot]!; left > 0 && beyond === null; left--) {
      const { endpoint } = candidates[at]!;
      if (accepts(endpoint)) beyond = endpoint;
      at = at + 1 < candidates.length ? at + 1 : 0;
    }
    return beyond;
  }

  #within({ endpoint, weight }: Candidate): boolean {
    // Most are far below any bound.
    if (this.#bound === 0 || endpoint.active === 0) return true;
    return endpoint.active + 1 <= Math.ceil((this.#bound * (this.#load.active + 1) * weight) / this.#total);
  }
}

/** Slots that are looked at before the first choice is taken after all. */
const WALK = 512;

function fill(candidates: readonly Candidate[]): Uint16Array {
  const table = new Uint16Array(TABLE_SIZE).fill(EMPTY);
  const count = candidates.length;
  if (count === 0) return table;
  const at = new Uint32Array(count);
  const skip = new Uint32Array(count);
  const credit = new Float64Array(count);
  let heaviest = 0;
  for (let i = 0; i < count; i++) {
    const { endpoint, weight } = candidates[i]!;
    at[i] = hashText(endpoint.name) % TABLE_SIZE;
    skip[i] = (hashText(endpoint.name, 0x9e3779b9) % (TABLE_SIZE - 1)) + 1;
    heaviest = Math.max(heaviest, weight);
  }
  for (let filled = 0; ; ) {
    for (let i = 0; i < count; i++) {
      // The heaviest takes a slot in every round, the others when their weights have added up to as much.
      credit[i]! += candidates[i]!.weight;
      if (credit[i]! < heaviest) continue;
      credit[i]! -= heaviest;
      let slot = at[i]!;
      while (table[slot] !== EMPTY) slot = (slot + skip[i]!) % TABLE_SIZE;
      table[slot] = i;
      at[i] = (slot + skip[i]!) % TABLE_SIZE;
      if (++filled === TABLE_SIZE) return table;
    }
  }
}

const EMPTY = 0xffff;
