// HTTP/1.1 towards an endpoint: one connection, one exchange at a time, reused while both sides keep it open. Parses
// replies and hands them to whoever uses the connection; which request goes where is decided in http/proxy.

import { dialError, type ProxyError, proxyError } from '../../base/errors.ts';
import type { Connection, Receiver } from '../../io/connection.ts';
import { dial } from '../../io/dial.ts';
import type { Cluster } from '../../upstream/cluster.ts';
import type { Endpoint } from '../../upstream/endpoint.ts';
import type { Poolable } from '../../upstream/pool.ts';
import { ResponseHead } from '../../wire/http1/head.ts';
import { memory, RESPONSE } from '../../wire/http1/llhttp.ts';
import {
  HEAD_BYTES_MAX,
  leaseParser,
  type MessageReceiver,
  Outcome,
  type Parser,
  releaseParser,
  Verdict,
} from '../../wire/http1/parser.ts';
import { crash } from '../blame.ts';
import type { Gathering, Guest } from '../gathering.ts';
import { UpstreamSession } from '../h2/upstream.ts';
import type { Upstream, UpstreamUser } from '../upstream.ts';
import { sendChunk, sendLastChunk } from './chunks.ts';

/** Replies are limited too: an origin may be as hostile as a client. */
const LIMITS = { headBytes: HEAD_BYTES_MAX, headers: 1000 };

/** Interim heads before the final one; nobody sends more than a few, and each costs the client. */
const INTERIM_HEADS = 64;

// Heads are borrowed, so one object serves all connections.
const head = new ResponseHead();

export class UpstreamConnection implements Upstream, Receiver, MessageReceiver, Poolable {
  readonly connection: Connection;
  readonly endpoint: Endpoint;
  readonly multiplexed = false;
  reused = false;
  blamed = false;
  /** Whether any byte of the reply has arrived. */
  replying = false;
  /** Else the connection cannot be reused. */
  requestComplete = false;
  readonly #cluster: Cluster;
  #user: UpstreamUser | null;
  #parser: Parser | null = null;
  #connected = false;
  #bodyless = false;
  #upgrading: boolean;
  /** Who else waits for it while it is dialed; null when nobody can. */
  #gathering: Gathering | null;
  /** Whether it serves nobody but its first user. */
  readonly #alone: boolean;
  #chunked = false;
  #switching = false;
  #interim = false;
  #interims = 0;
  #served = 0;
  readonly #bornMs: number;
  readonly #era: number;
  /** How often something had been handed to the kernel when the exchange began. */
  #pushes = 0;

  /**
   * Begins to connect for `user`, who is told by `connected` or `failed`. `upgrading`: for a request that only HTTP/1.1 can
   * carry. `alone`: nobody else is to use it.
   */
  constructor(
    cluster: Cluster,
    endpoint: Endpoint,
    user: UpstreamUser,
    upgrading: boolean,
    gathering: Gathering | null = null,
    alone = false,
  ) {
    this.#gathering = gathering;
    this.#alone = alone;
    this.endpoint = endpoint;
    this.#upgrading = upgrading;
    this.#cluster = cluster;
    this.#user = user;
    // By chance up to a tenth older or younger, so that those that were opened together are not closed together.
    const { maxAgeMs } = cluster.options.pool;
    this.#bornMs = maxAgeMs === 0 ? 0 : performance.now() + maxAgeMs * (Math.random() * 0.2 - 0.1);
    this.#era = endpoint.pool.era;
    endpoint.pool.opened();
    this.connection = dial(endpoint.address, this, cluster.options.dial);
    this.connection.expireIn(cluster.options.timeouts.connectMs);
  }

  begin(user: UpstreamUser, bodyless: boolean, upgrading: boolean, chunked: boolean): void {
    this.#user = user;
    this.#chunked = chunked;
    this.#bodyless = bodyless;
    this.#upgrading = upgrading;
    this.replying = false;
    this.requestComplete = false;
    this.#switching = false;
    this.#interims = 0;
    this.#pushes = this.connection.pushes;
  }

  get blocked(): boolean {
    return this.connection.blocked;
  }

  sendHead(bytes: Uint8Array, start: number, end: number): void {
    this.connection.send(bytes, start, end);
  }

  send(bytes: Uint8Array, start: number, end: number): boolean {
    return this.#chunked ? sendChunk(this.connection, bytes, start, end) : this.connection.send(bytes, start, end);
  }

  sendEnd(trailers: Buffer): void {
    if (this.#chunked) sendLastChunk(this.connection, trailers);
  }

  pause(): void {
    this.connection.pause();
  }

  resume(): void {
    this.connection.resume();
  }

  expireIn(ms: number): void {
    this.connection.expireIn(ms);
  }

  progressed(): boolean {
    return this.connection.progressed();
  }

  /** Whether the kernel refused the request as a whole when it was to be sent: then nobody has seen any of it. */
  refusedRequest(error: ProxyError): boolean {
    return error.detail === 'EPIPE' && this.connection.pushes === this.#pushes + 1;
  }

  replace(from: UpstreamUser, to: UpstreamUser): void {
    if (this.#user === from) this.#user = to;
    else this.#gathering?.replace(from, to as Guest);
  }

  /** Closes the connection, since nobody knows where the next reply would begin; not one that others wait for. */
  abandon(user: UpstreamUser | null): void {
    const gathering = this.#gathering;
    if (gathering !== null) {
      if (user !== null && user !== this.#user) return gathering.leave(user);
      this.#user = gathering.next();
      if (this.#user !== null) return;
      gathering.close();
    }
    this.#user = null;
    this.#dispose();
    this.connection.destroy();
    this.#left();
  }

  park(): void {
    this.#user = null;
    // Dialed before its endpoint moved.
    if (this.#era !== this.endpoint.pool.era) return this.retire();
    this.connection.expireIn(this.#cluster.options.pool.idleTimeoutMs);
    this.endpoint.pool.give(this);
    this.#cluster.wake();
  }

  retire(): void {
    this.#dispose();
    this.connection.close();
    this.#left();
  }

  connected(): void {
    const { tls } = this.#cluster;
    if (tls === null) return this.#begun(this.#cluster.options.protocol === 'h2');
    const { connection, endpoint } = this;
    tls.begin(connection, endpoint.name, endpoint.host, this.#upgrading, {
      secured: (protocol) => {
        connection.receiver = this;
        this.#begun(protocol === 'h2');
      },
      insecure: (cause) => this.#fail(proxyError('tls_failed', cause)),
    });
  }

  #begun(multiplexed: boolean): void {
    const user = this.#user;
    const gathering = this.#gathering;
    const { pool } = this.endpoint;
    this.#connected = true;
    this.connection.expireIn(0);
    if (this.#cluster.multiplexes && !this.#upgrading) pool.single = !multiplexed;
    if (!multiplexed) {
      this.#gathering = null;
      gathering?.close();
      try {
        user?.connected(this);
      } finally {
        gathering?.dissolve();
      }
      return;
    }
    // The connection is the session's from here on, and so is its place in the pool.
    this.#user = null;
    this.#counted = false;
    const session = new UpstreamSession(this.connection, this.#cluster, this.endpoint, this.#bornMs, gathering);
    const stream = user === null ? null : session.open();
    // Its first stream before that: a pool that keeps nothing more would close it at once. Not one that was dialed before
    // its endpoint moved.
    if (this.#alone || this.#era !== pool.era) session.retire();
    else pool.admit(session);
    if (stream !== null) user!.connected(stream);
  }

  received(start: number, end: number): void {
    // Nothing was asked: whatever this is, it answers no request of ours.
    if (this.#user === null) return this.abandon(null);
    this.replying = true;
    let at = start;
    while (at < end) {
      this.#parser ??= leaseParser(RESPONSE, this, LIMITS);
      const parser = this.#parser;
      if (parser === null) return this.#fail(proxyError('overloaded'));
      const outcome = parser.execute(at, end);
      if (this.connection.gone) return;
      if (outcome === Outcome.MORE) {
        if (parser.inBody && !this.connection.paused) this.connection.expireIn(this.#cluster.options.timeouts.idleMs);
        return;
      }
      if (outcome === Outcome.FAULT) return this.#fail(parser.fault!);
      at = parser.position;
      if (this.#interim) this.#dispose();
      else if (this.#switching) return this.#switch(at, end);
      else return this.#finish(parser, at === end);
    }
  }

  finished(): void {
    if (this.#user === null) return this.retire();
    const parser = this.#parser;
    // RFC 9112 6.3: without a length, the end of the connection is the end of the body.
    if (parser?.inBody && parser.finish() === Outcome.DONE) return this.#finish(parser, false);
    this.#fail(proxyError(this.replying ? 'response_cut' : 'origin_closed', 'end of stream'));
  }

  drained(): void {
    this.#user?.drained();
  }

  closed(error: NodeJS.ErrnoException | null): void {
    const cause = error?.code ?? 'closed';
    if (!this.#connected && error !== null) this.#fail(dialError(error));
    else this.#fail(proxyError(this.replying ? 'response_cut' : 'origin_closed', cause));
  }

  expired(): void {
    if (this.#user === null) return this.retire();
    if (!this.#connected) return this.#fail(proxyError('connect_timeout'));
    const error = this.#user.expired();
    if (error !== null) this.#fail(error);
  }

  crashed(error: unknown): void {
    this.#fail(crash(error));
  }

  onHead(parser: Parser): number {
    const fault = head.read(parser);
    if (fault !== null) {
      parser.fault = fault;
      return Verdict.REFUSE;
    }
    const { status } = head;
    this.#interim = status < 200 && status !== 101;
    if (this.#interim && ++this.#interims > INTERIM_HEADS) {
      parser.fault = proxyError('bad_response', `more than ${INTERIM_HEADS} interim heads`);
      return Verdict.REFUSE;
    }
    if (status === 101) {
      if (!this.#upgrading || !head.upgrade || !this.requestComplete) {
        parser.fault = proxyError('bad_response', '101 without a request for another protocol');
        return Verdict.REFUSE;
      }
      this.#switching = true;
    }
    // The parser does not know yet that no body follows, and takes a head without a length for one that ends with the
    // connection.
    if (this.#bodyless) parser.persistent = head.minor === 1 ? !head.close : head.keepAlive;
    const empty = this.#bodyless || status === 204 || status === 304 || status === 101 || head.contentLength === 0;
    this.#user?.replyHead(head, empty || this.#interim);
    // RFC 9112 6.3: every 1xx ends with its head, whatever that says; llhttp knows only the first few.
    return this.#bodyless || this.#interim ? Verdict.NO_BODY : Verdict.GO_ON;
  }

  onBody(start: number, end: number): void {
    this.#user?.replyData(memory, start, end);
  }

  /** The reply is complete. `clean`: nothing came behind it. */
  #finish(parser: Parser, clean: boolean): void {
    const user = this.#user!;
    const reusable =
      !this.#spent() &&
      clean &&
      parser.persistent &&
      this.requestComplete &&
      !this.connection.finished &&
      !this.connection.blocked;
    const trailers = parser.trailing ? parser.fields : null;
    this.#user = null;
    this.#parser = null;
    // First the connection, then the news: the user may ask for a connection at once and should get this one.
    if (reusable) {
      this.reused = true;
      const { connection } = this;
      connection.settle();
      connection.resume();
      connection.expireIn(this.#cluster.options.pool.idleTimeoutMs);
      this.endpoint.pool.give(this);
    } else {
      this.connection.close();
      this.#left();
    }
    try {
      user.replied(trailers);
    } catch (error) {
      // The connection may be in the pool by now: the exception is the user's affair alone.
      user.failed(crash(error));
    } finally {
      releaseParser(parser);
    }
    if (reusable) this.#cluster.wake();
  }

  /** Whether it has served for long enough. */
  #spent(): boolean {
    if (this.#era !== this.endpoint.pool.era) return true;
    const { maxAgeMs, maxRequests } = this.#cluster.options.pool;
    this.#served++;
    if (maxRequests > 0 && this.#served >= maxRequests) return true;
    return maxAgeMs > 0 && performance.now() - this.#bornMs > maxAgeMs;
  }

  #switch(start: number, end: number): void {
    const user = this.#user!;
    this.#user = null;
    this.#dispose();
    // The connection belongs to the tunnel now, and counts as closed for the pool.
    this.connection.expireIn(0);
    this.#left();
    user.switched(this.connection, start, end);
  }

  #fail(error: ProxyError): void {
    const user = this.#user;
    this.#user = null;
    this.#dispose();
    this.connection.destroy();
    const gathering = this.#gathering;
    this.#gathering = null;
    gathering?.close();
    const counted = this.#uncount();
    // The user first: if it tries again, it has been waiting longer than anybody in the queue.
    try {
      user?.failed(error);
    } finally {
      gathering?.failed(error);
    }
    if (counted) this.#cluster.wake();
  }

  #dispose(): void {
    if (this.#parser === null) return;
    releaseParser(this.#parser);
    this.#parser = null;
  }

  #counted = true;

  /** The pool has one connection less: there may be room for somebody who waits. */
  #left(): void {
    if (this.#uncount()) this.#cluster.wake();
  }

  /** Counts the connection out, once; answers whether it was counted. */
  #uncount(): boolean {
    if (!this.#counted) return false;
    this.#counted = false;
    this.endpoint.pool.closed(this);
    return true;
  }
}
