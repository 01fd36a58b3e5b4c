// Which routes can never be reached because an earlier one takes everything they match. For `check` to warn about.

import { Fields } from '../wire/fields.ts';
import { methodCode } from '../wire/http1/method.ts';
import { type HostPattern, hostCovers, parseHost } from './host-pattern.ts';
import { RouteQuery } from './match.ts';
import type { MatchOptions } from './options.ts';
import { type PathPattern, parsePath, pathCovers } from './path-pattern.ts';
import { compileTable } from './table.ts';

/** A route that is never reached, and the earliest single route that stands in its way; places from 0. */
export interface Shadow {
  readonly route: number;
  readonly by: number;
}

/**
 * The routes that one earlier route covers wholly. Reports certain cases only: a route that several others cover
 * together, or whose patterns are hard to compare, is not reported.
 */
export function findShadowed(matches: readonly (MatchOptions | undefined)[]): Shadow[] {
  const table = compileTable(matches.map((match, value) => ({ match, value })));
  const extents = matches.map(extentOf);
  const shadows: Shadow[] = [];
  extents.forEach((extent, route) => {
    // A route that answers a request made for it is reachable, which spares comparing it with every other one.
    if (extent.hosts.length === 0 || extent.paths.length === 0 || table.place(sampleOf(extent)) === route) return;
    const by = extents.findIndex((earlier, place) => place < route && covers(earlier, extent));
    if (by >= 0) shadows.push({ route, by });
  });
  return shadows;
}

/** What a route matches, in comparable form. */
interface Extent {
  readonly hosts: readonly HostPattern[];
  readonly paths: readonly PathPattern[];
  /** Null: every method. */
  readonly methods: ReadonlySet<string> | null;
  /** Lower-case name to value. */
  readonly header: ReadonlyMap<string, string>;
  /** Null: every one, and none. */
  readonly ja3: ReadonlySet<string> | null;
  readonly ja4: ReadonlySet<string> | null;
}

function extentOf(match: MatchOptions | undefined): Extent {
  return {
    hosts: (match?.host ?? ['*']).map(parseHost),
    paths: (match?.path ?? ['/*']).map(parsePath),
    methods: match?.method === undefined ? null : new Set(match.method),
    header: new Map(Object.entries(match?.header ?? {}).map(([name, value]) => [name.toLowerCase(), value])),
    ja3: match?.ja3 === undefined ? null : new Set(match.ja3),
    ja4: match?.ja4 === undefined ? null : new Set(match.ja4),
  };
}

function covers(outer: Extent, inner: Extent): boolean {
  return (
    inner.hosts.every((host) => outer.hosts.some((pattern) => hostCovers(pattern, host))) &&
    inner.paths.every((path) => outer.paths.some((pattern) => pathCovers(pattern, path))) &&
    within(inner.methods, outer.methods) &&
    within(inner.ja3, outer.ja3) &&
    within(inner.ja4, outer.ja4) &&
    [...outer.header].every(
      ([name, value]) => inner.header.has(name) && (value === '*' || value === inner.header.get(name)),
    )
  );
}

/** Null holds everything. */
function within(inner: ReadonlySet<string> | null, outer: ReadonlySet<string> | null): boolean {
  return outer === null || (inner?.isSubsetOf(outer) ?? false);
}

/** A request that the route matches, unless one of its patterns makes no sense. */
function sampleOf(extent: Extent): RouteQuery {
  const { kind, name } = extent.hosts[0]!;
  const host = kind === 'below' ? `sample.${name}` : name;
  const path = extent.paths[0]!.text.replaceAll('*', 'sample');
  const lines = Array.from(extent.header, ([field, value]) => [field, value === '*' ? 'sample' : value] as const);
  const bytes = Buffer.from([host, path, ...lines.flat()].join(''));
  const fields = new Fields(bytes, Math.max(1, lines.length));
  const query = new RouteQuery(fields);
  query.hostEnd = query.pathStart = Buffer.byteLength(host);
  let at = (query.pathEnd = query.pathStart + Buffer.byteLength(path));
  lines.forEach(([field, value], i) => {
    fields.add(at, (at += Buffer.byteLength(field)));
    fields.setValue(i, at, (at += Buffer.byteLength(value)));
  });
  query.method = extent.methods === null ? methodCode('GET') : methodCode([...extent.methods][0] ?? '');
  query.hello = { ja3: [...(extent.ja3 ?? [''])][0] ?? '', ja4: [...(extent.ja4 ?? [''])][0] ?? '' };
  return query;
}
