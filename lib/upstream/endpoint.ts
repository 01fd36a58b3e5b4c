// One address of a cluster, with its pool and its counters. Whether it is chosen is the picker's business.

import { type Address, formatAddress } from '../base/address.ts';
import type { EndpointOptions, PoolOptions } from './options.ts';
import { Pool } from './pool.ts';

export class Endpoint {
  readonly address: Address;
  /** The address as text, for logs. */
  readonly name: string;
  /** What a Host field that names the endpoint says; a path is no host. */
  readonly authority: string;
  /** The name that it is verified by over TLS, unless the cluster has another. */
  readonly host: string;
  /** 1 to 256. */
  readonly weight: number;
  readonly pool: Pool;
  /** Exchanges or tunnels under way. */
  active = 0;
  /** Since the start. */
  readonly stats = { exchanges: 0, tunnels: 0, connectFailures: 0, failures: 0 };

  constructor(options: EndpointOptions, pool: PoolOptions) {
    this.address = options.address;
    this.name = formatAddress(options.address);
    this.host = options.address.kind === 'unix' ? 'localhost' : options.address.host;
    this.authority = options.address.kind === 'unix' ? 'localhost' : this.name;
    this.weight = options.weight;
    this.pool = new Pool(pool.idle, pool.max);
  }
}
