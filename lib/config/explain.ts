// Why a request would go where it would: the same tables, hashes and selections that serve requests, asked for one.

import { disabledLevel, type Log } from '../base/log.ts';
import { hashOf } from '../http/affinity.ts';
import type { Exchange } from '../http/exchange.ts';
import { partAt, pointOf } from '../http/split.ts';
import { RouteQuery } from '../route/match.ts';
import type { RouteOptions } from '../route/options.ts';
import { compileTable } from '../route/table.ts';
import { Cluster } from '../upstream/cluster.ts';
import type { ClusterOptions, HashOptions } from '../upstream/options.ts';
import { TABLE_SIZE } from '../upstream/picker/hash.ts';
import { createPicker } from '../upstream/picker.ts';
import { select } from '../upstream/selection.ts';
import { identifyField } from '../wire/field-id.ts';
import { Fields } from '../wire/fields.ts';
import { methodCode } from '../wire/http1/method.ts';
import { normalisePath } from '../wire/uri.ts';
import type { Configuration } from './configuration.ts';

export interface AskedRequest {
  readonly url: URL;
  readonly method: string;
  readonly client: string;
  readonly headers: readonly (readonly [name: string, value: string])[];
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

/** Explains a request at a listener, which must be there. */
export function explainRequest(configuration: Configuration, listener: string, asked: AskedRequest): Explanation {
  const { routes, httpsPort, cluster, protocol } = configuration.listeners[listener]!;
  const lines = [`listener   ${listener} (${protocol})`];
  if (protocol === 'tcp') {
    lines.push(`cluster    ${cluster}: of a tcp listener every connection goes there`);
    return { lines: [...lines, ...endpointLines(configuration, cluster!, asked)], answered: true };
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
    const chosen = key === null ? null : partAt(parts, pointOf(exchange, key));
    lines.push(`split      by ${key === null ? 'chance' : told(key)}`);
    if (sticky !== undefined) lines.push(`sticky     before that, the cluster that cookie ${sticky.cookie} names`);
    for (const part of parts) {
      lines.push(`cluster    ${part.name}: ${percent(part.weight / total)}${part === chosen ? '  <- this one' : ''}`);
      lines.push(...endpointLines(configuration, part.name, asked));
    }
  }
  if (route.cluster !== undefined) {
    lines.push(`cluster    ${route.cluster}`, ...endpointLines(configuration, route.cluster, asked));
  }
  return { lines, answered: true };
}

/** The endpoints of a cluster as they would be chosen from while all are well. */
function endpointLines({ clusters }: Configuration, name: string, asked: AskedRequest): string[] {
  const options = clusters[name]!;
  const { balance, hash } = options;
  const cluster = new Cluster(name, quiet(options), null, QUIET);
  const { candidates } = select(cluster.endpoints, options, 0);
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
  if (options.sticky !== null)
    lines.push(`sticky     before that, the endpoint that cookie ${options.sticky.cookie} names`);
  for (const endpoint of cluster.endpoints) {
    const found = candidates.find((candidate) => candidate.endpoint === endpoint);
    const { backup = false, priority = 0, zone = '', draining = false } = endpoint.options;
    const why = draining
      ? 'it is draining'
      : backup
        ? 'a backup, while enough others are well'
        : priority > 0
          ? `priority ${priority}, while enough of a lower one are well`
          : `of another zone${zone === '' ? '' : ` (${zone})`}, while ours can take all`;
    const share = found === undefined ? `not used: ${why}` : `weight ${found.weight}, ${percent(found.weight / total)}`;
    lines.push(`endpoint   ${endpoint.name}: ${share}${endpoint.name === chosen ? '  <- this one' : ''}`);
  }
  if (options.discovery !== null)
    lines.push(`discovery  more endpoints by ${options.discovery.kind}, which only a running proxy knows`);
  if (options.health !== null) lines.push(`health     checked by ${options.health.kind}; taken to be well here`);
  return lines;
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
