// From a checked configuration to a snapshot: names become objects, patterns become tables. What is built is the
// business of the rooms; this file only puts it together.

import type { Log } from '../base/log.ts';
import { redirecting, responding } from '../http/action.ts';
import type { Action, RouteTarget } from '../http/exchange.ts';
import { proxied } from '../http/proxy.ts';
import type { RouteOptions } from '../route/options.ts';
import { compileRedirect } from '../route/redirect.ts';
import { compileRewrite } from '../route/rewrite.ts';
import { compileTable } from '../route/table.ts';
import type { ListenerOptions } from '../server/options.ts';
import type { ListenerPlan, Snapshot } from '../server/snapshot.ts';
import { Cluster } from '../upstream/cluster.ts';
import type { Configuration } from './configuration.ts';

/** Builds everything that a configuration describes. It must have been checked: a name that leads nowhere throws. */
export function buildSnapshot(configuration: Configuration, log: Log): Snapshot {
  const clusters = new Map(
    Object.entries(configuration.clusters).map(([name, options]) => [name, new Cluster(name, options)]),
  );
  const listeners = Object.entries(configuration.listeners).map(([name, options]) =>
    buildListener(name, options, clusters, log),
  );
  return { listeners, clusters };
}

function buildListener(
  name: string,
  options: ListenerOptions,
  clusters: ReadonlyMap<string, Cluster>,
  log: Log,
): ListenerPlan {
  const optional = (cluster: string | undefined): Cluster | null =>
    cluster === undefined ? null : resolve(clusters, cluster);
  return {
    name,
    options,
    routes: compileTable(
      options.routes.map((route) => ({ match: route.match, value: buildRoute(route, clusters, log) })),
    ),
    cluster: optional(options.cluster),
    fallback: optional(options.fallback),
    passthrough: new Map(
      Object.entries(options.passthrough).map(([server, cluster]) => [server, resolve(clusters, cluster)]),
    ),
  };
}

function buildRoute(route: RouteOptions, clusters: ReadonlyMap<string, Cluster>, log: Log): RouteTarget {
  return {
    action: buildAction(route, clusters, log),
    rewrite: route.rewrite === undefined ? null : compileRewrite(route.match, route.rewrite),
  };
}

function buildAction(route: RouteOptions, clusters: ReadonlyMap<string, Cluster>, log: Log): Action {
  if (route.redirect !== undefined) return redirecting(compileRedirect(route.match, route.redirect));
  if (route.respond !== undefined) {
    const { status, headers, body } = route.respond;
    return responding(status, headers ?? {}, body);
  }
  return proxied(resolve(clusters, route.cluster!), log);
}

function resolve(clusters: ReadonlyMap<string, Cluster>, name: string): Cluster {
  const cluster = clusters.get(name);
  if (cluster === undefined) throw new Error(`cluster ${name} is not defined`);
  return cluster;
}
