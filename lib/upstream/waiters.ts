// Those who wait for an endpoint with room, in the order of their coming. How long they wait is their own affair.

import { Queue, type Queued } from '../base/queue.ts';

/** Who waits for an endpoint with room. */
export interface Waiter extends Queued {
  /**
   * There may be room now: pick again, and leave the queue when there is. Whoever finds none stays as it is, with its
   * place and its deadline.
   */
  proceed(): void;
  /** An exception of ours has come out of `proceed`: it is to leave the queue and to end. */
  crashed(error: unknown): void;
}

export class Waiters {
  readonly #queue = new Queue();

  get size(): number {
    return this.#queue.size;
  }

  add(waiter: Waiter): void {
    this.#queue.add(waiter);
  }

  /** Before all others. */
  addFirst(waiter: Waiter): void {
    this.#queue.addFirst(waiter);
  }

  remove(waiter: Waiter): void {
    this.#queue.remove(waiter);
  }

  /**
   * Lets one go on: the first, or when there is nothing for it, because of what it has tried or belongs to, the next for whom
   * there is, as long as there is `room` for anybody. False when nobody has gone.
   */
  wake(room: () => boolean): boolean {
    let waiter = this.#queue.first as Waiter | null;
    while (waiter !== null) {
      const next = waiter.behind as Waiter | null;
      try {
        waiter.proceed();
      } catch (error) {
        // Its own affair: whoever wakes it has nothing to do with it.
        this.#queue.remove(waiter);
        waiter.crashed(error);
      }
      if (waiter.queue !== this.#queue) return true;
      // It may have gone, failed and come back, and others have gone meanwhile.
      if (next?.queue !== this.#queue || !room()) return false;
      waiter = next;
    }
    return false;
  }
}
