// What is found out about endpoints once for all event loops: checks and discovery, and what operators have said. Serves
// nobody; its clusters have no traffic.

import type { Log } from '../base/log.ts';
import { buildClusters } from '../config/build.ts';
import type { Configuration } from '../config/configuration.ts';
import { keepersOf } from '../config/keepers.ts';
import type { Cluster, ClusterObserver } from '../upstream/cluster.ts';
import type { ChangeRefusal, EndpointChange } from '../upstream/membership.ts';
import type { ClusterOptions, EndpointOptions } from '../upstream/options.ts';
import type { News } from './channel.ts';

/** A configuration that could be gone over to. */
export interface NextWatch {
  /** The same with all endpoints that are known. */
  readonly configuration: Configuration;
  commit(): void;
  abort(): void;
}

/** Longest wait for the first answer of a source whose cluster has nothing else to send requests to. */
const FIRST_ANSWER_MS = 2000;

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
      membersChanged: (cluster, endpoints) => {
        this.#forget(cluster.name, new Set(cluster.endpoints.map(({ name }) => name)));
        publish({ kind: 'members', cluster: cluster.name, endpoints });
      },
      healthChanged: ({ name }, { name: endpoint, standing }) =>
        publish({ kind: 'health', cluster: name, endpoint, health: standing.health }),
      evicted: ({ name }, endpoint) => publish({ kind: 'eviction', cluster: name, endpoint: endpoint.name }),
      ejectionChanged() {},
    };
  }

  /**
   * Gets ready to look after what `configuration` has; nothing changes before `commit`. Clusters that are new and have no
   * endpoints but those of a source are asked for already: requests must not come before its first answer.
   */
  async prepare(configuration: Configuration): Promise<NextWatch> {
    const changes: (() => void)[] = [];
    const before =
      this.#configuration === null ? {} : { before: { configuration: this.#configuration, clusters: this.#clusters } };
    const clusters = buildClusters(
      configuration,
      this.#log,
      { ...before, keepers: keepersOf, watching: true },
      changes,
    );
    const early = [...clusters.values()].filter(
      ({ name, endpoints, options }) =>
        !this.#clusters.has(name) && endpoints.length === 0 && options.discovery !== null,
    );
    await Promise.all(early.map(firstAnswer));
    return {
      configuration: withEndpoints(configuration, ({ name, options }) => {
        const known = this.#clusters.get(name);
        if (known !== undefined) return known.expect(options.endpoints, options.discovery !== null);
        return clusters.get(name)!.endpoints.map((endpoint) => endpoint.options);
      }),
      commit: () => this.#follow(configuration, clusters, changes),
      abort: () => early.forEach(end),
    };
  }

  /** What is served now, with all endpoints that are known. */
  get known(): Configuration {
    return withEndpoints(this.#configuration!, ({ name }) =>
      this.#clusters.get(name)!.endpoints.map((endpoint) => endpoint.options),
    );
  }

  /** All that event loops must know at this moment. */
  get news(): readonly News[] {
    const news: News[] = [];
    for (const { name, endpoints } of this.#clusters.values()) {
      news.push({ kind: 'members', cluster: name, endpoints: endpoints.map(({ options }) => options) });
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
    const there = this.#clusters.get(cluster)?.endpoints.some(({ name }) => name === endpoint) === true;
    if (forMs === 0 || !there) this.#ejected.delete(key);
    else this.#ejected.set(key, { cluster, endpoint, untilMs: performance.now() + forMs });
  }

  /** An operator changes an endpoint; answers why not, `no cluster`, or null when it is done. */
  change(cluster: string, change: EndpointChange): ChangeRefusal | 'no cluster' | null {
    const found = this.#clusters.get(cluster);
    return found === undefined ? 'no cluster' : found.change(change);
  }

  /** How many endpoints are known to be put aside. */
  get ejected(): number {
    return this.#ejected.size;
  }

  /** How often an endpoint was checked. */
  checks(cluster: string, endpoint: string): number {
    return this.#clusters.get(cluster)?.endpoints.find(({ name }) => name === endpoint)?.stats.checks ?? 0;
  }

  /** What a cluster's source has brought. */
  discovery(cluster: string): { readonly discoveryUpdates: number; readonly discoveryFailures: number } {
    const { discoveryUpdates = 0, discoveryFailures = 0 } = this.#clusters.get(cluster)?.stats ?? {};
    return { discoveryUpdates, discoveryFailures };
  }

  stop(): void {
    for (const cluster of this.#clusters.values()) end(cluster);
  }

  /** What traffic has said of endpoints that are not in a cluster any more. */
  #forget(cluster: string, stays: ReadonlySet<string>): void {
    for (const [key, ejected] of this.#ejected)
      if (ejected.cluster === cluster && !stays.has(ejected.endpoint)) this.#ejected.delete(key);
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
      end(cluster);
    }
    // Those that are gone, or have changed without a word.
    for (const name of new Set([...this.#ejected.values()].map(({ cluster }) => cluster)))
      this.#forget(name, new Set(clusters.get(name)?.endpoints.map((endpoint) => endpoint.name)));
  }
}

/** The configuration with the endpoints that `endpointsOf` tells for each cluster. */
function withEndpoints(
  configuration: Configuration,
  endpointsOf: (cluster: { readonly name: string; readonly options: ClusterOptions }) => readonly EndpointOptions[],
): Configuration {
  const clusters = Object.entries(configuration.clusters).map(
    ([name, options]) => [name, { ...options, endpoints: endpointsOf({ name, options }) }] as const,
  );
  return { ...configuration, clusters: Object.fromEntries(clusters) };
}

/** Starts to look after a cluster; resolves once something was found, or it takes too long. */
function firstAnswer(cluster: Cluster): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(late);
      cluster.observer = null;
      resolve();
    };
    const late = setTimeout(done, FIRST_ANSWER_MS);
    cluster.observer = { membersChanged: done, healthChanged() {}, evicted() {}, ejectionChanged() {} };
    cluster.start();
  });
}

function end(cluster: Cluster): void {
  cluster.stop();
  cluster.empty(true);
}
