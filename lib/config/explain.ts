// Why a request would go where it would: the same tables, hashes and selections that serve requests, asked for one.

import { parseAddress } from '../base/address.ts';
import { disabledLevel, type Log } from '../base/log.ts';
import { cookieOf, hashOf } from '../http/affinity.ts';
import type { Exchange } from '../http/exchange.ts';
import { partAt, pointOf } from '../http/split.ts';
import { RouteQuery } from '../route/match.ts';
import type { RouteOptions } from '../route/options.ts';
import { compileTable } from '../route/table.ts';
import { Cluster } from '../upstream/cluster.ts';
import type { Endpoint } from '../upstream/endpoint.ts';
import type { ClusterOptions, EndpointOptions, HashOptions, StickyOptions } from '../upstream/options.ts';
import { TABLE_SIZE } from '../upstream/picker/hash.ts';
import { createPicker } from '../upstream/picker.ts';
import { select } from '../upstream/selection.ts';
import { Sticky } from '../upstream/sticky.ts';
import { identifyField } from '../wire/field-id.ts';
import { Fields } from '../wire/fields.ts';
import { methodCode } from '../wire/http1/method.ts';
import { normalisePath } from '../wire/uri.ts';
import type { Configuration } from './configuration.ts';
import { keptStickySecret } from './sticky-secret.ts';

export interface AskedRequest {
  readonly url: URL;
  readonly method: string;
  readonly client: string;
  readonly headers: readonly (readonly [name: string, value: string])[];
}

/** A cluster as a running proxy has it at this moment: the endpoints that it knows, and how they are. */
export interface LiveCluster {
  readonly name: string;
  readonly endpoints: readonly {
    readonly address: string;
    readonly weight: number;
    readonly state: 'up' | 'down' | 'ejected' | 'trial' | 'draining';
  }[];
}

/** What is told, and whether anything would answer. */
export interface Explanation {
  readonly lines: readonly string[];
  readonly answered: boolean;
}

const QUIET: Log = {
  debug: disabledLevel,
  info: disabledLevel,
  warn: disabledLevel,
  error: disabledLevel,
  limited: () => QUIET,
};

/**
 * Explains a request at a listener, which must be there. `live`: what a running proxy says of its clusters, null when it was
 * not asked; then all endpoints are taken to be well.
 */
export function explainRequest(
  configuration: Configuration,
  listener: string,
  asked: AskedRequest,
  live: readonly LiveCluster[] | null = null,
): Explanation {
  const { routes, httpsPort, cluster, protocol } = configuration.listeners[listener]!;
  const health =
    live === null
      ? 'health     nobody was asked: endpoints are taken to be well (--live asks the running proxy)'
      : 'health     as the running proxy has it at this moment';
  const lines = [`listener   ${listener} (${protocol})`];
  if (protocol === 'tcp') {
    lines.push(`cluster    ${cluster}: of a tcp listener every connection goes there`);
    // Nothing of HTTP is known of them.
    const { clusters } = configuration;
    const { hash } = clusters[cluster!]!;
    const plain: ClusterOptions = {
      ...clusters[cluster!]!,
      hash: hash === null ? null : { ...hash, on: 'client-ip', name: '' },
      sticky: null,
    };
    lines.push(...endpointLines({ clusters: { [cluster!]: plain } }, cluster!, asked, live), health);
    return { lines, answered: true };
  }
  if (httpsPort !== 0 && asked.url.protocol === 'http:') {
    lines.push(`redirect   308 to https on port ${httpsPort}: httpsRedirect sends all plain requests there`);
    return { lines, answered: true };
  }
  const exchange = pretend(asked);
  const place = compileTable(routes.map(({ match }, value) => ({ match, value }))).place(exchange.query);
  if (place < 0) {
    lines.push(`route      none of ${routes.length} matches, so the answer is 404`);
    return { lines, answered: false };
  }
  const route = routes[place]!;
  lines.push(`route      routes[${place}], the first of ${routes.length} that matches: ${describe(route)}`);
  if (route.redirect !== undefined) lines.push(`redirect   ${route.redirect.status} to ${route.redirect.to}`);
  if (route.respond !== undefined) lines.push(`respond    ${route.respond.status}`);
  if (route.mirror !== undefined) {
    lines.push(`mirror     ${percent(route.mirror.share)} of such requests are copied to ${route.mirror.cluster}`);
  }
  if (route.split !== undefined) {
    const { clusters, on, name = '', sticky } = route.split;
    const parts = Object.entries(clusters).map(([cluster, weight]) => ({ name: cluster, weight }));
    const total = parts.reduce((sum, { weight }) => sum + weight, 0);
    const key = on === undefined ? null : { on, name: on === 'header' ? name.toLowerCase() : name, bound: 0 };
    lines.push(`split      by ${key === null ? 'chance' : told(key)}`);
    let chosen = key === null ? null : partAt(parts, pointOf(exchange, key));
    if (sticky !== undefined) {
      const named = readCookie(
        exchange,
        sticky,
        parts.filter(({ weight }) => weight > 0),
      );
      chosen = named.place;
      lines.push(cookieLine(sticky, 'cluster', named));
    }
    for (const part of parts) {
      lines.push(`cluster    ${part.name}: ${percent(part.weight / total)}${part === chosen ? '  <- this one' : ''}`);
      lines.push(...endpointLines(configuration, part.name, asked, live));
    }
  }
  if (route.cluster !== undefined) {
    lines.push(`cluster    ${route.cluster}`, ...endpointLines(configuration, route.cluster, asked, live));
  }
  if (route.cluster !== undefined || route.split !== undefined) lines.push(health);
  return { lines, answered: true };
}

/** The endpoints of a cluster as they would be chosen from. */
function endpointLines(
  { clusters }: Pick<Configuration, 'clusters'>,
  name: string,
  asked: AskedRequest,
  live: readonly LiveCluster[] | null,
): string[] {
  const running = live === null ? undefined : live.find((one) => one.name === name);
  if (live !== null && running === undefined) return ['live       the running proxy has no such cluster'];
  const options = clusters[name]!;
  const { balance, hash, sticky } = options;
  const cluster = running === undefined ? new Cluster(name, quiet(options), null, QUIET) : revive(options, running);
  const { candidates, panicking } = select(cluster.endpoints, options, 0);
  const total = candidates.reduce((sum, { weight }) => sum + weight, 0);
  const lines: string[] = [];
  let chosen = '';
  if (balance === 'hash' && hash !== null) {
    const key = hashOf(pretend(asked), hash);
    chosen = createPicker(balance, hash, candidates).pick(null, key)?.name ?? '';
    lines.push(`balance    hash by ${told(hash)}: slot ${key % TABLE_SIZE} of ${TABLE_SIZE}`);
  } else if (balance === 'first') {
    chosen = candidates[0]?.endpoint.name ?? '';
    lines.push('balance    the first that is well');
  } else lines.push(`balance    ${balance}`);
  if (sticky !== null) {
    const named = readCookie(pretend(asked), sticky, cluster.endpoints);
    const usable = named.place?.standing.eligible ?? false;
    if (usable) chosen = named.place!.name;
    lines.push(
      cookieLine(sticky, 'endpoint', named) + (named.place === null || usable ? '' : ', which cannot be used'),
    );
  }
  for (const endpoint of cluster.endpoints) {
    const found = candidates.find((candidate) => candidate.endpoint === endpoint);
    const share =
      found === undefined
        ? `not used: ${whyNot(endpoint)}`
        : `weight ${found.weight}, ${percent(found.weight / total)}`;
    lines.push(`endpoint   ${endpoint.name}: ${share}${endpoint.name === chosen ? '  <- this one' : ''}`);
  }
  if (panicking) lines.push('panic      too few are well, so all are used');
  if (options.discovery !== null && running === undefined)
    lines.push(`discovery  more endpoints by ${options.discovery.kind}, which only a running proxy knows`);
  if (options.health !== null) lines.push(`checks     by ${options.health.kind}`);
  return lines;
}

function whyNot({ options: { backup = false, priority = 0, zone = '' }, standing }: Endpoint): string {
  if (standing.draining) return 'it is draining';
  if (standing.health === 'down') return 'it is down';
  if (standing.ejected) return 'it is put aside because of failures';
  if (backup) return 'a backup, while enough others are well';
  if (priority > 0) return `priority ${priority}, while enough of a lower one are well`;
  return `of another zone${zone === '' ? '' : ` (${zone})`}, while ours can take all`;
}

/** The cluster with the endpoints, weights and states that the proxy tells of. */
function revive(options: ClusterOptions, { name, endpoints }: LiveCluster): Cluster {
  const configured = new Map(
    new Cluster(name, quiet(options), null, QUIET).endpoints.map((endpoint) => [endpoint.name, endpoint.options]),
  );
  const known = endpoints.flatMap(({ address: text, weight, state }): EndpointOptions[] => {
    const address = parseAddress(text);
    const before = configured.get(text);
    // What was found, or added by an operator, is known by its address alone.
    if ('fault' in address && before === undefined) return [];
    return [{ ...(before ?? { address: address as never }), weight, draining: state === 'draining' }];
  });
  const cluster = new Cluster(name, { ...quiet(options), endpoints: known }, null, QUIET);
  for (const { name: text, standing } of cluster.endpoints) {
    const { state = 'up' } = endpoints.find(({ address }) => address === text) ?? {};
    if (state === 'down') standing.health = 'down';
    standing.ejected = state === 'ejected';
  }
  return cluster;
}

/** What a cookie of ours in the request names. */
interface Named<Place> {
  readonly place: Place | null;
  /** Why it names nothing, '' when it does. */
  readonly why: string;
}

function readCookie<Place extends { readonly name: string }>(
  exchange: Exchange,
  options: StickyOptions,
  places: readonly Place[],
): Named<Place> {
  const value = cookieOf(exchange, options.cookie);
  if (value === '') return { place: null, why: 'the request has none' };
  const secret = options.secret || keptStickySecret();
  if (secret === '') return { place: null, why: 'what it is signed with is not known here: give sticky a secret' };
  const sticky = new Sticky<Place>({ ...options, secret });
  sticky.update(places);
  const place = sticky.find(value);
  return { place, why: place === null ? 'it names none of these, and counts for nothing' : '' };
}

function cookieLine({ cookie }: StickyOptions, what: string, { place, why }: Named<{ readonly name: string }>): string {
  return `sticky     before that, the ${what} that cookie ${cookie} names: ${place === null ? why : place.name}`;
}

/** Without what would look after it. */
function quiet(options: ClusterOptions): ClusterOptions {
  return { ...options, sticky: null, ejection: null };
}

/** As much of an exchange as routes and hashes look at. */
function pretend({ url, method, client, headers }: AskedRequest): Exchange {
  const path = normalisePath(url.pathname) ?? url.pathname;
  const host = url.hostname;
  const pieces = [host, path, url.search, ...headers.flat()];
  const bytes = Buffer.from(pieces.join(''), 'latin1');
  const fields = new Fields(bytes, Math.max(1, headers.length));
  const query = new RouteQuery(fields);
  let at = host.length;
  query.hostEnd = query.pathStart = at;
  query.pathEnd = at += path.length;
  const target = { queryStart: url.search === '' ? -1 : at, queryEnd: at + url.search.length };
  at += url.search.length;
  headers.forEach(([name, value], field) => {
    fields.add(at, at + name.length);
    fields.setId(field, identifyField(bytes, at, at + name.length));
    at += name.length;
    fields.setValue(field, at, at + value.length);
    at += value.length;
  });
  query.method = methodCode(method);
  return { client: { address: client }, target, bytes, query, requestHead: { fields } } as unknown as Exchange;
}

function describe({ match }: RouteOptions): string {
  if (match === undefined) return 'it matches everything';
  const parts = Object.entries(match).map(([key, value]) => `${key} ${JSON.stringify(value)}`);
  return parts.join(', ');
}

function told({ on, name }: HashOptions): string {
  return name === '' ? on : `${on} ${name}`;
}

function percent(share: number): string {
  return `${Math.round(share * 1000) / 10}%`;
}
