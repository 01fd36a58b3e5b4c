// What the end of a proxy has cut off, over all event loops.

import type { Cut } from '../server/listener.ts';

export class Cuts {
  /** Connections. */
  total = 0;
  /** By listener: connections with exchanges, those that relayed bytes, and those lost with an event loop, where there are any. */
  readonly listeners: Record<string, { http?: number; tunnels?: number; lost?: number }> = {};

  add({ listener, http, tunnels }: Cut): void {
    this.#add(listener, 'http', http);
    this.#add(listener, 'tunnels', tunnels);
  }

  /** An event loop is gone that had so many, whatever they were doing. */
  lost(listener: string, connections: number): void {
    this.#add(listener, 'lost', connections);
  }

  #add(listener: string, what: 'http' | 'tunnels' | 'lost', count: number): void {
    if (count === 0) return;
    const known = (this.listeners[listener] ??= {});
    known[what] = (known[what] ?? 0) + count;
    this.total += count;
  }
}
