// One event loop's share of the proxy, in the thread that this runs in: builds the snapshots that it is ordered to serve,
// hears what others have found out, and reports.

import type { ClusterStatus, EndpointStatus, ListenerStatus } from '../admin/control.ts';
import type { Log } from '../base/log.ts';
import { type Built, buildSnapshot } from '../config/build.ts';
import { Crowd } from '../server/crowd.ts';
import type { Cut, Listener } from '../server/listener.ts';
import { type Binding, type Prepared, Server } from '../server/server.ts';
import { Materials } from '../tls/material.ts';
import { TicketKeys } from '../tls/ticket.ts';
import type { Cluster, ClusterObserver } from '../upstream/cluster.ts';
import { divideCluster } from '../upstream/division.ts';
import type { Endpoint } from '../upstream/endpoint.ts';
import type { EventLoop, LoopReport, News, Order, PrepareResult } from './channel.ts';

/** What is ready to take effect. */
interface Pending {
  readonly built: Built;
  readonly prepared: Prepared;
}

export class OwnLoop implements EventLoop {
  readonly #log: Log;
  readonly #say: (news: News) => void;
  readonly #observer: ClusterObserver;
  #server: Server | null = null;
  #built: Built | null = null;
  #pending: Pending | null = null;
  /** Counts what was given up: an order that is older is not got ready any more. */
  #aborted = 0;

  /** `say` is told what traffic has found out. */
  constructor(log: Log, say: (news: News) => void) {
    this.#log = log;
    this.#say = say;
    this.#observer = {
      membersChanged() {},
      healthChanged() {},
      evicted() {},
      ejectionChanged({ name }, endpoint, forMs) {
        say({ kind: 'ejection', cluster: name, endpoint: endpoint.name, forMs });
      },
    };
  }

  async prepare(order: Order): Promise<PrepareResult> {
    const aborted = this.#aborted;
    let built: Built;
    try {
      built = this.#build(order);
    } catch (error) {
      // A file that was there when the document was checked, and is not any more.
      return { fault: error instanceof Error ? error.message : String(error) };
    }
    const binding: Binding = {
      shared: order.shared,
      first: order.place === 0,
      found: order.found,
      inherited: order.inherited,
      crowd: (listener) => new Crowd(order.crowds.get(listener), order.place),
    };
    this.#server ??= Server.create(this.#log);
    const prepared = await this.#server.prepare(built, binding);
    if ('fault' in prepared) return prepared;
    if (aborted !== this.#aborted) {
      prepared.abort();
      return { fault: 'it was given up' };
    }
    this.#pending = { built, prepared };
    return { ports: prepared.ports };
  }

  async commit(drainTimeoutMs: number, news: readonly News[]): Promise<void> {
    const { built, prepared } = this.#pending!;
    this.#pending = null;
    prepared.commit(drainTimeoutMs);
    this.#built = built;
    for (const cluster of built.clusters.values()) cluster.observer = this.#observer;
    for (const one of news) this.tell(one);
  }

  async abort(): Promise<void> {
    this.#aborted++;
    this.#pending?.prepared.abort();
    this.#pending = null;
  }

  tell(news: News): void {
    // Whoever serves has read the files itself.
    if (news.kind === 'material') return;
    if (news.kind === 'certificate') {
      for (const { tls } of this.#built?.listeners ?? []) tls?.hear(news);
      return;
    }
    const cluster = this.#built?.clusters.get(news.cluster);
    if (cluster === undefined) return;
    if (news.kind === 'members') cluster.hearMembers(news.endpoints);
    else if (news.kind === 'health') cluster.hearHealth(news.endpoint, news.health);
    else if (news.kind === 'eviction') cluster.hearEviction(news.endpoint);
    else cluster.hearEjection(news.endpoint, news.forMs);
  }

  async report(): Promise<LoopReport> {
    const server = this.#server;
    const { clusters = new Map<string, Cluster>() } = this.#built ?? {};
    return {
      connections: server?.open ?? 0,
      listeners: server?.listeners.map(listenerStatus) ?? [],
      clusters: [...clusters.values()].map(clusterStatus),
      heapBytes: process.memoryUsage().heapUsed,
    };
  }

  #build({ configuration, place, count, materials, tickets: { secret, turn } }: Order): Built {
    const clusters = Object.entries(configuration.clusters).map(
      ([name, options]) => [name, divideCluster(options, place, count)] as const,
    );
    const own = { ...configuration, clusters: Object.fromEntries(clusters) };
    return buildSnapshot(own, this.#log, {
      ...(this.#built !== null && { before: this.#built }),
      tickets: new TicketKeys(Buffer.from(secret), Date.now, turn),
      ordering: { orders: place === 0, say: this.#say },
      materials: new Materials(materials, this.#say),
    });
  }

  handOver(): void {
    this.#server?.handOver();
  }

  async drain(timeoutMs: number): Promise<readonly Cut[]> {
    await this.#server?.drain(timeoutMs);
    return this.#server?.cuts.filter(({ http, tunnels }) => http + tunnels > 0) ?? [];
  }

  async stop(): Promise<void> {
    await this.abort();
    await this.#server?.close();
  }
}

function listenerStatus({ plan, open, stats, http }: Listener): ListenerStatus {
  return {
    name: plan.name,
    addresses: [],
    connections: open,
    accepted: stats.accepted,
    refused: stats.refused,
    exchanges: http.stats.exchanges,
  };
}

function clusterStatus({ name, options, active, waiting, concurrency, stats, endpoints }: Cluster): ClusterStatus {
  return {
    name,
    balance: options.balance,
    active,
    waiting,
    adaptiveLimit: concurrency?.limit ?? 0,
    ...stats,
    endpoints: endpoints.map(endpointStatus),
  };
}

function endpointStatus({ name, weight, standing, active, pool, stats }: Endpoint): EndpointStatus {
  const { draining, ejected, health, trial } = standing;
  const state = draining
    ? 'draining'
    : health === 'down'
      ? 'down'
      : ejected
        ? 'ejected'
        : trial === 'none'
          ? 'up'
          : 'trial';
  return { address: name, weight, state, active, connections: pool.open, idle: pool.idle, ...stats };
}
