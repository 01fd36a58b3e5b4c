// The endpoints of a cluster, as they follow the list of who belongs to it: those that stay keep their connections and
// standing, others come new or drain. Who belongs is membership's to say.

import type { Endpoint } from './endpoint.ts';
import type { EndpointOptions } from './options.ts';

/** What has become of a roster. */
export interface Followed {
  readonly added: readonly string[];
  readonly removed: readonly string[];
  /** Those that an operator has put out of use, or back into it. */
  readonly turned: readonly Endpoint[];
  /** Those that go by another host, so that their connections were verified by another name. */
  readonly renamed: readonly Endpoint[];
}

export class Roster {
  endpoints: readonly Endpoint[] = [];
  readonly #make: (options: EndpointOptions) => Endpoint;
  #byName: ReadonlyMap<string, Endpoint> = new Map();

  constructor(make: (options: EndpointOptions) => Endpoint) {
    this.#make = make;
  }

  find(name: string): Endpoint | undefined {
    return this.#byName.get(name);
  }

  has(endpoint: Endpoint): boolean {
    return this.#byName.get(endpoint.name) === endpoint;
  }

  /** Whether `list`, by name, says nothing new; a new order is something only if it is `ordered`. */
  matches(list: ReadonlyMap<string, EndpointOptions>, ordered: boolean): boolean {
    if (list.size !== this.#byName.size) return false;
    let place = 0;
    for (const [name, options] of list) {
      const known = this.#byName.get(name);
      if (known === undefined || !isSame(known.options, options)) return false;
      if (ordered && this.endpoints[place++] !== known) return false;
    }
    return true;
  }

  /** These are the endpoints from now on, by name. `now` is the monotonic clock. */
  follow(list: ReadonlyMap<string, EndpointOptions>, now: number): Followed {
    const before = this.#byName;
    const byName = new Map<string, Endpoint>();
    const followed = {
      added: [] as string[],
      removed: [] as string[],
      turned: [] as Endpoint[],
      renamed: [] as Endpoint[],
    };
    for (const [name, options] of list) {
      let endpoint = before.get(name);
      if (endpoint === undefined) {
        endpoint = this.#make(options);
        if (before.size > 0) endpoint.standing.rampFromMs = now;
        endpoint.standing.draining = options.draining === true;
        followed.added.push(name);
      } else if (endpoint.options !== options) {
        const { host } = endpoint;
        endpoint.options = options;
        if (endpoint.host !== host) followed.renamed.push(endpoint);
        if (turn(endpoint, options.draining === true, now)) followed.turned.push(endpoint);
      }
      byName.set(name, endpoint);
    }
    for (const [name, gone] of before) {
      if (byName.has(name)) continue;
      followed.removed.push(name);
      gone.standing.draining = true;
      gone.pool.empty(true);
    }
    this.#byName = byName;
    this.endpoints = [...byName.values()];
    return followed;
  }
}

/** Whether that is news. */
function turn({ standing, pool }: Endpoint, draining: boolean, now: number): boolean {
  if (standing.draining === draining) return false;
  standing.draining = draining;
  if (draining) pool.empty(false);
  else standing.rampFromMs = now;
  return true;
}

/** Whether both say the same of an address. */
function isSame(one: EndpointOptions, other: EndpointOptions): boolean {
  return one === other || (says(one, other) && says(other, one));
}

function says(one: EndpointOptions, other: EndpointOptions): boolean {
  for (const key in one) {
    const name = key as keyof EndpointOptions;
    if (name !== 'address' && one[name] !== other[name]) return false;
  }
  return true;
}
