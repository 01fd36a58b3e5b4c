// A named group of endpoints: chooses one per exchange, lets exchanges wait when all are full, and counts. What is sent
// to an endpoint is left to those who pick.

import type { ErrorCode } from '../base/errors.ts';
import { Queue, type Queued } from '../base/queue.ts';
import type { Originator } from '../tls/originator.ts';
import { Endpoint } from './endpoint.ts';
import type { ClusterOptions } from './options.ts';
import { createPicker, type Picker } from './picker.ts';

/** Who waits for an endpoint with room. */
export interface Waiter extends Queued {
  /** There may be room now: pick again. */
  proceed(): void;
}

export class Cluster {
  readonly name: string;
  readonly options: ClusterOptions;
  /** What encrypts its connections, null when they are plain. */
  readonly tls: Originator | null;
  readonly endpoints: readonly Endpoint[];
  readonly #picker: Picker;
  readonly #waiting = new Queue();

  constructor(name: string, options: ClusterOptions, tls: Originator | null = null) {
    this.name = name;
    this.options = options;
    this.tls = tls;
    this.endpoints = options.endpoints.map((endpoint) => new Endpoint(endpoint, options.pool));
    this.#picker = createPicker(options.balance, this.endpoints);
  }

  /** An endpoint for a tunnel or a connection, none of `tried` if there is another. Null without endpoints. */
  pick(tried: readonly Endpoint[]): Endpoint | null {
    const chosen = this.#picker.pick(tried.length === 0 ? null : tried[tried.length - 1]!);
    if (tried.length < 2 || chosen === null || !tried.includes(chosen)) return chosen;
    for (const endpoint of this.endpoints) if (!tried.includes(endpoint)) return endpoint;
    return chosen;
  }

  /** As `pick`, but only with room in its pool: null when every endpoint is full, and then waiting is the way. */
  pickAvailable(tried: readonly Endpoint[]): Endpoint | null {
    const chosen = this.pick(tried);
    if (chosen === null || chosen.pool.available) return chosen;
    for (const endpoint of this.endpoints) if (endpoint.pool.available) return endpoint;
    return null;
  }

  /** Puts `waiter` at the end of the queue; answers why not when that is not possible. */
  wait(waiter: Waiter): ErrorCode | null {
    if (this.endpoints.length === 0) return 'no_endpoint';
    if (this.#waiting.size >= this.options.pool.queue) return 'queue_full';
    this.#waiting.add(waiter);
    return null;
  }

  /** `waiter` has given up. */
  leave(waiter: Waiter): void {
    this.#waiting.remove(waiter);
  }

  /** An endpoint has room again: whoever waits longest goes on. */
  wake(): void {
    // Who is woken in vain goes to the end of the queue: not unless there is room.
    if (this.#waiting.size === 0 || !this.#hasRoom()) return;
    (this.#waiting.take() as Waiter | null)?.proceed();
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  /** Closes idle connections; with `forGood` every one that becomes idle. */
  empty(forGood: boolean): void {
    for (const endpoint of this.endpoints) endpoint.pool.empty(forGood);
  }

  #hasRoom(): boolean {
    for (const endpoint of this.endpoints) if (endpoint.pool.available) return true;
    return false;
  }
}
