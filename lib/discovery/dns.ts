// Endpoints by DNS: addresses of a name (A and AAAA), or hosts and ports of a service (SRV, RFC 2782). Asked again when
// the answer's time to live is over, within bounds.

import { Resolver } from 'node:dns/promises';
import type { Address } from '../base/address.ts';
import type { DnsDiscovery, EndpointOptions } from '../upstream/options.ts';
import type { Source } from './source.ts';

const TRY_MS = 2000;
const TRIES = 2;
/** More of them are an error of somebody's. */
const MOST_ENDPOINTS = 10_000;

interface Answer {
  readonly endpoints: readonly EndpointOptions[];
  readonly ttlS: number;
}

export class DnsSource implements Source {
  readonly #options: DnsDiscovery;
  readonly #resolver = new Resolver({ timeout: TRY_MS, tries: TRIES });
  #timer: NodeJS.Timeout | null = null;
  #stopped = false;

  constructor(options: DnsDiscovery) {
    this.#options = options;
    if (options.servers.length > 0) this.#resolver.setServers(options.servers);
  }

  start(found: (endpoints: readonly EndpointOptions[]) => void, failed: (fault: string) => void): void {
    const { leastMs, mostMs } = this.#options;
    const again = (ms: number): void => {
      if (this.#stopped) return;
      this.#timer = setTimeout(ask, Math.min(Math.max(ms, leastMs), mostMs));
      this.#timer.unref();
    };
    const ask = (): void => {
      (this.#options.srv ? this.#askService() : this.#askAddresses(this.#options.name)).then(
        ({ endpoints, ttlS }) => {
          if (this.#stopped) return;
          if (endpoints.length === 0) failed('no addresses');
          else found(endpoints.slice(0, MOST_ENDPOINTS));
          again(ttlS * 1000);
        },
        (error: NodeJS.ErrnoException) => {
          if (this.#stopped) return;
          failed(error.code ?? error.message);
          again(leastMs);
        },
      );
    };
    ask();
  }

  stop(): void {
    this.#stopped = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#resolver.cancel();
  }

  async #askAddresses(name: string, port = this.#options.port, weight = 1, priority = 0): Promise<Answer> {
    const [v4, v6] = await Promise.allSettled([
      this.#resolver.resolve4(name, { ttl: true }),
      this.#resolver.resolve6(name, { ttl: true }),
    ]);
    const records = [v4, v6].flatMap((answer) => (answer.status === 'fulfilled' ? answer.value : []));
    // Most names have one kind of address alone; a server that fails to tell of the other says nothing about it.
    if (records.length === 0) {
      const reasons = [v4, v6].flatMap((answer) =>
        answer.status === 'rejected' ? [answer.reason as NodeJS.ErrnoException] : [],
      );
      throw reasons.find(({ code }) => code !== 'ENODATA') ?? reasons[0] ?? new Error('no addresses');
    }
    const endpoints = records.map(({ address }) => ({
      address: { kind: 'tcp', host: address, port, path: '', fd: -1 } satisfies Address,
      weight,
      priority,
      host: name,
    }));
    return { endpoints, ttlS: Math.min(...records.map(({ ttl }) => ttl)) };
  }

  /** RFC 2782: the lowest priority first, weights within it; 0 is a weight too, a small one. */
  async #askService(): Promise<Answer> {
    const services = await this.#resolver.resolveSrv(this.#options.name);
    const priorities = [...new Set(services.map(({ priority }) => priority))].sort((a, b) => a - b);
    const heaviest = Math.max(1, ...services.map(({ weight }) => weight));
    const answers = await Promise.all(
      services.map(({ name, port, weight, priority }) =>
        // Ours go to 256, theirs to 65,535.
        this.#askAddresses(
          name,
          port,
          Math.max(1, heaviest <= 256 ? weight : Math.round((weight * 256) / heaviest)),
          priorities.indexOf(priority),
        ),
      ),
    );
    // Node does not tell how long the records of services hold; those of their addresses are as good a guess as any.
    return {
      endpoints: answers.flatMap(({ endpoints }) => endpoints),
      ttlS: Math.min(...answers.map(({ ttlS }) => ttlS)),
    };
  }
}
