// What is found out about endpoints once for all event loops: checks and discovery, and what operators have said. Serves
// nobody; its clusters have no traffic.

import type { Log } from '../base/log.ts';
import { buildClusters } from '../config/build.ts';
import type { Configuration } from '../config/configuration.ts';
import { keepersOf } from '../config/keepers.ts';
import type { Cluster, ClusterObserver } from '../upstream/cluster.ts';
import type { ChangeRefusal, EndpointChange } from '../upstream/membership.ts';
import type { News } from './channel.ts';

/** A configuration that could be gone over to. */
export interface NextWatch {
  /** The same with all endpoints that are known. */
  readonly configuration: Configuration;
  commit(): void;
}

export class Watch {
  readonly #log: Log;
  readonly #observer: ClusterObserver;
  #configuration: Configuration | null = null;
  #clusters: ReadonlyMap<string, Cluster> = new Map();
  /** By cluster and endpoint: until when traffic has put it aside, of the monotonic clock. */
  readonly #ejected = new Map<string, { cluster: string; endpoint: string; untilMs: number }>();

  /** `publish` is told of everything that event loops must know. */
  constructor(log: Log, publish: (news: News) => void) {
    this.#log = log;
    this.#observer = {
      membersChanged: ({ name }, endpoints) => publish({ kind: 'members', cluster: name, endpoints }),
      healthChanged: ({ name }, { name: endpoint, standing }) =>
        publish({ kind: 'health', cluster: name, endpoint, health: standing.health }),
      ejectionChanged() {},
    };
  }

  /** Gets ready to look after what `configuration` has; nothing changes before `commit`. */
  prepare(configuration: Configuration): NextWatch {
    const changes: (() => void)[] = [];
    const before =
      this.#configuration === null ? {} : { before: { configuration: this.#configuration, clusters: this.#clusters } };
    const clusters = buildClusters(configuration, this.#log, { ...before, keepers: keepersOf }, changes);
    const known = Object.entries(configuration.clusters).map(([name, options]) => {
      const endpoints = this.#clusters.get(name)?.expect(options.endpoints, options.discovery !== null);
      return [name, endpoints === undefined ? options : { ...options, endpoints }] as const;
    });
    return {
      configuration: { ...configuration, clusters: Object.fromEntries(known) },
      commit: () => this.#follow(configuration, clusters, changes),
    };
  }

  /** All that an event loop that begins now must know. */
  get news(): readonly News[] {
    const news: News[] = [];
    for (const { name, endpoints } of this.#clusters.values()) {
      for (const { name: endpoint, standing } of endpoints) {
        if (standing.health !== 'unknown')
          news.push({ kind: 'health', cluster: name, endpoint, health: standing.health });
      }
    }
    const now = performance.now();
    for (const [key, { cluster, endpoint, untilMs }] of this.#ejected) {
      if (untilMs > now) news.push({ kind: 'ejection', cluster, endpoint, forMs: untilMs - now });
      else this.#ejected.delete(key);
    }
    return news;
  }

  /** Traffic of an event loop has found something out. */
  hear(news: News): void {
    if (news.kind !== 'ejection') return;
    const { cluster, endpoint, forMs } = news;
    const key = `${cluster} ${endpoint}`;
    if (forMs === 0) this.#ejected.delete(key);
    else this.#ejected.set(key, { cluster, endpoint, untilMs: performance.now() + forMs });
  }

  /** An operator changes an endpoint; answers why not, `no cluster`, or null when it is done. */
  change(cluster: string, change: EndpointChange): ChangeRefusal | 'no cluster' | null {
    const found = this.#clusters.get(cluster);
    return found === undefined ? 'no cluster' : found.change(change);
  }

  /** How often an endpoint was checked. */
  checks(cluster: string, endpoint: string): number {
    return this.#clusters.get(cluster)?.endpoints.find(({ name }) => name === endpoint)?.stats.checks ?? 0;
  }

  stop(): void {
    for (const cluster of this.#clusters.values()) {
      cluster.stop();
      cluster.empty(true);
    }
  }

  #follow(
    configuration: Configuration,
    clusters: ReadonlyMap<string, Cluster>,
    changes: readonly (() => void)[],
  ): void {
    for (const change of changes) change();
    const gone = new Set(this.#clusters.values());
    this.#configuration = configuration;
    this.#clusters = clusters;
    for (const cluster of clusters.values()) {
      if (gone.delete(cluster)) continue;
      cluster.observer = this.#observer;
      cluster.start();
    }
    for (const cluster of gone) {
      cluster.observer = null;
      cluster.stop();
      cluster.empty(true);
    }
  }
}
