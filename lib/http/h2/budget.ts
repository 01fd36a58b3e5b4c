// What a peer may ask of us that costs us work and brings nobody anything: a number that is used up and grows back with
// time. Honest peers never come near it.

export class Budget {
  readonly #most: number;
  readonly #perSecond: number;
  readonly #now: () => number;
  #left: number;
  #sinceMs: number;

  /** `most` at once, `perSecond` for good. */
  constructor(most: number, perSecond: number, now: () => number = Date.now) {
    this.#most = most;
    this.#perSecond = perSecond;
    this.#now = now;
    this.#left = most;
    this.#sinceMs = now();
  }

  /** Uses up `cost`; false when nothing is left. */
  spend(cost: number): boolean {
    this.#left -= cost;
    if (this.#left >= 0) return true;
    const now = this.#now();
    const grown = Math.floor(((now - this.#sinceMs) * this.#perSecond) / 1000);
    if (grown > 0) {
      this.#left = Math.min(this.#most, this.#left + grown);
      this.#sinceMs = now;
    }
    return this.#left >= 0;
  }

  /** Gives back what useful work has earned. */
  earn(amount: number): void {
    this.#left = Math.min(this.#most, this.#left + amount);
  }
}
