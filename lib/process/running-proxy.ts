// A running proxy in this thread: what a configuration describes, served until it is drained or stopped, and what the
// admin API can see and do of it.

import about from '../../package.json' with { type: 'json' };
import { Api } from '../admin/api.ts';
import type { ClusterStatus, Control, EndpointStatus, ListenerStatus, Refusal, Status } from '../admin/control.ts';
import { AdminServer } from '../admin/server.ts';
import type { Log } from '../base/log.ts';
import { buildSnapshot } from '../config/build.ts';
import type { Configuration } from '../config/configuration.ts';
import { readEndpoint } from '../config/endpoint-list.ts';
import { Server, type StartFault } from '../server/server.ts';
import type { Snapshot } from '../server/snapshot.ts';
import type { Cluster } from '../upstream/cluster.ts';
import type { Endpoint } from '../upstream/endpoint.ts';
import type { ChangeRefusal, EndpointChange } from '../upstream/membership.ts';

/** How a proxy ended. */
export type Ending = 'drained' | 'stopped' | 'failed';

export class RunningProxy implements Control {
  /** Resolves once nothing is open any more. */
  readonly ended: Promise<Ending>;
  readonly #configuration: Configuration;
  readonly #snapshot: Snapshot;
  readonly #server: Server;
  readonly #log: Log;
  readonly #bornMs = performance.now();
  #admin: AdminServer | null = null;
  #draining = false;
  #end: (ending: Ending) => void = () => {};

  private constructor(configuration: Configuration, snapshot: Snapshot, server: Server, log: Log) {
    this.#configuration = configuration;
    this.#snapshot = snapshot;
    this.#server = server;
    this.#log = log;
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
  }

  /** Starts everything, or nothing: then the fault says why. */
  static async start(configuration: Configuration, log: Log): Promise<RunningProxy | StartFault> {
    const snapshot = buildSnapshot(configuration, log);
    const server = await Server.start(snapshot, log);
    if (!(server instanceof Server)) return server;
    const proxy = new RunningProxy(configuration, snapshot, server, log);
    const { admin } = configuration;
    if (admin === null) return proxy;
    const listening = await AdminServer.start(admin, new Api(proxy, readEndpoint), log);
    if (!(listening instanceof AdminServer)) {
      server.close();
      return listening;
    }
    proxy.#admin = listening;
    log.info('admin API', { address: listening.address });
    return proxy;
  }

  /** Of the listeners, as bound. */
  get addresses(): readonly { listener: string; address: string }[] {
    return this.#server.addresses;
  }

  /** Of the admin listener, '' without one. */
  get adminAddress(): string {
    return this.#admin?.address ?? '';
  }

  /** Accepts nothing new and lets what is open finish, as long as the configuration allows; false when that had begun. */
  drain(): boolean {
    if (this.#draining) return false;
    this.#draining = true;
    const { drainTimeoutMs } = this.#configuration;
    this.#log.info('draining', { timeoutMs: drainTimeoutMs, connections: this.#server.open });
    this.#server.drain(drainTimeoutMs).then(
      ({ cut }) => {
        if (cut > 0) this.#log.warn('drain timeout: connections were cut off', { cut });
        else this.#log.info('drained');
        this.#finish('drained');
      },
      (error: unknown) => {
        this.#log.error('draining failed', { error });
        this.#finish('failed');
      },
    );
    return true;
  }

  /** Breaks off what is open. */
  stop(): void {
    this.#server.close();
    this.#finish('stopped');
  }

  async status(): Promise<Status> {
    return {
      version: about.version,
      pid: process.pid,
      state: this.#draining ? 'draining' : 'serving',
      uptimeS: Math.floor((performance.now() - this.#bornMs) / 1000),
      connections: this.#server.open,
      listeners: this.#listeners(),
    };
  }

  async clusters(): Promise<readonly ClusterStatus[]> {
    return [...this.#snapshot.clusters.values()].map(clusterStatus);
  }

  async change(cluster: string, change: EndpointChange): Promise<Refusal | null> {
    const found = this.#snapshot.clusters.get(cluster);
    if (found === undefined) return { status: 404, fault: `there is no cluster "${cluster}"` };
    const refusal = found.change(change);
    if (refusal === null) return null;
    return { status: refusal === 'not known' ? 404 : 409, fault: REFUSALS[refusal] };
  }

  #listeners(): ListenerStatus[] {
    return this.#server.listeners.map(({ plan, addresses, open, stats, http }) => ({
      name: plan.name,
      addresses,
      connections: open,
      accepted: stats.accepted,
      refused: stats.refused,
      exchanges: http.stats.exchanges,
    }));
  }

  #finish(ending: Ending): void {
    this.#admin?.stop();
    this.#end(ending);
  }
}

const REFUSALS: Readonly<Record<ChangeRefusal, string>> = {
  'not known': 'the cluster has no such endpoint',
  'known already': 'the cluster has this endpoint already',
  'too many endpoints': 'the cluster has too many endpoints that were added',
};

function clusterStatus({ name, options, active, waiting, stats, endpoints }: Cluster): ClusterStatus {
  return {
    name,
    balance: options.balance,
    active,
    waiting,
    retries: stats.retries,
    retriesRefused: stats.retriesRefused,
    hedges: stats.hedges,
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
