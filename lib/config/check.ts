// What the schema cannot see: references from one part of the document to another, and rules about keys that go together.
// Works on the document as written, so that these faults are told together with all others.

import { type Address, formatAddress, isLocal, isLoopback, unmapAddress } from '../base/address.ts';
import { didYouMean } from '../base/nearest.ts';
import { checkCluster, checkTryTime } from './check-cluster.ts';
import { checkRoutes } from './check-routes.ts';
import { checkTcpCluster } from './check-tcp.ts';
import { checkClusterTls, checkListenerTls } from './check-tls.ts';
import type { DocumentPath, Finding } from './error.ts';
import { readAddress } from './schema/values.ts';
import { type CheckResult, list, record } from './shape.ts';
import { seatCookie, splitCookie } from './sticky-cookie.ts';

/** Checks a whole document of any shape: what has the wrong type is passed over, since the schema reports it. */
export function checkDocument(document: unknown, folder: string): CheckResult {
  const check = new DocumentCheck(record(document), folder);
  check.run();
  return { errors: check.errors, warnings: check.warnings };
}

class DocumentCheck {
  readonly errors: Finding[] = [];
  readonly warnings: Finding[] = [];
  readonly #listeners: Readonly<Record<string, unknown>>;
  readonly #clusters: Readonly<Record<string, unknown>>;
  readonly #used = new Set<string>();
  /** Clusters whose exchanges or connections of HTTP somebody routes. */
  readonly #routed = new Set<string>();
  /** By cookie: the first cluster whose clients stay by it. */
  readonly #seats = new Map<string, string>();
  /** By port or path: who listens there already. */
  readonly #bound = new Map<string, { host: string; text: string; listener: string }[]>();

  readonly #admin: unknown;
  readonly #folder: string;

  constructor(document: Readonly<Record<string, unknown>>, folder: string) {
    this.#folder = folder;
    this.#admin = document['admin'];
    this.#listeners = record(document['listeners']);
    this.#clusters = record(document['clusters']);
  }

  run(): void {
    if (isRecord(this.#admin)) this.#adminListener(['admin'], this.#admin);
    for (const [name, listener] of Object.entries(this.#listeners)) {
      this.#name(['listeners', name], name);
      if (isRecord(listener)) this.#listener(['listeners', name], name, listener);
    }
    for (const [name, cluster] of Object.entries(this.#clusters)) {
      this.#name(['clusters', name], name);
      if (isRecord(cluster)) this.#cluster(['clusters', name], name, cluster);
      if (isRecord(cluster) && this.#used.has(name) && !this.#routed.has(name))
        this.errors.push(...checkTcpCluster(['clusters', name], cluster));
      if (!this.#used.has(name)) this.#warn(['clusters', name], 'is not used by any listener', true);
    }
    if (Object.keys(this.#listeners).length === 0 && isRecord(this.#listeners) && this.errors.length === 0) {
      this.#warn(['listeners'], 'is empty, so nothing will be accepted');
    }
  }

  #adminListener(path: DocumentPath, { bind, token }: Readonly<Record<string, unknown>>): void {
    if (typeof bind !== 'string') return;
    const address = readAddress(bind, false);
    if (!('fault' in address) && !isLocal(address) && token === undefined) {
      this.#fail([...path, 'bind'], 'is not of this machine alone, so it needs a token; or bind to 127.0.0.1:9901');
    }
    this.#bind([...path, 'bind'], '', bind);
  }

  #listener(path: DocumentPath, name: string, listener: Readonly<Record<string, unknown>>): void {
    const bind = listener['bind'];
    for (const [index, text] of list(bind).entries()) {
      if (typeof text === 'string')
        this.#bind(Array.isArray(bind) ? [...path, 'bind', index] : [...path, 'bind'], name, text);
    }
    const protocol = listener['protocol'] ?? 'http';
    const routes = Array.isArray(listener['routes']) ? listener['routes'] : [];
    this.#reference([...path, 'cluster'], listener['cluster']);
    if (protocol !== 'tcp') this.#pooled([...path, 'cluster'], listener['cluster']);
    this.#reference([...path, 'fallback'], listener['fallback']);
    for (const [server, cluster] of Object.entries(record(listener['passthrough']))) {
      this.#serverName([...path, 'passthrough', server], server);
      this.#reference([...path, 'passthrough', server], cluster);
    }
    const routed = checkRoutes([...path, 'routes'], routes);
    this.errors.push(...routed.errors);
    this.warnings.push(...routed.warnings);
    for (const [index, route] of routes.entries()) {
      this.#reference([...path, 'routes', index, 'cluster'], record(route)['cluster']);
      this.#pooled([...path, 'routes', index, 'cluster'], record(route)['cluster']);
      for (const name of Object.keys(record(record(record(route)['split'])['clusters']))) {
        this.#reference([...path, 'routes', index, 'split', 'clusters', name], name);
        this.#pooled([...path, 'routes', index, 'split', 'clusters', name], name);
      }
      this.#splitCookie([...path, 'routes', index, 'split', 'sticky', 'cookie'], record(record(route)['split']));
      const mirror = record(record(route)['mirror'])['cluster'];
      this.#reference([...path, 'routes', index, 'mirror', 'cluster'], mirror);
      this.#pooled([...path, 'routes', index, 'mirror', 'cluster'], mirror);
      this.#routeTogether([...path, 'routes', index], record(route));
    }
    if (protocol === 'tcp') this.#tcpListener(path, listener);
    else if (protocol === 'http' || protocol === 'auto') this.#httpListener(path, listener, protocol);
    this.#take(checkListenerTls([...path, 'tls'], listener['tls'], protocol, this.#folder));
    const trusted = list(listener['trustedProxies']).length > 0;
    const header = listener['proxyProtocol'];
    if ((header === 'accept' || header === 'require') && !trusted) {
      this.#fail(
        [...path, 'proxyProtocol'],
        `"${header}" needs trustedProxies: the addresses whose PROXY header is believed`,
      );
    }
  }

  /** One cookie cannot name a cluster and an endpoint. */
  #splitCookie(path: DocumentPath, { sticky, clusters }: Readonly<Record<string, unknown>>): void {
    if (!isRecord(sticky)) return;
    const cookie = sticky['cookie'] ?? splitCookie(Object.keys(record(clusters)));
    const twice = Object.keys(record(clusters)).find((name) => {
      const seat = record(this.#clusters[name])['sticky'];
      return isRecord(seat) && (seat['cookie'] ?? seatCookie(name)) === cookie;
    });
    if (twice !== undefined) this.#fail(path, `"${cookie}" is the cookie of cluster "${twice}" already; name another`);
  }

  /** What a route says against what its cluster says. */
  #routeTogether(path: DocumentPath, { cluster, split, mirror, retries }: Readonly<Record<string, unknown>>): void {
    const shadow = record(mirror)['cluster'];
    const clusters = typeof cluster === 'string' ? [cluster] : Object.keys(record(record(split)['clusters']));
    if (typeof shadow === 'string' && clusters.includes(shadow))
      this.#warn([...path, 'mirror', 'cluster'], `is where the route goes itself, so "${shadow}" gets requests twice`);
    // Of several clusters one that waits for longer is enough.
    const findings = clusters.map((name) =>
      checkTryTime([...path, 'retries'], record(retries), record(this.#clusters[name])),
    );
    if (findings.every(({ length }) => length > 0)) this.errors.push(...(findings[0] ?? []));
  }

  #take({ errors, warnings }: CheckResult): void {
    this.errors.push(...errors);
    this.warnings.push(...warnings);
  }

  #tcpListener(path: DocumentPath, listener: Readonly<Record<string, unknown>>): void {
    if (!has(listener, 'cluster')) this.#fail(path, 'needs cluster with protocol "tcp": where its connections go');
    for (const key of ['routes', 'forwarded'])
      if (has(listener, key))
        this.#fail([...path, key], 'has no meaning with protocol "tcp"; use "http" or "auto", or remove it', true);
    for (const key of ['head', 'idle', 'body'])
      if (has(record(listener['timeouts']), key)) {
        this.#fail([...path, 'timeouts', key], 'has no meaning with protocol "tcp"; only tunnel does', true);
      }
    for (const key of ['headBytes', 'headers', 'bodyBytes'])
      if (has(record(listener['limits']), key)) {
        this.#fail([...path, 'limits', key], 'has no meaning with protocol "tcp"; only connections does', true);
      }
    this.#autoOnly(path, listener, 'tcp');
  }

  #httpListener(path: DocumentPath, listener: Readonly<Record<string, unknown>>, protocol: 'http' | 'auto'): void {
    const routed = has(listener, 'routes');
    if (routed && has(listener, 'cluster')) {
      this.#fail(
        [...path, 'cluster'],
        'and routes exclude each other; make it the last route: "- cluster: NAME"',
        true,
      );
    }
    if (protocol === 'http') {
      if (!routed && !has(listener, 'cluster')) this.#fail(path, 'needs cluster or routes: what answers its requests');
      this.#autoOnly(path, listener, 'http');
    } else if (!['routes', 'cluster', 'fallback', 'passthrough'].some((key) => has(listener, key))) {
      this.#fail(path, 'needs routes, cluster, fallback or passthrough: what its connections are for');
    }
    if (routed && Array.isArray(listener['routes']) && listener['routes'].length === 0) {
      this.#warn([...path, 'routes'], 'is empty, so every request gets 404');
    }
  }

  #autoOnly(path: DocumentPath, listener: Readonly<Record<string, unknown>>, protocol: string): void {
    for (const key of ['fallback', 'detectTimeout', 'passthrough'])
      if (has(listener, key)) this.#fail([...path, key], `needs protocol "auto"; this listener is "${protocol}"`, true);
  }

  #cluster(path: DocumentPath, name: string, cluster: Readonly<Record<string, unknown>>): void {
    this.#take(checkClusterTls([...path, 'tls'], cluster['tls'], this.#folder));
    this.#seatCookie(path, name, cluster);
    this.#take(checkCluster(path, cluster));
  }

  /** Browsers keep one cookie of a name for all of a site. */
  #seatCookie(path: DocumentPath, name: string, { sticky }: Readonly<Record<string, unknown>>): void {
    if (!isRecord(sticky)) return;
    const cookie = String(sticky['cookie'] ?? seatCookie(name));
    const other = this.#seats.get(cookie);
    if (other === undefined) this.#seats.set(cookie, name);
    else
      this.#warn(
        [...path, 'sticky', 'cookie'],
        `is the cookie of cluster "${other}" too: on one site each would replace the other's`,
      );
  }

  #reference(path: DocumentPath, name: unknown): void {
    if (typeof name !== 'string' || name === '') return;
    this.#used.add(name);
    if (Object.hasOwn(this.#clusters, name)) return;
    const known = Object.keys(this.#clusters);
    const meant = didYouMean(name, known) || (known.length > 0 ? `; known: ${known.slice(0, 10).join(', ')}` : '');
    this.#fail(path, `there is no cluster "${name}"${meant || '; add it under clusters'}`);
  }

  /** HTTP shares connections among clients, and a PROXY header names one client for all of a connection. */
  #pooled(path: DocumentPath, name: unknown): void {
    if (typeof name !== 'string') return;
    this.#routed.add(name);
    const header = record(this.#clusters[name])['proxyProtocol'];
    if (header !== 'v1' && header !== 'v2') return;
    this.#fail(
      path,
      `cluster "${name}" has proxyProtocol "${header}", which HTTP cannot use: its connections serve many clients; the ` +
        'X-Forwarded fields name each one, or use protocol "tcp"',
    );
  }

  #bind(path: DocumentPath, listener: string, text: string): void {
    const address = readAddress(text, false);
    if ('fault' in address || (address.kind === 'tcp' && address.port === 0)) return;
    const host = hostKey(address);
    const key = address.kind === 'tcp' ? `:${address.port}` : formatAddress(address);
    const others = this.#bound.get(key) ?? [];
    const taken = others.find((other) => overlaps(other.host, host));
    if (taken !== undefined) {
      const whose =
        taken.listener === listener
          ? `this listener has ${taken.text} already`
          : `${taken.listener === '' ? 'admin' : `listener "${taken.listener}"`} has ${taken.text}`;
      this.#fail(path, `${formatAddress(address)} is taken: ${whose}`);
    } else this.#bound.set(key, [...others, { host, text: formatAddress(address), listener }]);
  }

  #name(path: DocumentPath, name: string): void {
    // `__proto__` is refused by name: libraries treat it specially.
    if (!/^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/.test(name)) {
      this.#fail(
        path,
        'is not a name: letters, digits, "-", "_" and ".", beginning with a letter or digit, at most 64',
        true,
      );
    }
  }

  #serverName(path: DocumentPath, name: string): void {
    if (name === '*') return;
    if (!/^(\*\.)?[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$/.test(name) || name.length > 255) {
      this.#fail(path, 'is not a server name; write db.example.com, *.example.com or * for every other', true);
    }
  }

  #fail(path: DocumentPath, message: string, atKey = false): void {
    this.errors.push({ path, message, atKey });
  }

  #warn(path: DocumentPath, message: string, atKey = false): void {
    this.warnings.push({ path, message, atKey });
  }
}

/** Modules may write `undefined` for a key that is not there. */
function has(map: Readonly<Record<string, unknown>>, key: string): boolean {
  return map[key] !== undefined;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function hostKey(address: Address): string {
  return unmapAddress(address.host.toLowerCase());
}

/** Whether two hosts on one port cannot both be bound: the same one, or one of them every interface. */
function overlaps(a: string, b: string): boolean {
  if (a === b || a === '' || b === '') return true;
  // What it means is decided by the resolver: mostly both.
  if ((a === 'localhost' && isLoopback(b)) || (b === 'localhost' && isLoopback(a))) return true;
  const v4 = (host: string): boolean => !host.includes(':');
  return (a === '0.0.0.0' && v4(b)) || (b === '0.0.0.0' && v4(a)) || (a === '::' && !v4(b)) || (b === '::' && !v4(a));
}
