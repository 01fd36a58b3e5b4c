// What the schema cannot see of a cluster: keys that go together, and endpoints that are there twice. Works on the document
// as written, like check.ts.

import { formatAddress } from '../base/address.ts';
import { formatIPv6, readIPv6 } from '../wire/ip-address.ts';
import type { DocumentPath, Finding } from './error.ts';
import { readAddress } from './schema/values.ts';
import { type CheckResult, list, record } from './shape.ts';
import { parseDuration } from './units.ts';

type Section = Readonly<Record<string, unknown>>;

const CHECKS = ['path', 'tcp', 'tls', 'grpc'];
const SOURCES = ['dns', 'file', 'http'];
/** Keys of `health` that say something of a request by HTTP. */
const HTTP_KEYS = ['method', 'host', 'status', 'body'];

export function checkCluster(path: DocumentPath, cluster: Section): CheckResult {
  const check = new ClusterCheck(path, cluster);
  check.run();
  return check;
}

/** What goes together in `retries` of a cluster or of a route. */
export function checkRetries(path: DocumentPath, retries: Section): Finding[] {
  const { attempts, backoff, maxBackoff } = retries;
  const findings: Finding[] = [];
  if (msOf(backoff) > msOf(maxBackoff ?? '1s')) {
    findings.push({ path: [...path, 'backoff'], message: `is more than maxBackoff (${maxBackoff ?? '1s'})` });
  }
  if (attempts !== 0) return findings;
  for (const key of ['on', 'unsafe', 'budget', 'timeout', 'hedge', 'backoff', 'maxBackoff']) {
    const value = retries[key];
    if (value === undefined || value === false || typeof value === 'number' || value === '0s' || value === '0%')
      continue;
    findings.push({
      path: [...path, key],
      message: 'has no meaning with attempts: 0; remove one of them',
      atKey: true,
    });
  }
  return findings;
}

/** A try of `retries` of a cluster or route is given up before the time that its cluster gives an answer. */
export function checkTryTime(path: DocumentPath, retries: Section, cluster: Section): Finding[] {
  const response = record(cluster['timeouts'])['response'] ?? '30s';
  if (msOf(response) === 0 || msOf(retries['timeout']) <= msOf(response)) return [];
  const message = `is more than timeouts.response (${response}), which gives up before`;
  return [{ path: [...path, 'timeout'], message }];
}

class ClusterCheck implements CheckResult {
  readonly errors: Finding[] = [];
  readonly warnings: Finding[] = [];
  readonly #path: DocumentPath;
  readonly #cluster: Section;

  constructor(path: DocumentPath, cluster: Section) {
    this.#path = path;
    this.#cluster = cluster;
  }

  run(): void {
    this.#endpoints();
    this.#hash();
    this.#discovery();
    this.#health();
    const { min, max } = record(this.#cluster['adaptive']);
    if (typeof min === 'number' && typeof max === 'number' && min > max) {
      this.#fail(['adaptive', 'min'], `is more than max (${max})`);
    }
    const ejection = record(this.#cluster['ejection']);
    if (ejection['failures'] === 0 && !wants(ejection['rate']) && !wants(ejection['latency'])) {
      this.#fail(['ejection'], 'counts nothing, so nothing is ever put aside; write "max: 0%" if that is meant');
    }
    if (msOf(ejection['for']) > msOf(ejection['longest'] ?? '5m'))
      this.#fail(['ejection', 'for'], `is more than longest (${ejection['longest'] ?? '5m'})`);
    this.#pool();
    const retries = record(this.#cluster['retries']);
    this.errors.push(
      ...checkRetries([...this.#path, 'retries'], retries),
      ...checkTryTime([...this.#path, 'retries'], retries, this.#cluster),
    );
  }

  #endpoints(): void {
    const { endpoints } = this.#cluster;
    if ((endpoints === undefined || list(endpoints).length === 0) && this.#cluster['discovery'] === undefined) {
      if (endpoints === undefined || Array.isArray(endpoints))
        this.#fail([], 'needs endpoints, or discovery that finds them');
    }
    const seen = new Map<string, number>();
    for (const [index, endpoint] of list(endpoints).entries()) {
      const text = typeof endpoint === 'string' ? endpoint : record(endpoint)['address'];
      if (typeof text !== 'string') continue;
      const address = readAddress(text, true);
      if ('fault' in address) continue;
      const key = formatAddress({ ...address, host: oneSpelling(address.host.toLowerCase()) });
      const first = seen.get(key);
      const at = typeof endpoint === 'string' ? ['endpoints', index] : ['endpoints', index, 'address'];
      if (first === undefined) seen.set(key, index);
      else this.#fail(at, `is the same address as endpoints[${first}]; keep one and give it a weight`);
    }
    const all = list(endpoints);
    if (all.length > 0 && all.every((endpoint) => record(endpoint)['backup'] === true)) {
      this.#warn(['endpoints'], 'are all backups, which makes none of them one');
    }
    const { zone, discovery } = this.#cluster;
    if (typeof zone !== 'string' || zone === '' || discovery !== undefined || all.length === 0) return;
    if (all.every((endpoint) => record(endpoint)['zone'] !== zone))
      this.#warn(['zone'], 'is the zone of no endpoint, so none is preferred');
  }

  /** Connections that are opened in advance must be kept too, or they are opened without end. */
  #pool(): void {
    const { warm, idle, max } = record(this.#cluster['pool']);
    if (typeof warm !== 'number') return;
    if (typeof idle === 'number' && warm > idle) this.#fail(['pool', 'warm'], `is more than idle (${idle})`);
    else if (typeof max === 'number' && max > 0 && warm > max)
      this.#fail(['pool', 'warm'], `is more than max (${max})`);
  }

  #hash(): void {
    const { balance, hash } = this.#cluster;
    if (balance === 'hash' && hash === undefined)
      this.#fail([], 'needs hash with balance: hash, such as "hash: { on: client-ip }"');
    if (hash === undefined) return;
    if (balance !== 'hash') this.#fail(['hash'], 'needs balance: hash', true);
    const { on, name } = record(hash);
    const named = on === 'header' || on === 'cookie' || on === 'query';
    if (named && name === undefined)
      this.#fail(['hash'], `needs name: which ${on === 'query' ? 'parameter of the query' : on} the key is in`);
    if (!named && name !== undefined && typeof on === 'string')
      this.#fail(['hash', 'name'], `has no meaning with on: ${on}`, true);
    if (this.#cluster['sticky'] !== undefined) {
      this.#warn(['sticky'], 'goes before hash: only clients without its cookie are sent by their key', true);
    }
  }

  #discovery(): void {
    const { discovery } = this.#cluster;
    if (discovery === undefined) return;
    this.#exactlyOne(['discovery'], record(discovery), SOURCES);
    const dns = record(discovery)['dns'];
    if (dns === undefined) return;
    const { srv, port, minTtl, every = '30s' } = record(dns);
    if (msOf(minTtl) > msOf(every) && msOf(every) > 0)
      this.#fail(['discovery', 'dns', 'minTtl'], `is more than every (${every}), the longest time between questions`);
    if (srv === true && port !== undefined)
      this.#fail(['discovery', 'dns', 'port'], 'excludes srv, whose records tell ports', true);
    if (srv !== true && port === undefined) this.#fail(['discovery', 'dns'], 'needs port, or srv: true');
  }

  #health(): void {
    const { health, tls, protocol } = this.#cluster;
    if (health === undefined) return;
    const keys = record(health);
    this.#exactlyOne(['health'], keys, CHECKS);
    if (keys['tls'] === true && tls === undefined)
      this.#fail(['health', 'tls'], 'needs tls of the cluster: how endpoints are verified', true);
    const h2 = protocol === 'h2' || list(record(tls)['alpn']).includes('h2');
    if (keys['grpc'] !== undefined && !h2)
      this.#fail(['health', 'grpc'], 'needs protocol: h2, or h2 in tls.alpn', true);
    const { interval = '5s', fastInterval, timeout } = keys;
    if (msOf(interval) > 0 && msOf(fastInterval) > msOf(interval))
      this.#fail(['health', 'fastInterval'], `is more than interval (${interval})`);
    if (msOf(interval) > 0 && msOf(timeout) > msOf(interval))
      this.#warn(['health', 'timeout'], `is more than interval (${interval}): checks that fail come later than that`);
    for (const key of HTTP_KEYS) {
      if (keys['path'] === undefined && keys[key] !== undefined) this.#fail(['health', key], 'needs path', true);
    }
    if (keys['method'] === 'HEAD' && keys['body'] !== undefined)
      this.#fail(['health', 'body'], 'cannot be had with method: HEAD', true);
  }

  #exactlyOne(path: DocumentPath, keys: Section, of: readonly string[]): void {
    const given = of.filter((key) => keys[key] !== undefined);
    if (given.length === 0) this.#fail(path, `needs one of ${of.join(', ')}`);
    if (given.length > 1) this.#fail(path, `has ${given.join(' and ')}; it can have one of them`);
  }

  #fail(path: DocumentPath, message: string, atKey = false): void {
    this.errors.push({ path: [...this.#path, ...path], message, atKey });
  }

  #warn(path: DocumentPath, message: string, atKey = false): void {
    this.warnings.push({ path: [...this.#path, ...path], message, atKey });
  }
}

/** An IPv6 address can be written in many ways. */
function oneSpelling(host: string): string {
  const bytes = Buffer.from(host, 'latin1');
  return host.includes(':') && readIPv6(bytes, 0, bytes.length, ip, 0) ? formatIPv6(ip, 0) : host;
}

const ip = new Uint8Array(16);

/** Milliseconds of a duration as written; of anything else 0. */
function msOf(value: unknown): number {
  const read = typeof value === 'string' ? parseDuration(value) : { value: 0 };
  return 'value' in read ? read.value : 0;
}

function wants(value: unknown): boolean {
  return value !== undefined && value !== 0 && value !== '0%';
}
