// The closed loop: each client sends its next request when the last was answered. As many are under way as there are
// clients, so that a slow proxy is asked less.

import type { Client, Run } from './pace.ts';

export class ClosedLoop implements Run {
  readonly #seconds: number;
  #stopped = false;

  constructor(seconds: number) {
    this.#seconds = seconds;
  }

  /** What is under way at the end is dropped and not counted. */
  async run(clients: readonly Client[]): Promise<number> {
    const startMs = performance.now();
    for (const client of clients) client.begin(startMs, startMs);
    await new Promise((resolve) => setTimeout(resolve, this.#seconds * 1000));
    const endMs = performance.now();
    this.#stopped = true;
    for (const client of clients) client.stop();
    return (endMs - startMs) / 1000;
  }

  free(client: Client, nowMs: number): void {
    if (!this.#stopped) client.begin(nowMs, nowMs);
  }
}
