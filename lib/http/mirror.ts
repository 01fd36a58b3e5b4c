// Copies of some requests for a cluster that is only to see them. They are sent when the request is whole, their replies
// are dropped, and nothing that happens to them reaches the client or slows it: what cannot be sent at once is left out.

import { type ProxyError, proxyError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { Connection } from '../io/connection.ts';
import type { Cluster } from '../upstream/cluster.ts';
import type { Endpoint } from '../upstream/endpoint.ts';
import type { Fields } from '../wire/fields.ts';
import type { RequestHead, ResponseHead } from '../wire/http1/head.ts';
import { memory } from '../wire/http1/llhttp.ts';
import { Method } from '../wire/http1/method.ts';
import { hashOf } from './affinity.ts';
import { blame } from './blame.ts';
import type { Action, Exchange } from './exchange.ts';
import type { Guest } from './gathering.ts';
import { Kept } from './kept.ts';
import { leaseDialed, leaseOpen } from './lease.ts';
import { writeRequestHead, written } from './request-writer.ts';
import type { Sink } from './sink.ts';
import { trailerLines } from './trailers.ts';
import type { Upstream } from './upstream.ts';

/** Copies under way at once; when the shadow is slower than that, it sees less. */
const MOST_UNDERWAY = 256;

/** Counts of one route's copies. */
interface Copies {
  underway: number;
}

/** As `action`, with a copy of `share` (0 to 1) of the requests for `cluster`. */
export function mirrored(action: Action, cluster: Cluster, share: number, log: Log): Action {
  const copies: Copies = { underway: 0 };
  return {
    begin(exchange) {
      const sink = action.begin(exchange);
      if (exchange.upgrading || Math.random() >= share) return sink;
      if (copies.underway >= MOST_UNDERWAY) {
        cluster.stats.copiesDropped++;
        return sink;
      }
      return new Tee(sink, exchange, cluster, copies, log);
    },
  };
}

/** Passes a request on as it is, and keeps a copy until it is whole. */
class Tee implements Sink<RequestHead> {
  readonly #sink: Sink<RequestHead>;
  readonly #exchange: Exchange;
  readonly #cluster: Cluster;
  readonly #copies: Copies;
  readonly #log: Log;
  /** Null once there is nothing to be copied any more. */
  #kept: Kept | null = new Kept();
  #chunked = false;
  #bodyless = false;
  /** What the shadow's picker goes by. */
  #hash = 0;

  constructor(sink: Sink<RequestHead>, exchange: Exchange, cluster: Cluster, copies: Copies, log: Log) {
    this.#sink = sink;
    this.#exchange = exchange;
    this.#cluster = cluster;
    this.#copies = copies;
    this.#log = log;
  }

  head(head: RequestHead, last: boolean): boolean {
    this.#chunked = head.chunked;
    this.#bodyless = this.#exchange.method === Method.HEAD;
    const { hash, host } = this.#cluster.options;
    if (hash !== null) this.#hash = hashOf(this.#exchange, hash);
    // What waits for a word of the endpoint may never come.
    if (head.expectsContinue || writeRequestHead(this.#exchange, host) !== null) this.#kept = null;
    else this.#kept!.head(memory, written.start, written.end, written.gap, last);
    const taken = this.#sink.head(head, last);
    if (last) this.#send();
    return taken;
  }

  data(bytes: Uint8Array, start: number, end: number): boolean {
    if (this.#kept !== null && !this.#kept.data(bytes, start, end, false)) this.#kept = null;
    return this.#sink.data(bytes, start, end);
  }

  end(trailers: Fields | null): void {
    this.#kept?.end(trailerLines(trailers, this.#exchange.route.rewrite?.request ?? null));
    this.#sink.end(trailers);
    this.#send();
  }

  abort(error: ProxyError): void {
    this.#kept = null;
    this.#sink.abort(error);
  }

  #send(): void {
    const kept = this.#kept;
    this.#kept = null;
    const endpoint = kept === null ? null : this.#cluster.pickAvailable([], this.#hash, kept);
    if (kept === null || endpoint === null) {
      this.#cluster.stats.copiesDropped++;
      return;
    }
    this.#cluster.stats.copies++;
    const copy = new Copy(kept, this.#hash, this.#chunked, this.#bodyless, this.#cluster, this.#copies, this.#log);
    try {
      copy.send(endpoint);
    } catch (error) {
      copy.cancel();
      this.#log.limited('mirror', 1000).error('copy of a request not sent', { cluster: this.#cluster.name, error });
    }
  }
}

/** One copy on its way. */
class Copy implements Guest {
  /** Also what its endpoint is picked for. */
  readonly #kept: Kept;
  readonly #hash: number;
  readonly #chunked: boolean;
  readonly #bodyless: boolean;
  readonly #cluster: Cluster;
  readonly #copies: Copies;
  readonly #log: Log;
  #endpoint: Endpoint | null = null;
  #upstream: Upstream | null = null;
  /** When it was sent, where that is measured. */
  #sentMs = 0;

  constructor(
    kept: Kept,
    hash: number,
    chunked: boolean,
    bodyless: boolean,
    cluster: Cluster,
    copies: Copies,
    log: Log,
  ) {
    this.#kept = kept;
    this.#hash = hash;
    this.#chunked = chunked;
    this.#bodyless = bodyless;
    this.#cluster = cluster;
    this.#copies = copies;
    this.#log = log;
  }

  send(endpoint: Endpoint): void {
    this.#endpoint = endpoint;
    endpoint.enter();
    endpoint.stats.exchanges++;
    this.#copies.underway++;
    const upstream = leaseOpen(endpoint, false);
    if (upstream !== null) this.connected(upstream);
    else this.#upstream = leaseDialed(this.#cluster, endpoint, this, false);
  }

  /** Something has gone wrong with us: as if it had never been. */
  cancel(): void {
    this.#cluster.stats.copiesFailed++;
    this.#upstream?.abandon(this);
    if (this.#endpoint !== null) this.#cluster.undecided(this.#endpoint, this.#kept);
    this.#end();
  }

  anew(): void {
    this.#cluster.undecided(this.#endpoint!, this.#kept);
    this.#end();
    const endpoint = this.#cluster.pickAvailable([], this.#hash, this.#kept);
    if (endpoint !== null) this.send(endpoint);
    else this.#cluster.stats.copiesFailed++;
  }

  connected(upstream: Upstream): void {
    this.#upstream = upstream;
    this.#sentMs = this.#cluster.measures ? performance.now() : 0;
    upstream.begin(this, this.#bodyless, false, this.#chunked);
    this.#kept.send(upstream);
    upstream.requestComplete = true;
    upstream.expireIn(this.#cluster.options.timeouts.responseMs);
  }

  replyHead(head: ResponseHead): void {
    const { status } = head;
    if (status < 200) return;
    this.#cluster.answered(this.#endpoint!, status, this.#sentMs === 0 ? 0 : performance.now() - this.#sentMs);
  }

  replyData(): void {}

  replied(): void {
    this.#end();
  }

  switched(connection: Connection): void {
    connection.destroy();
    this.#end();
  }

  drained(): void {}

  failed(error: ProxyError): void {
    const endpoint = this.#endpoint;
    if (endpoint === null) return;
    this.#cluster.stats.copiesFailed++;
    blame(this.#cluster, endpoint, this.#upstream, error, this.#kept);
    this.#end();
    const told = { cluster: this.#cluster.name, endpoint: endpoint.name, cause: error.code, detail: error.detail };
    this.#log.limited(`mirror ${error.code}`, 1000).warn('copy of a request not answered', told);
  }

  expired(): ProxyError | null {
    return proxyError('response_timeout');
  }

  #end(): void {
    if (this.#endpoint === null) return;
    this.#endpoint.leave();
    this.#endpoint = null;
    this.#upstream = null;
    this.#copies.underway--;
    if (this.#cluster.capped) this.#cluster.wake();
  }
}
