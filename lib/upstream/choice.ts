// What a cluster has published: whom the policy chooses among, and who stands in when the chosen one has failed already, has
// no room or is on trial. When it is made anew is the cluster's business.

import type { Endpoint } from './endpoint.ts';
import type { ClusterOptions } from './options.ts';
import { createPicker, type Picker } from './picker.ts';
import { type Selection, select } from './selection.ts';

export class Choice {
  readonly selection: Selection;
  readonly picker: Picker;
  /** Standings have changed since: who may not be chosen any more is passed over until the next is published. */
  stale = false;
  readonly #endpoints: readonly Endpoint[];
  /** Some endpoint is on trial, so that choices must be looked at. */
  readonly #trials: boolean;
  /** Whether nobody at all is better than one that is said to be ill. */
  readonly #strict: boolean;

  /** `before`: the one in whose place it comes; null for one that begins anywhere. `start`: where that is, 0 to 1. */
  constructor(
    endpoints: readonly Endpoint[],
    options: ClusterOptions,
    now: number,
    before: Choice | null = null,
    start = 0,
  ) {
    const { balance, hash, panic } = options;
    this.#endpoints = endpoints;
    this.#strict = panic === 0;
    this.#trials = endpoints.some(({ standing }) => standing.trial !== 'none');
    this.selection = select(endpoints, options, now);
    this.picker = createPicker(balance, hash, this.selection.candidates, before?.picker, start);
  }

  /** For `who`, none of `tried` if there is another; `hash` as pickers want it. Null when nobody may be chosen. */
  pick(tried: readonly Endpoint[], hash: number, who: object | null): Endpoint | null {
    return begin(this.#find(tried, hash), who);
  }

  /** As `pick`, but only with room in its pool: null when all that may be chosen are full. */
  pickAvailable(tried: readonly Endpoint[], hash: number, who: object | null, alone: boolean): Endpoint | null {
    const chosen = this.#find(tried, hash);
    if (chosen === null || chosen.pool.offers(alone)) return begin(chosen, who);
    // Of the same level: one that is only busy does not make backups of others.
    const { picker } = this;
    const other = picker.other(hash, (one) => one.pool.offers(alone) && this.#isUsable(one) && !tried.includes(one));
    if (other !== null || !tried.includes(chosen)) return begin(other, who);
    // Nobody is left that has not been tried, so that all are as good as this one.
    return begin(
      picker.other(hash, (one) => one.pool.offers(alone) && this.#isUsable(one)),
      who,
    );
  }

  /** Whether `pickAvailable` would find somebody for those who have tried nobody. */
  get roomy(): boolean {
    for (const { endpoint } of this.selection.candidates) {
      if (endpoint.pool.available && this.#isUsable(endpoint)) return true;
    }
    return false;
  }

  #find(tried: readonly Endpoint[], hash: number): Endpoint | null {
    const chosen = this.picker.pick(tried.length === 0 ? null : tried[tried.length - 1]!, hash);
    if (chosen !== null && !this.#trials && !this.stale && (tried.length === 0 || !tried.includes(chosen))) {
      return chosen;
    }
    if (chosen === null) return this.stale ? this.#newcomer(tried) : null;
    if (this.#isUsable(chosen) && !tried.includes(chosen)) return chosen;
    const other =
      this.picker.other(hash, (one) => this.#isUsable(one) && !tried.includes(one)) ?? this.#newcomer(tried);
    if (other !== null) return other;
    // Rather one that is said to be ill than one that has just failed, unless those are never to be asked.
    if (tried.length > 0 && !this.#strict) {
      for (const one of this.#endpoints) if (!one.standing.draining && !tried.includes(one)) return one;
    }
    return this.#strict && !chosen.standing.eligible ? null : chosen;
  }

  /** An endpoint on trial gets one exchange, and the others go elsewhere meanwhile. */
  #isUsable({ standing }: Endpoint): boolean {
    if (standing.trial === 'underway') return false;
    return !this.stale || this.selection.panicking || standing.eligible;
  }

  /** One that is well, of any level. */
  #newcomer(tried: readonly Endpoint[]): Endpoint | null {
    for (const one of this.#endpoints) {
      if (one.standing.eligible && one.standing.trial !== 'underway' && !tried.includes(one)) return one;
    }
    return null;
  }
}

function begin(chosen: Endpoint | null, who: object | null): Endpoint | null {
  if (chosen !== null) chosen.standing.begin(who);
  return chosen;
}
