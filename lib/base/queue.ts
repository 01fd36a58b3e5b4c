// First in, first out, with removal from the middle at no cost: for those who wait and may give up.

/** An entry; embedded in whatever waits, so that waiting allocates nothing. */
export interface Queued {
  queue: Queue | null;
  ahead: Queued | null;
  behind: Queued | null;
}

export class Queue {
  size = 0;
  #first: Queued | null = null;
  #last: Queued | null = null;

  /** Who has waited longest, null when nobody waits. */
  get first(): Queued | null {
    return this.#first;
  }

  /** Adds at the end. An entry waits in one queue at a time. */
  add(entry: Queued): void {
    entry.queue = this;
    entry.ahead = this.#last;
    entry.behind = null;
    if (this.#last === null) this.#first = entry;
    else this.#last.behind = entry;
    this.#last = entry;
    this.size++;
  }

  /** Adds before all others. */
  addFirst(entry: Queued): void {
    entry.queue = this;
    entry.ahead = null;
    entry.behind = this.#first;
    if (this.#first === null) this.#last = entry;
    else this.#first.ahead = entry;
    this.#first = entry;
    this.size++;
  }

  /** Takes the first, null when nobody waits. */
  take(): Queued | null {
    const entry = this.#first;
    if (entry !== null) this.remove(entry);
    return entry;
  }

  /** Takes an entry out; nothing happens when it does not wait here. */
  remove(entry: Queued): void {
    if (entry.queue !== this) return;
    if (entry.ahead === null) this.#first = entry.behind;
    else entry.ahead.behind = entry.behind;
    if (entry.behind === null) this.#last = entry.ahead;
    else entry.behind.ahead = entry.ahead;
    entry.queue = null;
    entry.ahead = null;
    entry.behind = null;
    this.size--;
  }
}
