// From the document's keys to the option types of the rooms. Pure renaming: units, defaults and checks are done before.

import { availableParallelism } from 'node:os';
import type { RouteOptions } from '../route/options.ts';
import { MOST_LOOPS } from '../server/crowd.ts';
import type { ListenerOptions } from '../server/options.ts';
import { assembleCluster, assembleRetries, assembleSticky } from './assemble-cluster.ts';
import { assembleListenerTls } from './assemble-tls.ts';
import type { Configuration } from './configuration.ts';
import type { CheckedDocument } from './schema.ts';
import { splitCookie } from './sticky-cookie.ts';

type CheckedListener = CheckedDocument['listeners'][string];

/** The configuration that a document without faults stands for. Files are named from `folder`. */
export function assembleConfiguration(document: CheckedDocument, folder: string): Configuration {
  return {
    workers: document.workers === 'auto' ? Math.min(availableParallelism(), MOST_LOOPS) : document.workers,
    workerMemoryBytes: document.workerMemory,
    log: document.log,
    drainTimeoutMs: document.drainTimeout,
    drainDelayMs: document.drainDelay,
    admin: document.admin === undefined ? null : { bind: document.admin.bind, token: document.admin.token ?? '' },
    listeners: mapValues(document.listeners, (listener) => assembleListener(listener, folder)),
    clusters: mapValues(document.clusters, (cluster, name) => assembleCluster(name, cluster, folder)),
  };
}

function assembleListener(listener: CheckedListener, folder: string): ListenerOptions {
  const { bind, protocol, cluster, fallback, timeouts, limits, forwarded, trustedProxies, proxyProtocol } = listener;
  const routed = protocol !== 'tcp' && cluster !== undefined;
  return {
    bind,
    protocol,
    ...(protocol === 'tcp' && cluster !== undefined && { cluster }),
    ...(fallback !== undefined && { fallback }),
    detectTimeoutMs: listener.detectTimeout,
    proxyProtocol,
    trustedProxies,
    // Server names are compared without regard to case (RFC 6066 3).
    passthrough: Object.fromEntries(Object.entries(listener.passthrough).map(([name, to]) => [name.toLowerCase(), to])),
    timeouts: {
      headMs: timeouts.head,
      idleMs: timeouts.idle,
      bodyMs: timeouts.body,
      tunnelMs: timeouts.tunnel,
    },
    limits,
    forwarded,
    routes: routed ? [{ cluster }] : listener.routes.map(assembleRoute),
    tls: listener.tls === undefined ? null : assembleListenerTls(listener.tls, protocol, folder),
    httpsPort: listener.httpsRedirect === true ? 443 : listener.httpsRedirect || 0,
  };
}

function assembleRoute({ retries, split, ...route }: CheckedListener['routes'][number]): RouteOptions {
  return {
    ...route,
    ...(retries !== undefined && { retries: assembleRetries(retries) }),
    ...(split !== undefined && {
      split: {
        ...split,
        sticky:
          split.sticky === undefined
            ? undefined
            : assembleSticky(split.sticky, splitCookie(Object.keys(split.clusters))),
      },
    }),
  };
}

function mapValues<From, To>(
  from: Readonly<Record<string, From>>,
  change: (value: From, name: string) => To,
): Record<string, To> {
  return Object.fromEntries(Object.entries(from).map(([name, value]) => [name, change(value, name)]));
}
