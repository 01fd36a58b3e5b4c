// What an exchange that came to nothing says about its endpoint.

import { type ProxyError, proxyError } from '../base/errors.ts';
import type { Cluster } from '../upstream/cluster.ts';
import type { Endpoint } from '../upstream/endpoint.ts';
import type { Upstream } from './upstream.ts';

/** Holds a failure of `upstream`, met with by an exchange of `who`, against its endpoint, as far as that is to blame. */
export function blame(
  cluster: Cluster,
  endpoint: Endpoint,
  upstream: Upstream | null,
  error: ProxyError,
  who: object | null = null,
): void {
  // Our own, such as descriptors that have run out, would put the most sound of endpoints aside.
  if (error.kind.side !== 'upstream') return cluster.undecided(endpoint, who);
  // Several may have waited for the same dial, which has failed once.
  if (upstream !== null) {
    if (upstream.blamed) return cluster.undecided(endpoint, who);
    upstream.blamed = true;
  }
  if (error.kind.retry === 'always') endpoint.stats.connectFailures++;
  else endpoint.stats.failures++;
  // Connections that were kept open are closed by the most sound of endpoints.
  if (upstream?.reused && error.kind.retry === 'unsent') cluster.undecided(endpoint, who);
  else cluster.failed(endpoint, error.code);
}

/** An exception of ours, as a failure. */
export function crash(error: unknown): ProxyError {
  return proxyError('internal', error instanceof Error ? (error.stack ?? error.message) : String(error));
}
