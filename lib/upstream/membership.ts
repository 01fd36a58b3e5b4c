// Who belongs to a cluster: what is configured, what a source has found, and what an operator has said since. Later words
// hold over earlier ones, each as long as the endpoint that it is about is named at all.

import { formatAddress } from '../base/address.ts';
import type { EndpointOptions } from './options.ts';

/** What an operator says about one endpoint. Plain values, so that it can be passed between threads. */
export type EndpointChange =
  | { readonly kind: 'add'; readonly endpoint: EndpointOptions }
  | { readonly kind: 'remove'; readonly name: string }
  | { readonly kind: 'set'; readonly name: string; readonly weight?: number; readonly draining?: boolean };

/** Why a change was not made. */
export type ChangeRefusal = 'known already' | 'not known' | 'too many endpoints';

/** Most endpoints that an operator may add to a cluster. */
const MOST_ADDED = 10_000;

export class Membership {
  #configured: readonly EndpointOptions[];
  #found: readonly EndpointOptions[] = [];
  readonly #added = new Map<string, EndpointOptions>();
  readonly #removed = new Set<string>();
  readonly #set = new Map<string, { weight?: number; draining?: boolean }>();

  constructor(configured: readonly EndpointOptions[]) {
    this.#configured = configured;
  }

  /** All that belong to it, by name; what is configured stays as it is configured, whatever is found. */
  list(configured = this.#configured, finding = true): Map<string, EndpointOptions> {
    const all = this.#named(configured, finding);
    for (const name of this.#removed) all.delete(name);
    for (const [name, said] of this.#set) {
      const endpoint = all.get(name);
      if (endpoint !== undefined) all.set(name, { ...endpoint, ...said });
    }
    return all;
  }

  /** The configuration has changed. */
  configure(endpoints: readonly EndpointOptions[]): void {
    this.#configured = endpoints;
    this.#forget();
  }

  /** A source has found these. */
  find(endpoints: readonly EndpointOptions[]): void {
    this.#found = endpoints;
    this.#forget();
  }

  /** Takes an operator's word; answers why not, null when it is taken. */
  change(change: EndpointChange): ChangeRefusal | null {
    const list = this.list();
    if (change.kind === 'add') {
      const name = formatAddress(change.endpoint.address);
      if (list.has(name)) return 'known already';
      if (this.#added.size >= MOST_ADDED) return 'too many endpoints';
      this.#removed.delete(name);
      this.#set.delete(name);
      this.#added.set(name, change.endpoint);
      return null;
    }
    if (!list.has(change.name)) return 'not known';
    if (change.kind === 'remove') {
      this.#added.delete(change.name);
      this.#removed.add(change.name);
      this.#forget();
      return null;
    }
    const { weight, draining } = change;
    this.#set.set(change.name, {
      ...this.#set.get(change.name),
      ...(weight !== undefined && { weight }),
      ...(draining !== undefined && { draining }),
    });
    return null;
  }

  #named(configured = this.#configured, finding = true): Map<string, EndpointOptions> {
    const all = new Map<string, EndpointOptions>();
    for (const list of [configured, finding ? this.#found : []]) {
      for (const endpoint of list) {
        const name = formatAddress(endpoint.address);
        if (!all.has(name)) all.set(name, this.#added.get(name) ?? endpoint);
      }
    }
    // Last, so that where the order says who serves nobody is displaced.
    for (const [name, endpoint] of this.#added) if (!all.has(name)) all.set(name, endpoint);
    return all;
  }

  /** What was said of endpoints that nobody names any more says nothing about those that will have their address. */
  #forget(): void {
    if (this.#removed.size === 0 && this.#set.size === 0) return;
    const named = this.#named();
    for (const name of this.#removed) if (!named.has(name)) this.#removed.delete(name);
    for (const name of this.#set.keys()) if (!named.has(name)) this.#set.delete(name);
  }
}
