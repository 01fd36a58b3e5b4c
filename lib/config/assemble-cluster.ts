// The keys of a cluster as the option types of the upstream room.

import { resolve } from 'node:path';
import type { RetryCause, RetryOptions } from '../base/retries.ts';
import { GRPC_PATH } from '../health/grpc.ts';
import type {
  ClusterOptions,
  DiscoveryOptions,
  EndpointOptions,
  HealthOptions,
  StickyOptions,
} from '../upstream/options.ts';
import { assembleClusterTls } from './assemble-tls.ts';
import type { CheckedDocument } from './schema.ts';
import { seatCookie } from './sticky-cookie.ts';

type CheckedCluster = CheckedDocument['clusters'][string];

/** The cluster called `name`; files are named from `folder`. */
export function assembleCluster(name: string, cluster: CheckedCluster, folder: string): ClusterOptions {
  const { balance, endpoints, host, protocol, proxyProtocol, pool, timeouts, hash, ejection } = cluster;
  return {
    balance,
    hash: hash === undefined ? null : { on: hash.on, name: keyName(hash), bound: hash.bound ?? 0 },
    endpoints: endpoints.map(assembleEndpoint),
    discovery: cluster.discovery === undefined ? null : assembleDiscovery(cluster.discovery, folder),
    sticky: cluster.sticky === undefined ? null : assembleSticky(cluster.sticky, seatCookie(name)),
    health: cluster.health === undefined ? null : assembleHealth(cluster.health),
    ejection:
      ejection.max === 0
        ? null
        : {
            failures: ejection.failures,
            rate: ejection.rate,
            latency: ejection.latency,
            forMs: ejection.for,
            longestMs: ejection.longest,
            max: ejection.max,
          },
    retries: assembleRetries(cluster.retries),
    slowStartMs: cluster.slowStart,
    panic: cluster.panic,
    zone: cluster.zone,
    adaptive: cluster.adaptive ?? null,
    requests: cluster.requests,
    host,
    protocol,
    proxyProtocol,
    dial: { source: cluster.source ?? '', keepAliveMs: cluster.tcpKeepAlive },
    pool: {
      maxAgeMs: pool.maxAge,
      warm: pool.warm,
      maxRequests: pool.maxRequests,
      idle: pool.idle,
      max: pool.max,
      idleTimeoutMs: pool.idleTimeout,
      queue: pool.queue,
      queueTimeoutMs: pool.queueTimeout,
    },
    timeouts: { connectMs: timeouts.connect, responseMs: timeouts.response, idleMs: timeouts.idle },
    tls: cluster.tls === undefined ? null : assembleClusterTls(cluster.tls, folder),
  };
}

/** One endpoint, of a configuration or of a list that was discovered. */
export function assembleEndpoint(endpoint: CheckedCluster['endpoints'][number]): EndpointOptions {
  return 'kind' in endpoint ? { address: endpoint, weight: 1 } : endpoint;
}

export function assembleRetries(retries: CheckedCluster['retries']): RetryOptions {
  const { attempts, on, unsafe, budget, timeout, hedge, backoff, maxBackoff } = retries;
  const statuses = on.filter((word) => /^\d/.test(word)).map(Number);
  return {
    attempts,
    on: new Set(on.filter((word): word is RetryCause => !/^\d/.test(word))),
    statuses: new Set(statuses),
    unsafe,
    budget,
    eachMs: timeout,
    hedgeMs: hedge,
    backoffMs: backoff,
    longestBackoffMs: maxBackoff,
  };
}

function keyName({ on, name }: NonNullable<CheckedCluster['hash']>): string {
  return on === 'header' ? (name ?? '').toLowerCase() : (name ?? '');
}

function assembleHealth(health: NonNullable<CheckedCluster['health']>): HealthOptions {
  const { grpc, tcp, tls } = health;
  return {
    kind: grpc !== undefined ? 'grpc' : tcp ? 'tcp' : tls ? 'tls' : 'http',
    path: grpc === undefined ? (health.path ?? '/') : GRPC_PATH,
    method: grpc === undefined ? health.method : 'POST',
    host: health.host ?? '',
    statuses: health.status.map((range) => {
      const [from = 0, to = from] = range.split('-').map(Number);
      return [from, to] as const;
    }),
    body: health.body === undefined ? null : new RegExp(health.body),
    service: typeof grpc === 'string' ? grpc : '',
    intervalMs: health.interval,
    fastMs: health.fastInterval,
    timeoutMs: health.timeout,
    rise: health.rise,
    fall: health.fall,
  };
}

function assembleDiscovery(
  { dns, file, http }: NonNullable<CheckedCluster['discovery']>,
  folder: string,
): DiscoveryOptions | null {
  if (dns !== undefined) {
    const { name, port = 0, srv, every, minTtl, servers } = dns;
    return { kind: 'dns', name, port, srv, mostMs: every, leastMs: Math.min(minTtl, every), servers };
  }
  if (file !== undefined) return { kind: 'file', file: resolve(folder, file) };
  return http === undefined ? null : { kind: 'http', url: http.url, everyMs: http.every };
}

/** `called`: the cookie, unless the document says so. */
export function assembleSticky(
  { cookie, maxAge, secret }: NonNullable<CheckedCluster['sticky']>,
  called: string,
): StickyOptions {
  return { cookie: cookie ?? called, maxAgeMs: maxAge, secret: secret ?? '' };
}
