// Clusters for tests that look at one by itself.

import type { ClusterOptions } from '../../lib/upstream/options.ts';

/** Options of a cluster as quiet as can be: nothing is limited, put aside, tried again or checked. */
export function clusterOptions(options: Partial<ClusterOptions>): ClusterOptions {
  return {
    balance: 'round-robin',
    hash: null,
    endpoints: [],
    discovery: null,
    sticky: null,
    health: null,
    ejection: null,
    retries: {
      attempts: 0,
      on: new Set(),
      statuses: new Set(),
      unsafe: false,
      budget: 0,
      eachMs: 0,
      hedgeMs: 0,
      backoffMs: 0,
      longestBackoffMs: 0,
    },
    slowStartMs: 0,
    panic: 0.5,
    zone: '',
    adaptive: null,
    requests: 0,
    host: 'preserve',
    protocol: 'auto',
    proxyProtocol: 'off',
    dial: { source: '', keepAliveMs: 0 },
    pool: { idle: 8, max: 0, idleTimeoutMs: 0, maxAgeMs: 0, warm: 0, maxRequests: 0, queue: 0, queueTimeoutMs: 1 },
    timeouts: { connectMs: 60_000, responseMs: 0, idleMs: 0 },
    tls: null,
    ...options,
  };
}
