// Whether an endpoint may be chosen, and why not: what checks have found, what traffic has met with, what an operator has
// said. Who judges is elsewhere; this is the record that the cluster reads when it publishes.

/** Seconds that the rate of failures looks back on. */
export const WINDOW_S = 10;

export class Standing {
  /** What active checks say; `unknown` before the first, and without any. */
  health: 'unknown' | 'up' | 'down' = 'unknown';
  /** An operator wants no new exchanges here. */
  draining = false;
  /** Put aside because of failures; until `ejectedUntilMs` of the monotonic clock. */
  ejected = false;
  ejectedUntilMs = 0;
  /** How often lately: each time is longer than the one before. */
  ejections = 0;
  /** After an ejection one exchange shows whether all is well: `wanted` until there is one, `underway` until it is over. */
  trial: 'none' | 'wanted' | 'underway' = 'none';
  /** Whose exchange that is; null: nobody has said so. */
  trialist: object | null = null;
  /** When it began to be used again, for slow start; 0: long ago. */
  rampFromMs = 0;
  /** Failures without a success between. */
  failures = 0;
  /** What there was in each of the last seconds, as a ring. */
  readonly #asked = new Uint32Array(WINDOW_S);
  readonly #failed = new Uint32Array(WINDOW_S);
  #second = 0;
  /** Sum and number of what exchanges have taken since it was last judged. */
  tookMs = 0;
  took = 0;

  get eligible(): boolean {
    return this.health !== 'down' && !this.ejected && !this.draining;
  }

  /** An exchange of `who` begins: if a trial is wanted, that is it. */
  begin(who: object | null): void {
    if (this.trial !== 'wanted') return;
    this.trial = 'underway';
    this.trialist = who;
  }

  /** An exchange of `who` came to nothing: if it was the trial, another may try. */
  giveBack(who: object | null): void {
    if (this.trial !== 'underway' || this.trialist !== who) return;
    this.trial = 'wanted';
    this.trialist = null;
  }

  /** A trial is over, or not wanted any more. */
  settle(): void {
    this.trial = 'none';
    this.trialist = null;
  }

  /** Takes a check's word. `now` is the monotonic clock. */
  believe(health: 'unknown' | 'up' | 'down', now: number): void {
    const before = this.health;
    this.health = health;
    if (health !== 'up') return;
    // Checked and well: traffic need not find out by trial.
    this.ejected = false;
    this.settle();
    this.forget();
    if (before === 'down') this.rampFromMs = now;
  }

  /** Goes on with what is known of the same endpoint: by checks, and by traffic, where there still are such. */
  inherit(was: Standing, checked: boolean, ejectable: boolean): void {
    this.rampFromMs = was.rampFromMs;
    if (checked) this.health = was.health;
    if (!ejectable) return;
    this.ejected = was.ejected;
    this.ejectedUntilMs = was.ejectedUntilMs;
    this.ejections = was.ejections;
    if (was.trial !== 'none') this.trial = 'wanted';
  }

  /** One exchange has ended, well or not, in this second of the monotonic clock. */
  count(failed: boolean, second: number): void {
    if (second !== this.#second) this.#turn(second);
    const slot = second % WINDOW_S;
    this.#asked[slot]!++;
    if (failed) this.#failed[slot]!++;
  }

  /** Exchanges within the window, and how many of them have failed. */
  rate(second: number): { readonly asked: number; readonly failed: number } {
    if (second !== this.#second) this.#turn(second);
    let asked = 0;
    let failed = 0;
    for (let i = 0; i < WINDOW_S; i++) {
      asked += this.#asked[i]!;
      failed += this.#failed[i]!;
    }
    return { asked, failed };
  }

  /** What was counted says nothing any more. */
  forget(): void {
    this.failures = 0;
    this.#asked.fill(0);
    this.#failed.fill(0);
    this.tookMs = 0;
    this.took = 0;
  }

  #turn(second: number): void {
    const passed = Math.min(second - this.#second, WINDOW_S);
    for (let i = 0; i < passed; i++) {
      this.#asked[(second - i) % WINDOW_S] = 0;
      this.#failed[(second - i) % WINDOW_S] = 0;
    }
    this.#second = second;
  }
}
