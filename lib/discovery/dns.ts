// Endpoints by DNS: addresses of a name (A and AAAA), or hosts and ports of a service (SRV, RFC 2782). Asked again when
// the answer's time to live is over, within bounds. Each kind of record of each name is judged by itself: one that cannot
// be asked for now is what it was last time, and takes nothing else with it.

import type { RecordWithTtl } from 'node:dns';
import { Resolver } from 'node:dns/promises';
import type { Address } from '../base/address.ts';
import type { DnsDiscovery, EndpointOptions } from '../upstream/options.ts';
import type { Source } from './source.ts';

const TRY_MS = 2000;
const TRIES = 2;
/** More of them are an error of somebody's. */
const MOST_ENDPOINTS = 10_000;

/** What servers say when there is nothing; whatever else they say tells nothing of what there is. */
const NOTHING: readonly string[] = ['ENODATA', 'ENOTFOUND'];

interface Answer {
  readonly endpoints: readonly EndpointOptions[];
  readonly ttlS: number;
  /** What could not be found out, though the rest could; '' for nothing. */
  readonly fault: string;
}

interface Found {
  readonly records: readonly RecordWithTtl[];
  readonly fault: string;
  /** Nothing was found out: all are of an earlier time. */
  readonly kept: boolean;
}

export class DnsSource implements Source {
  readonly #options: DnsDiscovery;
  readonly #resolver = new Resolver({ timeout: TRY_MS, tries: TRIES });
  #timer: NodeJS.Timeout | null = null;
  #stopped = false;
  /** By kind and name: what there was when it was last asked for. */
  #known: ReadonlyMap<string, readonly RecordWithTtl[]> = new Map();

  constructor(options: DnsDiscovery) {
    this.#options = options;
    if (options.servers.length > 0) this.#resolver.setServers(options.servers);
  }

  start(found: (endpoints: readonly EndpointOptions[], fault?: string) => void, failed: (fault: string) => void): void {
    const { leastMs, mostMs } = this.#options;
    const again = (ms: number): void => {
      if (this.#stopped) return;
      this.#timer = setTimeout(ask, Math.min(Math.max(ms, leastMs), mostMs));
      this.#timer.unref();
    };
    const ask = (): void => {
      (this.#options.srv ? this.#askService() : this.#askAddresses()).then(
        ({ endpoints, ttlS, fault }) => {
          if (this.#stopped) return;
          if (endpoints.length === 0) failed(fault === '' ? 'no addresses' : fault);
          else found(endpoints.slice(0, MOST_ENDPOINTS), fault);
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

  async #askAddresses(): Promise<Answer> {
    const { name, port } = this.#options;
    const { records, fault, kept } = (await this.#lookUp([name])).get(name)!;
    if (kept) throw new Error(fault);
    return { endpoints: records.map((record) => endpointOf(record, name, port, 1, 0)), ttlS: shortest(records), fault };
  }

  /** RFC 2782: the lowest priority first, weights within it; 0 is a weight too, a small one. */
  async #askService(): Promise<Answer> {
    const services = await this.#resolver.resolveSrv(this.#options.name);
    const priorities = [...new Set(services.map(({ priority }) => priority))].sort((a, b) => a - b);
    const heaviest = Math.max(1, ...services.map(({ weight }) => weight));
    const found = await this.#lookUp([...new Set(services.map(({ name }) => name))]);
    const endpoints = services.flatMap(({ name, port, weight, priority }) => {
      // Ours go to 256, theirs to 65,535.
      const share = Math.max(1, heaviest <= 256 ? weight : Math.round((weight * 256) / heaviest));
      return found
        .get(name)!
        .records.map((record) => endpointOf(record, name, port, share, priorities.indexOf(priority)));
    });
    const all = [...found.values()];
    // Node does not tell how long the records of services hold; those of their addresses are as good a guess as any.
    return {
      endpoints,
      ttlS: shortest(all.flatMap(({ records }) => records)),
      fault: all.find(({ fault }) => fault !== '')?.fault ?? '',
    };
  }

  /** Addresses of names, each for itself. */
  async #lookUp(names: readonly string[]): Promise<ReadonlyMap<string, Found>> {
    const known = new Map<string, readonly RecordWithTtl[]>();
    const found = await Promise.all(names.map(async (name) => [name, await this.#addressesOf(name, known)] as const));
    this.#known = known;
    return new Map(found);
  }

  /** Addresses of both families; `known` gets what is known of each from now on. */
  async #addressesOf(name: string, known: Map<string, readonly RecordWithTtl[]>): Promise<Found> {
    const answers = await Promise.allSettled([
      this.#resolver.resolve4(name, { ttl: true }),
      this.#resolver.resolve6(name, { ttl: true }),
    ]);
    const codes: string[] = [];
    let lacking = '';
    const records = answers.flatMap((answer, place) => {
      const key = `${place === 0 ? 'A' : 'AAAA'} ${name}`;
      let now: readonly RecordWithTtl[] = [];
      if (answer.status === 'fulfilled') now = answer.value;
      else {
        const { code = 'failed' } = answer.reason as NodeJS.ErrnoException;
        codes.push(code);
        // Worth another question soon.
        if (!NOTHING.includes(code)) now = (this.#known.get(key) ?? []).map(({ address }) => ({ address, ttl: 0 }));
        // Most names have one kind of address alone, and some servers fail whenever they are asked for the other.
        if (now.length > 0) lacking ||= `${key}: ${code}`;
      }
      known.set(key, now);
      return now;
    });
    const kept = records.length > 0 && codes.filter((code) => !NOTHING.includes(code)).length === answers.length;
    if (records.length > 0) return { records, fault: lacking, kept };
    return { records, fault: `${name}: ${codes.find((code) => code !== 'ENODATA') ?? 'ENODATA'}`, kept };
  }
}

function endpointOf(
  { address }: RecordWithTtl,
  name: string,
  port: number,
  weight: number,
  priority: number,
): EndpointOptions {
  const at: Address = { kind: 'tcp', host: address, port, path: '', fd: -1 };
  return { address: at, weight, priority, host: name };
}

function shortest(records: readonly RecordWithTtl[]): number {
  return Math.min(...records.map(({ ttl }) => ttl));
}
