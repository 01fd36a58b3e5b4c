// What the admin API can see and do of a running proxy. How many threads that is made of is not its business.

import type { EndpointChange } from '../upstream/membership.ts';

/** `serving`, or on its way out. */
export type ProxyState = 'serving' | 'draining';

export interface Status {
  readonly version: string;
  readonly pid: number;
  readonly state: ProxyState;
  readonly uptimeS: number;
  /** Connections open now. */
  readonly connections: number;
  readonly listeners: readonly ListenerStatus[];
}

export interface ListenerStatus {
  readonly name: string;
  readonly addresses: readonly string[];
  readonly connections: number;
  readonly accepted: number;
  readonly refused: number;
  readonly exchanges: number;
}

export interface ClusterStatus {
  readonly name: string;
  readonly balance: string;
  readonly active: number;
  readonly waiting: number;
  readonly retries: number;
  readonly retriesRefused: number;
  readonly hedges: number;
  readonly endpoints: readonly EndpointStatus[];
}

export interface EndpointStatus {
  readonly address: string;
  readonly weight: number;
  /** Why it is used, or not. */
  readonly state: 'up' | 'down' | 'ejected' | 'trial' | 'draining';
  readonly active: number;
  /** Open connections, idle ones included. */
  readonly connections: number;
  readonly idle: number;
  /** Since the start. */
  readonly exchanges: number;
  readonly tunnels: number;
  readonly connectFailures: number;
  readonly failures: number;
  readonly retries: number;
  readonly ejections: number;
  readonly checks: number;
}

/** Why something was not done: the status of the answer, and the words. */
export interface Refusal {
  readonly status: 404 | 409 | 422;
  readonly fault: string;
}

export interface Control {
  status(): Promise<Status>;
  clusters(): Promise<readonly ClusterStatus[]>;
  /** Changes an endpoint of a cluster; null when that is done. */
  change(cluster: string, change: EndpointChange): Promise<Refusal | null>;
  /** Begins to drain; false when that had begun already. */
  drain(): boolean;
}
