// Everything that is built from one configuration. Connections and exchanges only read it.

import type { RouteTarget } from '../http/exchange.ts';
import type { Table } from '../route/table.ts';
import type { Terminator } from '../tls/terminator.ts';
import type { Cluster } from '../upstream/cluster.ts';
import type { ListenerOptions } from './options.ts';

export interface Snapshot {
  readonly listeners: readonly ListenerPlan[];
  readonly clusters: ReadonlyMap<string, Cluster>;
  /**
   * What is changed in place once the snapshot takes effect: clusters that are as they were but for some numbers. Emptied
   * then, since these hold the snapshot before.
   */
  readonly changes: (() => void)[];
}

/** A listener with its references resolved. */
export interface ListenerPlan {
  readonly name: string;
  readonly options: ListenerOptions;
  readonly routes: Table<RouteTarget>;
  /** Those of requests over TLS. */
  readonly securedRoutes: Table<RouteTarget>;
  /** Termination, null when there is none. */
  readonly tls: Terminator | null;
  /** Whether fingerprints of hellos are made: routes or endpoints want them. */
  readonly fingerprints: boolean;
  /** tcp: where every connection goes. */
  readonly cluster: Cluster | null;
  /** auto: where bytes go that are neither TLS nor HTTP, and silent clients. */
  readonly fallback: Cluster | null;
  /** auto: server name in lower case, exact or `*.example.com`, to the cluster that gets the encrypted bytes. */
  readonly passthrough: ReadonlyMap<string, Cluster>;
}
