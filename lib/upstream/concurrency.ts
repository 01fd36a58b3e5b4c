// How much a cluster should have under way at once, found out by itself: after TCP Vegas (Brakmo, O'Malley and Peterson
// 1994), as Netflix's concurrency-limits takes it to requests. What answers take beyond what they take without load is
// time in a queue behind us; the limit rises while that queue is short and falls when it is long, so that requests wait
// here instead, where they can be counted, and refused in time. From time to time the limit is halved for a moment, to
// see what answers take without load now: else a limit that is too high would come to look right.

export interface AdaptiveOptions {
  readonly min: number;
  readonly max: number;
}

/** Answers that one look takes together: single ones say little. */
const SAMPLE = 32;
/** Looks from one measurement without load to the next. */
const PROBE_EVERY = 200;
/** Requests in the queue behind us, in units of the logarithm of the limit: fewer let it rise, more let it fall. */
const SHORT_QUEUE = 3;
const LONG_QUEUE = 6;

export class Concurrency {
  readonly #options: AdaptiveOptions;
  #limit: number;
  /** What answers take without load; 0 before it is known. */
  #quietMs = 0;
  #sumMs = 0;
  #count = 0;
  /** Most that was under way while the sample was taken. */
  #peak = 0;
  #looks = 0;
  /** While it is measured without load: looks still to come, the first of which sees what was under way before. */
  #probing = 0;

  constructor(options: AdaptiveOptions) {
    this.#options = options;
    this.#limit = this.#within(20);
  }

  /** What may be under way at once now. */
  get limit(): number {
    return Math.floor(this.#probing > 0 ? this.#within(this.#limit / 2) : this.#limit);
  }

  /** An exchange was answered after `tookMs`, with `active` under way. */
  add(tookMs: number, active: number): void {
    this.#sumMs += tookMs;
    this.#peak = Math.max(this.#peak, active);
    if (++this.#count < SAMPLE) return;
    const tookOnAverage = this.#sumMs / this.#count;
    const peak = this.#peak;
    this.#sumMs = this.#count = this.#peak = 0;
    this.#look(tookOnAverage, peak);
  }

  /** An exchange failed for want of an answer: that is overload, whatever the others take. */
  failed(): void {
    this.#limit = this.#within(this.#limit * 0.9);
  }

  #look(ms: number, peak: number): void {
    if (this.#probing > 0) {
      if (--this.#probing === 0) this.#quietMs = ms;
      return;
    }
    if (this.#quietMs === 0 || ms < this.#quietMs) this.#quietMs = ms;
    // Where nobody asks for more, nothing is learnt about what more would do.
    if (peak < this.#limit / 2) return;
    if (++this.#looks % PROBE_EVERY === 0) this.#probing = 2;
    const unit = Math.max(1, Math.log10(this.#limit) * 2);
    const queued = this.#limit * (1 - this.#quietMs / Math.max(ms, this.#quietMs));
    if (queued < SHORT_QUEUE * unit) this.#limit = this.#within(this.#limit + unit);
    else if (queued > LONG_QUEUE * unit) this.#limit = this.#within(this.#limit - unit);
  }

  #within(limit: number): number {
    return Math.min(this.#options.max, Math.max(this.#options.min, limit));
  }
}
