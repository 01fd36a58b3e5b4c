// One address of a cluster, with its pool, its counters and its standing. Whether it is chosen is the picker's business.

import { type Address, formatAddress } from '../base/address.ts';
import type { EndpointOptions, PoolOptions } from './options.ts';
import { Pace } from './pace.ts';
import { Pool } from './pool.ts';
import { Standing } from './standing.ts';

/** What the endpoints of a cluster have under way together. */
export interface Load {
  active: number;
}

/** The same for a whole cluster, and how much of it are tunnels: what those take says nothing of latency. */
export interface ClusterLoad extends Load {
  tunnels: number;
}

const NOBODY: Load = { active: 0 };

export class Endpoint {
  readonly address: Address;
  /** The address as text, for logs. */
  readonly name: string;
  /** What a Host field that names the endpoint says; a path is no host. */
  readonly authority: string;
  /** As configured or discovered; replaced when that changes. */
  options: EndpointOptions;
  readonly pool: Pool;
  readonly standing = new Standing();
  readonly pace = new Pace();
  /** Exchanges or tunnels under way. */
  active = 0;
  /** Since the start. */
  readonly stats = { exchanges: 0, tunnels: 0, connectFailures: 0, failures: 0, retries: 0, ejections: 0, checks: 0 };
  /** What it has under way together with those that it is compared with; nobody's where nobody compares. */
  share: Load = NOBODY;
  readonly #load: ClusterLoad;

  constructor(options: EndpointOptions, pool: PoolOptions, load: ClusterLoad = { active: 0, tunnels: 0 }) {
    this.options = options;
    this.address = options.address;
    this.name = formatAddress(options.address);
    this.authority = options.address.kind === 'unix' ? 'localhost' : this.name;
    this.pool = new Pool(pool.idle, pool.max);
    this.#load = load;
  }

  /** The name that it is verified by over TLS, unless the cluster has another. */
  get host(): string {
    return this.options.host ?? (this.address.kind === 'unix' ? 'localhost' : this.address.host);
  }

  /** 1 to 256. */
  get weight(): number {
    return this.options.weight;
  }

  /** An exchange or a tunnel begins; `leave` is to follow once. */
  enter(): void {
    this.active++;
    this.#load.active++;
    this.share.active++;
  }

  leave(): void {
    this.active--;
    this.#load.active--;
    this.share.active--;
  }

  /** What has entered is a tunnel from here on: `leaveTunnel` is to follow once in place of `leave`. */
  becomeTunnel(): void {
    this.stats.tunnels++;
    this.#load.tunnels++;
  }

  leaveTunnel(): void {
    this.#load.tunnels--;
    this.leave();
  }
}
