// Endpoints that are written as names: one whose name nobody knows is not used, and the log says so before a request finds
// out; one whose name leads elsewhere now gets new connections. Names are resolved by the system, as dials do it.

import { isIP } from 'node:net';
import type { Log } from '../base/log.ts';
import type { Cluster, Keeper } from '../upstream/cluster.ts';
import type { Endpoint } from '../upstream/endpoint.ts';
import { lookups } from './lookups.ts';

/** How often names are looked up, give or take a tenth so that they do not come together, and those that are not known. The system does not tell how long an answer holds. */
const EVERY_MS = 30_000;
const UNKNOWN_EVERY_MS = 2_000;

/** What is known of one name. */
interface Known {
  /** Those that have it: most names have one, but each of its ports is another. */
  endpoints: readonly Endpoint[];
  /** Sorted; empty before the first answer. */
  addresses: readonly string[];
  /** Why nothing is known, '' before the first answer. */
  cause: string;
  timer: NodeJS.Timeout | null;
  /** Takes the question back that is asked now. */
  cancel: () => void;
}

export class NameKeeper implements Keeper {
  readonly #cluster: Cluster;
  readonly #log: Log;
  readonly #everyMs: number;
  readonly #known = new Map<string, Known>();
  #timer: NodeJS.Timeout | null = null;

  constructor(cluster: Cluster, log: Log, everyMs = EVERY_MS) {
    this.#cluster = cluster;
    this.#log = log;
    this.#everyMs = everyMs;
  }

  start(): void {
    this.#follow();
    // Endpoints may come by discovery, or by an operator's word.
    this.#timer = setInterval(() => this.#follow(), Math.min(UNKNOWN_EVERY_MS, this.#everyMs));
    this.#timer.unref();
  }

  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    for (const known of this.#known.values()) end(known);
    this.#known.clear();
  }

  #follow(): void {
    const named = new Map<string, Endpoint[]>();
    for (const endpoint of this.#cluster.endpoints) {
      const { kind, host } = endpoint.address;
      if (kind !== 'tcp' || !isName(host)) continue;
      const others = named.get(host);
      if (others === undefined) named.set(host, [endpoint]);
      else others.push(endpoint);
    }
    for (const [host, known] of this.#known) {
      if (named.has(host)) continue;
      end(known);
      this.#known.delete(host);
    }
    for (const [host, endpoints] of named) {
      const known = this.#known.get(host);
      if (known === undefined) {
        const fresh: Known = { endpoints, addresses: [], cause: '', timer: null, cancel: () => {} };
        this.#known.set(host, fresh);
        this.#look(host, fresh);
        continue;
      }
      known.endpoints = endpoints;
      this.#judge(known);
    }
  }

  #look(host: string, known: Known): void {
    known.cancel = lookups.ask(host, (answer) => {
      if ('addresses' in answer) this.#found(known, answer.addresses);
      else {
        known.cause = answer.cause;
        this.#judge(known);
      }
      const ms = known.addresses.length === 0 ? Math.min(UNKNOWN_EVERY_MS, this.#everyMs) : this.#everyMs;
      known.timer = setTimeout(() => this.#look(host, known), ms * (0.9 + Math.random() * 0.2));
      known.timer.unref();
    });
  }

  #found(known: Known, addresses: readonly string[]): void {
    const before = known.addresses;
    known.addresses = addresses;
    // Where there are checks, these say what is well.
    if (before.length === 0 && this.#cluster.options.health === null) {
      for (const endpoint of known.endpoints) {
        if (endpoint.standing.health === 'down') this.#cluster.found(endpoint, 'up', 'its name is known now');
      }
    }
    if (before.every((address) => addresses.includes(address))) return;
    for (const endpoint of known.endpoints) {
      this.#log.info('endpoint has moved', {
        cluster: this.#cluster.name,
        endpoint: endpoint.name,
        from: before.join(' '),
        to: addresses.join(' '),
      });
      this.#cluster.evict(endpoint);
    }
  }

  /** What was known is kept: a name that cannot be resolved for a while says nothing of who stands behind it. */
  #judge({ endpoints, addresses, cause }: Known): void {
    if (addresses.length > 0 || cause === '' || this.#cluster.options.health !== null) return;
    for (const endpoint of endpoints) this.#cluster.found(endpoint, 'down', `its name is not known: ${cause}`);
  }
}

function end(known: Known): void {
  known.cancel();
  if (known.timer !== null) clearTimeout(known.timer);
}

/** Whether an endpoint's host is neither an address nor this machine. */
export function isName(host: string): boolean {
  return host !== '' && host !== 'localhost' && isIP(host) === 0;
}
