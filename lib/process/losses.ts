// Counters of event loops that are gone, as far as they were known: totals since the start must not shrink with each of them.

import type { LoopReport } from './channel.ts';
import { addStatuses } from './statuses.ts';

export class Losses {
  #sum: LoopReport = { connections: 0, heapBytes: 0, listeners: [], clusters: [] };

  /** `report`: the last that was known of one; what it had open is gone with it. */
  add(report: LoopReport): void {
    this.#sum = { ...this.#sum, ...addStatuses([this.#sum, countersOf(report)], []) };
  }

  /** One more report, of what those that there are know of. */
  among(reports: readonly (LoopReport | null)[]): LoopReport {
    const heard = reports.filter((report) => report !== null);
    const listeners = new Set(heard.flatMap((report) => report.listeners.map(({ name }) => name)));
    const endpoints = new Map<string, Set<string>>();
    for (const { name, endpoints: there } of heard.flatMap(({ clusters }) => clusters)) {
      const known = endpoints.get(name) ?? new Set();
      for (const { address } of there) known.add(address);
      endpoints.set(name, known);
    }
    return {
      ...this.#sum,
      listeners: this.#sum.listeners.filter(({ name }) => listeners.has(name)),
      clusters: this.#sum.clusters
        .filter(({ name }) => endpoints.has(name))
        .map((cluster) => ({
          ...cluster,
          endpoints: cluster.endpoints.filter(({ address }) => endpoints.get(cluster.name)!.has(address)),
        })),
    };
  }
}

function countersOf(report: LoopReport): LoopReport {
  return {
    connections: 0,
    heapBytes: 0,
    listeners: report.listeners.map((listener) => ({ ...listener, connections: 0 })),
    clusters: report.clusters.map((cluster) => ({
      ...cluster,
      active: 0,
      waiting: 0,
      adaptiveLimit: 0,
      endpoints: cluster.endpoints.map((endpoint) => ({
        ...endpoint,
        // Whoever is there says how it is.
        state: 'up' as const,
        active: 0,
        connections: 0,
        idle: 0,
      })),
    })),
  };
}
