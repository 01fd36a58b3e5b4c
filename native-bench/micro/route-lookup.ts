// Finding the route of a request among 10 to 10,000: our compiled table beside trying the same routes one after the
// other, and beside find-my-way, the router of fastify, with a map of hosts before it.

import createRouter from 'find-my-way';
import { hostCovers, parseHost } from '../../lib/route/host-pattern.ts';
import { RouteQuery } from '../../lib/route/match.ts';
import type { MatchOptions } from '../../lib/route/options.ts';
import { matchPath, parsePath } from '../../lib/route/path-pattern.ts';
import { compileTable } from '../../lib/route/table.ts';
import { Fields } from '../../lib/wire/fields.ts';
import { Method } from '../../lib/wire/http1/method.ts';
import { type Case, ours, type Subject, theirs } from './subject.ts';

export const routeLookup: Subject = {
  name: 'route-lookup',
  about: 'find the first route that host, path and method of a request match',
  prepare: () =>
    [10, 100, 1_000, 10_000].map((size) => {
      const matches = Array.from({ length: size }, (_, place) => matchFor(place));
      const requests = Array.from({ length: ROUND }, (_, i) => requestFor(Math.floor((i * size) / ROUND)));
      return {
        name: `${size.toLocaleString('en')} routes`,
        cases: [
          table(matches, requests),
          scan(matches, requests),
          router(size, requests, false),
          router(size, requests, true),
        ],
      };
    }),
};

/** Requests in a run, spread over the table, so that neither caches nor branch predictors see the same bytes each time. */
const ROUND = 256;
/** The scan goes through fewer of them, or a run would take most of a second. */
const SCANNED = 16;

/** What find-my-way keeps for a route; a bare 0 would be lost. */
interface Found {
  readonly place: number;
}

interface Request {
  readonly host: string;
  readonly path: string;
  readonly query: RouteQuery;
}

/** Routes as a large site has them: services under their own names, prefixes, some wildcards and patterns. */
function matchFor(place: number): MatchOptions {
  const service = `service-${place}`;
  switch (place % 4) {
    case 0:
      return { host: [`${service}.example.com`], path: ['/api/*'], method: ['GET', 'POST'] };
    case 1:
      return { path: [`/${service}/v1/*`] };
    case 2:
      return { host: [`*.${service}.example.com`] };
    default:
      return { host: ['www.example.com'], path: [`/${service}/users/*/avatar`] };
  }
}

/** A request that the route at this place answers, and no other. */
function requestFor(place: number): Request {
  const service = `service-${place}`;
  const [host, path] = (
    [
      [`${service}.example.com`, '/api/users/17/orders'],
      ['shop.example.com', `/${service}/v1/users/17/orders`],
      [`eu.${service}.example.com`, '/users/17/orders'],
      ['www.example.com', `/${service}/users/17/avatar`],
    ] as const
  )[place % 4]!;
  const query = new RouteQuery(new Fields(Buffer.from(host + path)));
  query.hostEnd = query.pathStart = host.length;
  query.pathEnd = host.length + path.length;
  query.method = Method.GET;
  return { host, path, query };
}

function table(matches: readonly MatchOptions[], requests: readonly Request[]): Case {
  const compiled = compileTable(matches.map((match, place) => ({ match, value: place })));
  return ours(requests.length, {
    operate: (i) => compiled.find(requests[i]!.query)!,
    answer: () => requests.map(({ query }) => compiled.find(query)),
  });
}

/** Every route in turn, host first. */
function scan(matches: readonly MatchOptions[], requests: readonly Request[]): Case {
  const routes = matches.map((match) => ({
    hosts: (match.host ?? ['*']).map(parseHost),
    paths: (match.path ?? ['/*']).map(parsePath),
  }));
  const find = ({ bytes, hostStart, hostEnd, pathBytes, pathStart, pathEnd }: RouteQuery): number => {
    const host = parseHost(bytes.toString('latin1', hostStart, hostEnd));
    return routes.findIndex(
      ({ hosts, paths }) =>
        hosts.some((pattern) => hostCovers(pattern, host)) &&
        paths.some((pattern) => matchPath(pattern, pathBytes, pathStart, pathEnd, null)),
    );
  };
  // As spread over the table as all of them.
  const scanned = requests.filter((_, i) => i % (requests.length / SCANNED) === SCANNED / 2).map(({ query }) => query);
  return theirs(scanned.length, 'one after the other', 'less: methods are not looked at', {
    operate: (i) => find(scanned[i]!),
    answer: () => requests.map(({ query }) => find(query)),
  });
}

/**
 * A router for each host, as large sites on find-my-way must have it: its own host constraint takes at most 31 routes of
 * one path. Wildcards are found by dropping the first label.
 */
function router(size: number, requests: readonly Request[], compiled: boolean): Case {
  const anywhere = createRouter();
  const www = createRouter();
  const hosts = new Map([['www.example.com', www]]);
  const wildcards = new Map<string, ReturnType<typeof createRouter>>();
  const nothing = () => {};
  for (let place = 0; place < size; place++) {
    const service = `service-${place}`;
    const own = place % 4 === 1 ? anywhere : place % 4 === 3 ? www : createRouter();
    switch (place % 4) {
      case 0:
        own.on(['GET', 'POST'], '/api/*', nothing, { place });
        hosts.set(`${service}.example.com`, own);
        break;
      case 1:
        own.on('GET', `/${service}/v1/*`, nothing, { place });
        break;
      case 2:
        own.on('GET', '/*', nothing, { place });
        wildcards.set(`${service}.example.com`, own);
        break;
      default:
        own.on('GET', `/${service}/users/:user/avatar`, nothing, { place });
    }
  }
  if (compiled) for (const each of [anywhere, ...hosts.values(), ...wildcards.values()]) each.compile();
  const find = (host: string, path: string): number => {
    const own = hosts.get(host) ?? wildcards.get(host.slice(host.indexOf('.') + 1));
    return ((own?.find('GET', path) ?? anywhere.find('GET', path))?.store as Found | undefined)?.place ?? -1;
  };
  const more = compiled ? '; more: code generated for each router' : '';
  const note = `less: gets host and path as strings, most specific route instead of the first${more}`;
  return theirs(requests.length, compiled ? 'find-my-way, compiled' : 'find-my-way', note, {
    operate(i) {
      const { host, path } = requests[i]!;
      return find(host, path);
    },
    answer: () => requests.map(({ host, path }) => find(host, path)),
  });
}
