// How many retries a cluster may make: a share of its exchanges, of which some are saved while all goes well.

/** Exchanges that may be tried again at once however little else is, so that a quiet cluster has some too. */
const LEAST_RETRIES = 3;
/**
 * Retries that can be saved while all goes well, or as many as are under way: an endpoint that stops answering takes its
 * whole share of them with it at once, and each is worth another try. What goes on failing has the budget alone.
 */
const MOST_SAVED = 100;

export class RetryBudget {
  #retrying = 0;
  #saved = 0;

  /** An exchange begins beside `active` others, and `share` of a retry is saved. */
  save(share: number, active: number): void {
    if (this.#saved < Math.max(MOST_SAVED, active)) this.#saved += share;
  }

  /**
   * Takes out a try; false when that is spent. `again`: for an exchange that has had one. `end` is to follow once for each
   * exchange.
   */
  begin(again: boolean): boolean {
    const others = again ? this.#retrying - 1 : this.#retrying;
    if (others >= LEAST_RETRIES) {
      if (this.#saved < 1) return false;
      this.#saved--;
    }
    if (!again) this.#retrying++;
    return true;
  }

  end(): void {
    this.#retrying--;
  }
}
