// Keeps the endpoints of a cluster as its source finds them, beside those that are configured. What is known is kept when
// the source fails: endpoints that cannot be found any more may be well all the same.

import { formatAddress } from '../base/address.ts';
import type { Log } from '../base/log.ts';
import type { Cluster } from '../upstream/cluster.ts';
import type { DiscoveryOptions, EndpointOptions } from '../upstream/options.ts';
import { DnsSource } from './dns.ts';
import { FileSource } from './file.ts';
import { HttpSource } from './http.ts';
import type { EndpointReader, Source } from './source.ts';

export class Discovery {
  readonly #cluster: Cluster;
  readonly #source: Source;
  readonly #log: Log;
  #fault = '';
  #twice = '';

  constructor(cluster: Cluster, options: DiscoveryOptions, read: EndpointReader, log: Log) {
    this.#cluster = cluster;
    this.#source = sourceOf(options, read);
    this.#log = log;
  }

  start(): void {
    this.#source.start(
      (endpoints, fault) => this.#found(endpoints, fault),
      (fault) => this.#failed(fault),
    );
  }

  stop(): void {
    this.#source.stop();
  }

  #found(discovered: readonly EndpointOptions[], fault = ''): void {
    const cluster = this.#cluster;
    cluster.find(discovered);
    this.#lookForTwins(discovered);
    if (fault !== '') return this.#failed(fault, 'not all endpoints are found');
    if (this.#fault !== '') this.#log.info('endpoints are found again', { cluster: cluster.name });
    this.#fault = '';
  }

  /** Of those with the same address the first counts; that is told once, and again when it is about others. */
  #lookForTwins(discovered: readonly EndpointOptions[]): void {
    const seen = new Set<string>();
    const twins = new Set<string>();
    for (const { address } of discovered) {
      const name = formatAddress(address);
      if (seen.has(name)) twins.add(name);
      seen.add(name);
    }
    const twice = [...twins].sort().join(' ');
    if (twice === this.#twice) return;
    this.#twice = twice;
    if (twins.size === 0) return;
    this.#log.warn('endpoints are listed more than once, the first of each counts', {
      cluster: this.#cluster.name,
      endpoints: [...twins].sort().slice(0, 10).join(' '),
      count: twins.size,
    });
  }

  #failed(fault: string, message = 'endpoints are not found, those before are kept'): void {
    this.#cluster.stats.discoveryFailures++;
    if (fault === this.#fault) return;
    this.#fault = fault;
    const { name, endpoints } = this.#cluster;
    this.#log.warn(message, {
      cluster: name,
      fault,
      endpoints: endpoints.length,
    });
  }
}

function sourceOf(options: DiscoveryOptions, read: EndpointReader): Source {
  switch (options.kind) {
    case 'dns':
      return new DnsSource(options);
    case 'file':
      return new FileSource(options, read);
    case 'http':
      return new HttpSource(options, read);
  }
}
