// The routes of a listener, compiled once and asked for every exchange. What a route leads to is the caller's.
//
// Routes are tried in the order in which they are written, and the first match wins: there is no specificity to
// reason about. A route without `match` matches everything, so those after it are never reached (see shadow.ts).
// Of what is written in one route all conditions must hold, and within a list one entry is enough.

import { HostIndex } from './host-index.ts';
import { parseHost } from './host-pattern.ts';
import { compileCandidate, type RouteQuery } from './match.ts';
import type { MatchOptions } from './options.ts';
import { parsePath } from './path-pattern.ts';
import { NO_ROUTE } from './path-trie.ts';

/** A route as the table takes it: what it matches and what is found. */
export interface TableRoute<Value> {
  readonly match?: MatchOptions | undefined;
  readonly value: Value;
}

/**
 * Compiles routes in the order in which they are written. Never throws: patterns that make no sense match little or
 * nothing, and `checkMatch` is there to say so beforehand.
 */
export function compileTable<Value>(routes: readonly TableRoute<Value>[]): Table<Value> {
  return new Table(routes);
}

/** Compiled routes: frozen, and looked up without allocation in time that hardly depends on how many there are. */
export class Table<Value> {
  /** How many routes there are. */
  readonly size: number;
  readonly #index = new HostIndex();
  readonly #values: readonly Value[];

  constructor(routes: readonly TableRoute<Value>[]) {
    this.size = routes.length;
    this.#values = routes.map((route) => route.value);
    routes.forEach((route, place) => {
      this.#add(route.match, place);
    });
    Object.freeze(this);
  }

  /** The value of the first route that matches, or null. */
  find(query: RouteQuery): Value | null {
    const place = this.#index.search(query);
    return place === NO_ROUTE ? null : this.#values[place]!;
  }

  /** The place of the first route that matches in the written order, from 0, or -1. */
  place(query: RouteQuery): number {
    const place = this.#index.search(query);
    return place === NO_ROUTE ? -1 : place;
  }

  #add(match: MatchOptions | undefined, place: number): void {
    const candidate = compileCandidate(place, match);
    const paths = (match?.path ?? ['/*']).map(parsePath);
    for (const host of (match?.host ?? ['*']).map(parseHost)) {
      for (const path of paths) this.#index.add(host, path, candidate);
    }
  }
}
