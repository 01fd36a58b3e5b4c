// Gives out the endpoints of a cluster: by the choice that is published, under its cap, and to those who wait in the order of
// their coming. A choice is made anew in a turn of its own, never while an exchange is under way.

import { flush } from '../io/send.ts';
import { Choice } from './choice.ts';
import type { Endpoint } from './endpoint.ts';
import type { ClusterOptions } from './options.ts';
import { Waiters } from './waiters.ts';

/** What there is to give out. */
export interface Stock {
  readonly endpoints: readonly Endpoint[];
  readonly options: ClusterOptions;
  /** As much is under way as may be. */
  readonly full: boolean;
}

export class Allotment {
  readonly waiters = new Waiters();
  /** How often a choice was made. */
  published = 0;
  readonly #stock: Stock;
  readonly #renewed: (choice: Choice) => void;
  #choice: Choice;
  #due: NodeJS.Immediate | null = null;

  /** `renewed` is told of each choice. */
  constructor(stock: Stock, renewed: (choice: Choice) => void) {
    this.#stock = stock;
    this.#renewed = renewed;
    this.#choice = new Choice([], stock.options, 0);
  }

  /** Whether the choice will be another soon, by time alone. */
  get ramping(): boolean {
    return this.#choice.selection.ramping;
  }

  /** Whether nobody may be chosen, with room or without, until something changes. */
  get barren(): boolean {
    return this.#choice.selection.candidates.length === 0 && !this.#choice.stale;
  }

  pick(tried: readonly Endpoint[], hash: number, who: object | null): Endpoint | null {
    return this.#choice.pick(tried, hash, who);
  }

  pickAvailable(tried: readonly Endpoint[], hash: number, who: object | null, alone: boolean): Endpoint | null {
    return this.#stock.full ? null : this.#choice.pickAvailable(tried, hash, who, alone);
  }

  /**
   * There is room for one or for many: a connection may serve several, and whoever dials one makes room for those behind.
   * Who is woken may give up, and leave the room to the next.
   */
  wake(): void {
    while (this.waiters.size > 0 && this.waiters.wake(this.#hasRoom) && this.#hasRoom());
  }

  /** As `wake`, in a turn of its own. */
  wakeSoon(): void {
    if (this.waiters.size > 0) this.#soon();
  }

  /** Makes the choice anew, now. */
  publish(): void {
    const { endpoints, options } = this.#stock;
    const start = this.published === 0 ? 0 : Math.random();
    this.#choice = new Choice(endpoints, options, performance.now(), this.#choice, start);
    this.published++;
    this.#renewed(this.#choice);
    this.wakeSoon();
  }

  /** Standings have changed: there is another choice soon, one for all changes of this turn. */
  change(): void {
    this.#choice.stale = true;
    this.#soon();
  }

  /** Turns that are taken begin anywhere with the next choice, and not with the first endpoint. */
  forget(): void {
    this.#choice = new Choice([], this.#stock.options, 0);
  }

  #soon(): void {
    this.#due ??= setImmediate(() => {
      this.#due = null;
      if (this.#choice.stale) this.publish();
      // Whoever waits may go on with one that is new or back.
      while (this.waiters.size > 0 && this.waiters.wake(this.#hasRoom));
      flush();
    });
  }

  readonly #hasRoom = (): boolean => !this.#stock.full && this.#choice.roomy;
}
