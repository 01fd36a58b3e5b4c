// From a checked configuration to a snapshot: names become objects, patterns become tables. What is built is the
// business of the rooms; this file only puts it together.

import { isDeepStrictEqual } from 'node:util';
import type { Log } from '../base/log.ts';
import { answering, redirecting, responding } from '../http/action.ts';
import type { Action, RouteTarget } from '../http/exchange.ts';
import { mirrored } from '../http/mirror.ts';
import { proxied } from '../http/proxy.ts';
import { type SplitPart, splitting, splittingOnce } from '../http/split.ts';
import { Warmer } from '../http/warmer.ts';
import type { RouteOptions, SplitOptions } from '../route/options.ts';
import { compileRedirect } from '../route/redirect.ts';
import { compileRewrite } from '../route/rewrite.ts';
import { compileTable, type TableRoute } from '../route/table.ts';
import type { ListenerOptions } from '../server/options.ts';
import type { ListenerPlan, Snapshot } from '../server/snapshot.ts';
import { AcmeFolder } from '../tls/acme/folder.ts';
import { AcmeIssuer } from '../tls/acme/issuer.ts';
import type { Issuer, Ordering } from '../tls/issuer.ts';
import { LocalIssuer } from '../tls/local-issuer.ts';
import { clusterFiles, listenerFiles, type Materials } from '../tls/material.ts';
import type { CertificateOptions } from '../tls/options.ts';
import { Originator } from '../tls/originator.ts';
import { Terminator } from '../tls/terminator.ts';
import { TicketKeys, ticketSecret } from '../tls/ticket.ts';
import { Cluster, type Keeper } from '../upstream/cluster.ts';
import type { ClusterOptions, HashOptions, StickyOptions } from '../upstream/options.ts';
import { compareClusters } from './compare.ts';
import type { Configuration } from './configuration.ts';
import { stickySecret } from './sticky-secret.ts';

export interface BuildOptions {
  /** What is served now: what has not changed is taken from there, with its connections. */
  readonly before?: Pick<Built, 'configuration' | 'clusters'> & Partial<Built>;
  /** Keys of session tickets, the same for all event loops that serve the same listeners. */
  readonly tickets?: TicketKeys;
  /** Makes those who look after a cluster's endpoints; without it somebody else does, and tells what is found. */
  readonly keepers?: (cluster: Cluster, options: ClusterOptions, log: Log) => readonly Keeper[];
  /** Who orders certificates; by default this is who does. */
  readonly ordering?: Ordering;
  /** What files of certificates held, for when they cannot be read. */
  readonly materials?: Materials;
  /** Clusters are only looked after here: nobody needs their connections. */
  readonly watching?: boolean;
}

/** A snapshot with what it was built from. */
export interface Built extends Snapshot {
  readonly configuration: Configuration;
  readonly tickets: TicketKeys;
}

/** Builds everything that a configuration describes. It must have been checked: a name that leads nowhere throws. */
export function buildSnapshot(configuration: Configuration, log: Log, options: BuildOptions = {}): Built {
  const { before } = options;
  const changes: (() => void)[] = [];
  const clusters = buildClusters(configuration, log, options, changes);
  const tickets = before?.tickets ?? options.tickets ?? new TicketKeys(ticketSecret());
  const terminators = new Map<string, Terminator>();
  const issuer = buildIssuer(log, options.ordering);
  for (const [name, { tls }] of Object.entries(configuration.listeners)) {
    if (tls === null) continue;
    const known = before?.listeners?.find((plan) => plan.name === name)?.tls ?? null;
    const same = known !== null && isDeepStrictEqual(known.options, tls);
    const materials = options.materials?.only(listenerFiles(tls));
    terminators.set(name, same ? known : new Terminator(name, tls, log, tickets, issuer, materials));
  }
  const challenges = buildChallenges(configuration);
  const listeners = Object.entries(configuration.listeners).map(([name, options]) =>
    buildListener(name, options, clusters, terminators.get(name) ?? null, challenges, log),
  );
  return { listeners, clusters, changes, configuration, tickets };
}

/** Clusters that stay as they are, those that go over to other numbers by `changes`, and new ones. */
export function buildClusters(
  { clusters }: Configuration,
  log: Log,
  { before, keepers, materials, watching = false }: BuildOptions,
  changes: (() => void)[],
): ReadonlyMap<string, Cluster> {
  const told = keepers === undefined;
  const keeping = (cluster: Cluster, options: ClusterOptions): readonly Keeper[] => [
    ...(!watching && options.pool.warm > 0 ? [new Warmer(cluster, options.pool.warm)] : []),
    ...(keepers?.(cluster, options, log) ?? []),
  ];
  return new Map(
    Object.entries(clusters).map(([name, options]) => {
      const known = before?.clusters.get(name);
      const was = before?.configuration.clusters[name];
      const change = known === undefined || was === undefined ? 'anew' : compareClusters(was, options);
      if (change === 'anew') {
        const tls =
          options.tls === null
            ? null
            : new Originator(name, options.tls, log, materials?.only([clusterFiles(options.tls)]));
        const cluster = new Cluster(name, withSecrets(options), tls, log);
        cluster.keep(keeping(cluster, options));
        if (known !== undefined) changes.push(() => cluster.inherit(known));
        return [name, cluster];
      }
      // Who is told of endpoints may know of others than the configuration of before.
      if (change === 'in place' || told) {
        changes.push(() => {
          known!.configure(withSecrets(options), told);
          if (!isDeepStrictEqual([was!.health, was!.discovery], [options.health, options.discovery]))
            known!.keep(keeping(known!, options));
        });
      }
      return [name, known!];
    }),
  );
}

function buildListener(
  name: string,
  options: ListenerOptions,
  clusters: ReadonlyMap<string, Cluster>,
  tls: Terminator | null,
  challenges: readonly TableRoute<RouteTarget>[],
  log: Log,
): ListenerPlan {
  const optional = (cluster: string | undefined): Cluster | null =>
    cluster === undefined ? null : resolve(clusters, cluster);
  return {
    name,
    options,
    routes: compileTable([...challenges, ...buildPlainRoutes(options, clusters, log)]),
    securedRoutes: compileTable(tls === null ? [] : buildRoutes(securedRoutes(options), clusters, log)),
    tls,
    fingerprints:
      options.tls?.fingerprint === true ||
      options.routes.some(({ match }) => match?.ja3 !== undefined || match?.ja4 !== undefined),
    cluster: optional(options.cluster),
    fallback: optional(options.fallback),
    passthrough: new Map(
      Object.entries(options.passthrough).map(([server, cluster]) => [server, resolve(clusters, cluster)]),
    ),
  };
}

/** Where authorities look by plain HTTP (RFC 8555 8.3), for the names that are theirs to look at: others are passed on. */
function buildChallenges({ listeners }: Configuration): readonly TableRoute<RouteTarget>[] {
  const certificates = Object.values(listeners).flatMap(({ tls }) => tls?.certificates ?? []);
  return certificates.flatMap((certificate) => {
    if (certificate.source !== 'acme' || certificate.challenge !== 'http-01') return [];
    const folder = new AcmeFolder(certificate.folder, certificate.directory);
    const match = { host: [...certificate.names, ...certificate.onDemand], path: ['/.well-known/acme-challenge/*'] };
    return [{ match, value: { action: answering((last) => folder.answer(last)), rewrite: null } }];
  });
}

function buildRoutes(
  routes: readonly RouteOptions[],
  clusters: ReadonlyMap<string, Cluster>,
  log: Log,
): readonly TableRoute<RouteTarget>[] {
  return routes.map((route) => ({ match: route.match, value: buildRoute(route, clusters, log) }));
}

/** What plain HTTP gets: the routes, or a redirect to https. */
function buildPlainRoutes(
  { routes, httpsPort }: ListenerOptions,
  clusters: ReadonlyMap<string, Cluster>,
  log: Log,
): readonly TableRoute<RouteTarget>[] {
  const port = httpsPort === 443 ? '' : `:${httpsPort}`;
  const to = `https://{host}${port}{path}`;
  const used = httpsPort === 0 ? routes : [{ redirect: { to, status: 308 } }];
  return buildRoutes(used, clusters, log);
}

/** The routes as they are over TLS: with Strict-Transport-Security (RFC 6797 6.1) where it is asked for. */
function securedRoutes({ routes, tls }: ListenerOptions): readonly RouteOptions[] {
  const hsts = tls?.hsts ?? null;
  if (hsts === null) return routes;
  const value =
    `max-age=${Math.floor(hsts.maxAgeMs / 1000)}` +
    `${hsts.includeSubdomains ? '; includeSubDomains' : ''}${hsts.preload ? '; preload' : ''}`;
  return routes.map((route) => ({
    ...route,
    rewrite: { ...route.rewrite, setResponse: { ...route.rewrite?.setResponse, 'Strict-Transport-Security': value } },
  }));
}

function buildRoute(route: RouteOptions, clusters: ReadonlyMap<string, Cluster>, log: Log): RouteTarget {
  return {
    action: buildAction(route, clusters, log),
    rewrite: route.rewrite === undefined ? null : compileRewrite(route.match, route.rewrite),
  };
}

function buildAction(route: RouteOptions, clusters: ReadonlyMap<string, Cluster>, log: Log): Action {
  const passing = (name: string): Action => proxied(resolve(clusters, name), log, route.retries ?? null);
  const parts = (split: SplitOptions): SplitPart[] =>
    Object.entries(split.clusters).map(([name, weight]) => ({ name, action: passing(name), weight }));
  if (route.redirect !== undefined) return redirecting(compileRedirect(route.match, route.redirect));
  if (route.respond !== undefined) {
    const { status, headers, body } = route.respond;
    return responding(status, headers ?? {}, body);
  }
  const action =
    route.split === undefined
      ? passing(route.cluster!)
      : route.split.sticky === undefined
        ? splitting(parts(route.split), keyOf(route.split))
        : splittingOnce(parts(route.split), withSecret(route.split.sticky));
  if (route.mirror === undefined) return action;
  return mirrored(action, resolve(clusters, route.mirror.cluster), route.mirror.share, log);
}

function keyOf({ on, name = '' }: SplitOptions): HashOptions | null {
  return on === undefined ? null : { on, name: on === 'header' ? name.toLowerCase() : name, bound: 0 };
}

function resolve(clusters: ReadonlyMap<string, Cluster>, name: string): Cluster {
  const cluster = clusters.get(name);
  if (cluster === undefined) throw new Error(`cluster ${name} is not defined`);
  return cluster;
}

/** Cookies must be signed with something, even where the configuration does not say what. */
function withSecret(sticky: StickyOptions): StickyOptions {
  return sticky.secret === '' ? { ...sticky, secret: stickySecret() } : sticky;
}

function withSecrets(options: ClusterOptions): ClusterOptions {
  return options.sticky === null ? options : { ...options, sticky: withSecret(options.sticky) };
}

/** Makes the issuer of a certificate that has one. */
function buildIssuer(log: Log, ordering?: Ordering): (certificate: CertificateOptions) => Issuer | null {
  return (certificate) => {
    switch (certificate.source) {
      case 'files':
        return null;
      case 'local':
        return new LocalIssuer(certificate, log);
      case 'acme':
        return new AcmeIssuer(certificate, log, undefined, ordering);
    }
  };
}
