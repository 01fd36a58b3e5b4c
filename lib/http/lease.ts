// A place for one exchange at an endpoint: on a connection that stands, or on one that is dialed. Which endpoint, and what
// comes of it, is decided by those who ask.

import type { Cluster } from '../upstream/cluster.ts';
import type { Endpoint } from '../upstream/endpoint.ts';
import { Gathering, type Guest } from './gathering.ts';
import { UpstreamConnection } from './h1/upstream.ts';
import type { UpstreamSession } from './h2/upstream.ts';
import type { Upstream } from './upstream.ts';

/** On a connection that stands, null when there is none with room. `upgrading`: only HTTP/1.1 will do. */
export function leaseOpen({ pool }: Endpoint, upgrading: boolean): Upstream | null {
  const session = upgrading ? null : (pool.share() as UpstreamSession | null);
  return session !== null ? session.open() : (pool.take() as UpstreamConnection | null);
}

/**
 * On a connection that is dialed, which `guest` will be told of. Where it will be one of HTTP/2, as far as is known, those
 * who come while it is dialed wait for it too: a burst would open as many as it has requests.
 */
export function leaseDialed(cluster: Cluster, endpoint: Endpoint, guest: Guest, upgrading: boolean): Upstream {
  const { pool } = endpoint;
  if (upgrading || !cluster.multiplexes || pool.single) {
    const crowded = upgrading && !pool.roomy;
    const connection = new UpstreamConnection(cluster, endpoint, guest, upgrading);
    if (crowded) pool.yield();
    return connection;
  }
  const known = pool.gathering as Gathering | null;
  if (known?.roomy) {
    known.join(guest);
    return known.connection;
  }
  const gathering = new Gathering(pool);
  gathering.connection = new UpstreamConnection(cluster, endpoint, guest, false, gathering);
  // It has room for those who wait, but `guest` has yet to learn what it has got.
  if (cluster.waiting > 0) cluster.wakeSoon();
  return gathering.connection;
}
