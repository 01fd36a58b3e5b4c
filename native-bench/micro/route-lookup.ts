// What finding a route costs, by the size of the table, beside trying the same routes one after the other.
// Nanoseconds per look-up; run it as `node native-bench/micro/route-lookup.ts` on a quiet machine.

import { Bench } from 'tinybench';
import { hostCovers, parseHost } from '../../lib/route/host-pattern.ts';
import { RouteQuery } from '../../lib/route/match.ts';
import type { MatchOptions } from '../../lib/route/options.ts';
import { matchPath, parsePath } from '../../lib/route/path-pattern.ts';
import { compileTable } from '../../lib/route/table.ts';
import { Fields } from '../../lib/wire/fields.ts';

const SIZES = [1, 10, 100, 1_000, 10_000];
interface Finder {
  find(query: RouteQuery): number | null;
}

/** Requests in one table's round, so that neither caches nor branch predictors see the same bytes every time. */
const ROUND = 256;

const bench = new Bench({ time: 400, warmupTime: 100 });
for (const size of SIZES) {
  const matches = Array.from({ length: size }, (_, place) => matchFor(place));
  const table = compileTable(matches.map((match, place) => ({ match, value: place })));
  const scan = naiveScan(matches);
  const queries = Array.from({ length: ROUND }, (_, i) => queryFor(Math.floor((i * size) / ROUND)));
  for (const query of queries) {
    if (table.find(query) !== scan.find(query)) throw new Error('the table and the scan disagree');
  }
  bench.add(`table, ${size} routes`, () => round(table, queries));
  bench.add(`scan, ${size} routes`, () => round(scan, queries));
}
await bench.run();
for (const { name, result } of bench.tasks) {
  if (!('latency' in result)) throw new Error(`${name} was not measured`);
  const nanoseconds = (result.latency.p50 * 1e6) / ROUND;
  process.stdout.write(
    `${name.padEnd(24)} ${nanoseconds.toFixed(0).padStart(9)} ns  (±${result.latency.rme.toFixed(1)} %)\n`,
  );
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

/** A request that the route at this place answers. */
function queryFor(place: number): RouteQuery {
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
  query.method = 1;
  return query;
}

function round(table: Finder, queries: readonly RouteQuery[]): number {
  let sum = 0;
  for (const query of queries) sum += table.find(query)!;
  return sum;
}

/** Every route in turn, host first. Methods are left out, in its favour. */
function naiveScan(matches: readonly MatchOptions[]): Finder {
  const routes = matches.map((match) => ({
    hosts: (match.host ?? ['*']).map(parseHost),
    paths: (match.path ?? ['/*']).map(parsePath),
  }));
  return {
    find({ bytes, hostStart, hostEnd, pathBytes, pathStart, pathEnd }) {
      const host = parseHost(bytes.toString('latin1', hostStart, hostEnd));
      const place = routes.findIndex(
        ({ hosts, paths }) =>
          hosts.some((pattern) => hostCovers(pattern, host)) &&
          paths.some((pattern) => matchPath(pattern, pathBytes, pathStart, pathEnd, null)),
      );
      return place < 0 ? null : place;
    },
  };
}
