// One timer for all deadlines. Arming, moving and disarming are a few stores, because a deadline that moves later stays
// where it is until its slot comes round. Which deadline means what is left to whoever armed it.

/** Resolution. While the loop turns in time, a deadline never fires early, and late by less than three of these. */
const TICK_MS = 100;
/** More than this between two ticks means that the loop stood still. */
const STALL_MS = 2 * TICK_MS;
const SLOTS = 512;

/** Something with at most one deadline at a time. Embedded in connections, so arming allocates nothing. */
export abstract class Timed {
  /** Time of the deadline in the wheel's clock, 0 when none is set. */
  deadlineMs = 0;
  /** The wheel's own: where this is linked. */
  slot = -1;
  visitMs = 0;
  earlier: Timed | null = null;
  later: Timed | null = null;

  /** The deadline has passed; it is no longer set. */
  abstract expire(): void;
}

export class Wheel {
  readonly #slots: (Timed | null)[] = new Array(SLOTS).fill(null);
  readonly #read: () => number;
  readonly #turned: () => void;
  readonly #crashed: (error: unknown) => void;
  /** What the clock said at the last tick, and the wheel's own time, from which stalls are left out. */
  #readMs: number;
  #nowMs: number;
  #linked = 0;
  #timer: NodeJS.Timeout | null = null;

  /** `read` is a monotonic clock in milliseconds; `turned` is called at the end of every turn, `crashed` with what `expire` throws. */
  constructor(
    read: () => number = () => performance.now(),
    turned: () => void = () => {},
    crashed: (error: unknown) => void = () => {},
  ) {
    this.#read = read;
    this.#turned = turned;
    this.#crashed = crashed;
    this.#readMs = read();
    this.#nowMs = this.#readMs;
  }

  /** Sets the deadline of `entry` to `ms` from now (1 ms to about 24 days), replacing what was set. */
  arm(entry: Timed, ms: number): void {
    if (this.#timer === null) this.#start();
    const at = this.#nowMs + ms + TICK_MS;
    entry.deadlineMs = at;
    if (entry.slot < 0) this.#link(entry);
    else if (at <= entry.visitMs - TICK_MS) {
      this.#unlink(entry);
      this.#link(entry);
    }
  }

  /** Clears the deadline; cheap, to be used when the entry will be armed again. */
  disarm(entry: Timed): void {
    entry.deadlineMs = 0;
  }

  /** Clears the deadline and forgets the entry. */
  remove(entry: Timed): void {
    entry.deadlineMs = 0;
    if (entry.slot >= 0) this.#unlink(entry);
  }

  /** The wheel's time at the last tick, in milliseconds. */
  get nowMs(): number {
    return this.#nowMs;
  }

  /** How many entries are linked; for tests of leaks. */
  get size(): number {
    return this.#linked;
  }

  /** Fires what is due. Called by the timer; tests with a clock of their own call it themselves. */
  turn(): void {
    const readMs = this.#read();
    const passedMs = readMs - this.#readMs;
    this.#readMs = readMs;
    // While the loop stood still nobody was listened to, and what was armed behind that counts from the tick before it:
    // such time is held against nobody.
    const now = this.#nowMs + (passedMs > STALL_MS ? TICK_MS : passedMs);
    const first = Math.floor(this.#nowMs / TICK_MS) + 1;
    const last = Math.floor(now / TICK_MS);
    this.#nowMs = now;
    for (let tick = first; tick <= last; tick++) this.#visit(tick % SLOTS, now);
    this.#turned();
    if (this.#linked === 0 && this.#timer !== null) {
      clearInterval(this.#timer);
      this.#timer = null;
    }
  }

  #start(): void {
    this.#readMs = this.#read();
    // A deadline alone does not keep the process alive; the sockets that it guards do.
    this.#timer = setInterval(() => this.turn(), TICK_MS).unref();
  }

  #visit(slot: number, now: number): void {
    let entry: Timed | null = this.#slots[slot]!;
    if (entry === null) return;
    // All are unlinked before any fires: what expires may arm, disarm or remove others.
    const due: Timed[] = [];
    while (entry !== null) {
      const next: Timed | null = entry.later;
      this.#unlink(entry);
      if (entry.deadlineMs > now) this.#link(entry);
      else if (entry.deadlineMs !== 0) due.push(entry);
      entry = next;
    }
    for (const late of due) {
      if (late.deadlineMs === 0 || late.slot >= 0) continue;
      late.deadlineMs = 0;
      try {
        late.expire();
      } catch (error) {
        // The others that are due must not pay for it.
        this.#crashed(error);
      }
    }
  }

  #link(entry: Timed): void {
    const at = Math.min(entry.deadlineMs, this.#nowMs + (SLOTS - 2) * TICK_MS);
    // Rounded up, so that whoever is visited on time is due.
    const tick = Math.ceil(at / TICK_MS);
    const slot = tick % SLOTS;
    entry.visitMs = tick * TICK_MS;
    entry.slot = slot;
    entry.earlier = null;
    entry.later = this.#slots[slot]!;
    if (entry.later !== null) entry.later.earlier = entry;
    this.#slots[slot] = entry;
    this.#linked++;
  }

  #unlink(entry: Timed): void {
    if (entry.earlier !== null) entry.earlier.later = entry.later;
    else this.#slots[entry.slot] = entry.later;
    if (entry.later !== null) entry.later.earlier = entry.earlier;
    entry.earlier = null;
    entry.later = null;
    entry.slot = -1;
    this.#linked--;
  }
}
