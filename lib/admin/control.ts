// What the admin API can see and do of a running proxy. How many threads that is made of is not its business.

import type { Change } from '../config/compare.ts';
import type { EndpointChange } from '../upstream/membership.ts';

/** `serving`, or on its way out. */
export type ProxyState = 'serving' | 'draining';

export interface Status {
  readonly version: string;
  readonly pid: number;
  readonly state: ProxyState;
  readonly uptimeS: number;
  /** How many configurations have taken effect, the first included. */
  readonly generation: number;
  /** When the last one did, ISO 8601. */
  readonly configured: string;
  /** Why the last reload changed nothing, '' when it did what it should. */
  readonly reloadFault: string;
  /** Connections open now. */
  readonly connections: number;
  readonly workers: readonly WorkerStatus[];
  readonly listeners: readonly ListenerStatus[];
}

export interface WorkerStatus {
  readonly worker: number;
  readonly state: 'serving' | 'starting' | 'draining';
  readonly uptimeS: number;
  readonly connections: number;
  readonly heapBytes: number;
  /** How often it was replaced because it had failed. */
  readonly restarts: number;
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
  /** What may be under way now by `adaptive`; 0 without it. */
  readonly adaptiveLimit: number;
  /** Since the start: exchanges of HTTP, tries after the first, and those that the budget did not allow. */
  readonly requests: number;
  readonly retries: number;
  readonly retriesRefused: number;
  /** Requests that were sent twice at once, and those of which the second was answered first. */
  readonly hedges: number;
  readonly hedgesWon: number;
  /** Who found the queue full, and who waited in it for too long. */
  readonly queueFull: number;
  readonly queueTimeouts: number;
  /** Copies of requests of others: sent, left out, and not answered. */
  readonly copies: number;
  readonly copiesDropped: number;
  readonly copiesFailed: number;
  /** How often discovery has changed the endpoints, and how often it failed. */
  readonly discoveryUpdates: number;
  readonly discoveryFailures: number;
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
  readonly status: 404 | 409 | 422 | 500;
  readonly fault: string;
}

/** What a reload came to, or would. */
export interface ReloadResult {
  /** Everything that is wrong with the document, as FILE:LINE:COLUMN: path: what; then nothing has changed. */
  readonly errors: readonly string[];
  readonly warnings: readonly string[];
  readonly changes: readonly Change[];
  readonly generation: number;
}

export interface Control {
  /** Whether new connections are welcome. */
  readonly ready: boolean;
  status(): Promise<Status>;
  clusters(): Promise<readonly ClusterStatus[]>;
  /** Changes an endpoint of a cluster; null when that is done. */
  change(cluster: string, change: EndpointChange): Promise<Refusal | null>;
  /** Begins to drain; false when that had begun already. */
  drain(): boolean;
  /** Reads the configuration anew and goes over to it, all or nothing; with `plan` it only tells what would change. */
  reload(plan: boolean): Promise<ReloadResult | Refusal>;
  /** Starts a successor that takes over all ports, then drains; answers its process id. */
  upgrade(): Promise<{ readonly pid: number } | Refusal>;
}
