// Endpoints that are written as names: one whose name nobody knows is not used, and the log says so before a request finds
// out; one whose name leads elsewhere now gets new connections. Names are resolved by the system, as dials do it.

import dns from 'node:dns';
import { isIP } from 'node:net';
import type { Log } from '../base/log.ts';
import type { Cluster, Keeper } from '../upstream/cluster.ts';
import type { Endpoint } from '../upstream/endpoint.ts';

/** How often names are looked up, and those that are not known. The system does not tell how long an answer holds. */
const EVERY_MS = 30_000;
const UNKNOWN_EVERY_MS = 2_000;

/** What is known of one endpoint's name. */
interface Known {
  /** Sorted; empty before the first answer. */
  addresses: readonly string[];
  timer: NodeJS.Timeout | null;
}

export class NameKeeper implements Keeper {
  readonly #cluster: Cluster;
  readonly #log: Log;
  readonly #everyMs: number;
  readonly #known = new Map<Endpoint, Known>();
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
    for (const { timer } of this.#known.values()) if (timer !== null) clearTimeout(timer);
    this.#known.clear();
  }

  #follow(): void {
    const named = this.#cluster.endpoints.filter(({ address: { kind, host } }) => kind === 'tcp' && isName(host));
    const members = new Set(named);
    for (const [endpoint, { timer }] of this.#known) {
      if (members.has(endpoint)) continue;
      if (timer !== null) clearTimeout(timer);
      this.#known.delete(endpoint);
    }
    for (const endpoint of named) {
      if (this.#known.has(endpoint)) continue;
      this.#known.set(endpoint, { addresses: [], timer: null });
      this.#look(endpoint);
    }
  }

  #look(endpoint: Endpoint): void {
    dns.lookup(endpoint.address.host, { all: true }, (error, found) => {
      const known = this.#known.get(endpoint);
      if (known === undefined) return;
      if (error === null) this.#found(endpoint, known, found.map(({ address }) => address).sort());
      else this.#missed(endpoint, known, error.code ?? error.message);
      const ms = known.addresses.length === 0 ? Math.min(UNKNOWN_EVERY_MS, this.#everyMs) : this.#everyMs;
      known.timer = setTimeout(() => this.#look(endpoint), ms);
      known.timer.unref();
    });
  }

  #found(endpoint: Endpoint, known: Known, addresses: readonly string[]): void {
    const before = known.addresses;
    known.addresses = addresses;
    // Where there are checks, these say what is well.
    if (before.length === 0 && endpoint.standing.health === 'down' && this.#cluster.options.health === null) {
      this.#cluster.found(endpoint, 'up', 'its name is known now');
    }
    if (before.every((address) => addresses.includes(address))) return;
    this.#log.info('endpoint has moved', {
      cluster: this.#cluster.name,
      endpoint: endpoint.name,
      from: before.join(' '),
      to: addresses.join(' '),
    });
    this.#cluster.evict(endpoint);
  }

  /** What was known is kept: a name that cannot be resolved for a while says nothing of who stands behind it. */
  #missed(endpoint: Endpoint, { addresses }: Known, cause: string): void {
    if (addresses.length === 0 && this.#cluster.options.health === null) {
      this.#cluster.found(endpoint, 'down', `its name is not known: ${cause}`);
    }
  }
}

/** Whether an endpoint's host is neither an address nor this machine. */
export function isName(host: string): boolean {
  return host !== '' && host !== 'localhost' && isIP(host) === 0;
}
