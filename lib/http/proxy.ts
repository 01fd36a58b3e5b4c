// The action that passes an exchange on to a cluster: picks an endpoint, gets a connection, sends the request, passes
// the reply back, and tries again where that is safe. What the bytes look like is left to the writers and to h1.

import { type ProxyError, proxyError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { Queue, Queued } from '../base/queue.ts';
import type { RetryCause, RetryOptions } from '../base/retries.ts';
import { type Connection, wheel } from '../io/connection.ts';
import { flush } from '../io/send.ts';
import { Timed } from '../io/wheel.ts';
import type { Cluster, Waiter } from '../upstream/cluster.ts';
import type { Endpoint } from '../upstream/endpoint.ts';
import type { Fields } from '../wire/fields.ts';
import type { RequestHead, ResponseHead } from '../wire/http1/head.ts';
import { memory } from '../wire/http1/llhttp.ts';
import { Method } from '../wire/http1/method.ts';
import { cookieOf, hashOf } from './affinity.ts';
import { blame, crash } from './blame.ts';
import type { Action, Exchange } from './exchange.ts';
import { Hedge, type Hedged } from './hedge.ts';
import { Kept } from './kept.ts';
import { leaseDialed, leaseOpen } from './lease.ts';
import { badStatus, causeOf, isIdempotent, retryAfterMs } from './repeat.ts';
import { writeRequestHead, written } from './request-writer.ts';
import { Resting } from './resting.ts';
import type { Sink, Source } from './sink.ts';
import { trailerLines } from './trailers.ts';
import type { Upstream } from './upstream.ts';

/** Endpoints tried for one exchange while connections are refused or not accepted in time; each once. */
const DIALS = 10;

/** Passes exchanges on to `cluster`; `retries` stands in for the cluster's own. */
export function proxied(cluster: Cluster, log: Log, retries: RetryOptions | null = null): Action {
  return {
    begin(exchange) {
      const passage = free.pop() ?? new Passage();
      passage.begin(exchange, cluster, retries ?? cluster.options.retries, log);
      return passage;
    },
  };
}

const free: Passage[] = [];

/** One exchange on its way through. Pooled; it is free again when request and reply are both over. */
class Passage extends Timed implements Sink<RequestHead>, Source, Hedged, Waiter {
  queue: Queue | null = null;
  ahead: Queued | null = null;
  behind: Queued | null = null;

  #exchange: Exchange | null = null;
  #cluster: Cluster = null as never;
  #log: Log = null as never;
  #endpoint: Endpoint | null = null;
  /** Where dials have failed. */
  readonly #tried: Endpoint[] = [];
  /** Which of them were tried for what they answered: they may be asked again when no other has room. */
  readonly #answering: Endpoint[] = [];
  /** Which of them have asked to be left alone. */
  readonly #resting = new Resting();
  #upstream: Upstream | null = null;
  /** The request so far: what waits for a connection, and what may have to be sent again. */
  readonly #kept = new Kept();
  #keeping = false;
  #connected = false;
  /** Once a pooled connection has died under it, or a stream was refused. */
  #retried = false;
  #policy: RetryOptions = null as never;
  /** Tries after the first that policy and budget have allowed. */
  #attempts = 0;
  /** Whether it counts among those that are tried again. */
  #inBudget = false;
  /** Whether sending it twice does no harm. */
  #repeatable = false;
  #backoff: NodeJS.Timeout | null = null;
  /** Whether a second copy may be sent beside the first, if that takes long; when; and what came of it. */
  #hedgeable = false;
  #hedgeTimer: NodeJS.Timeout | null = null;
  #hedge: Hedge | null = null;
  #hash = 0;
  /** The endpoint that the client's cookie names. */
  #bound: Endpoint | null = null;
  /** When it was sent, where that is measured. */
  #sentMs = 0;
  #chunked = false;
  #requestOver = false;
  #replyOver = false;
  #replyBegun = false;
  #paused = false;
  #requestPaused = false;
  /** The client holds its body back until the endpoint says something. */
  #awaitsContinue = false;
  /** Whether the reply's head was all there was to pass on. */
  #bodyless = false;

  begin(exchange: Exchange, cluster: Cluster, retries: RetryOptions, log: Log): void {
    this.#exchange = exchange;
    this.#cluster = cluster;
    this.#log = log;
    this.#keeping = false;
    this.#connected = false;
    this.#retried = false;
    this.#policy = retries;
    this.#attempts = 0;
    this.#hash = 0;
    this.#bound = null;
    this.#chunked = false;
    this.#requestOver = false;
    this.#replyOver = false;
    this.#replyBegun = false;
    this.#paused = false;
    this.#requestPaused = false;
    this.#awaitsContinue = false;
    this.#endpoint = null;
    this.#tried.length = 0;
    this.#answering.length = 0;
    if (this.#resting.size > 0) this.#resting.clear();
    exchange.reply.source = this;
    cluster.begun(retries.budget);
  }

  // The request, from the client.

  head(head: RequestHead, last: boolean): boolean {
    const exchange = this.#exchange!;
    const { host, hash } = this.#cluster.options;
    const { sticky } = this.#cluster;
    if (hash !== null) this.#hash = hashOf(exchange, hash);
    if (sticky !== null) this.#bound = sticky.find(cookieOf(exchange, sticky.options.cookie));
    this.#repeatable = this.#policy.attempts > 0 && (this.#policy.unsafe || isIdempotent(exchange.method));
    this.#hedgeable = last && this.#policy.hedgeMs > 0 && this.#repeatable && this.#isUnboundRead();
    this.#chunked = head.chunked;
    this.#requestOver = last;
    this.#awaitsContinue = head.expectsContinue && head.minor === 1;
    const refusal = writeRequestHead(exchange, host);
    if (refusal !== null) {
      this.#giveUp(proxyError(refusal, 'with what is added and rewritten'));
      return true;
    }
    const { start, end, gap } = written;
    const upstream = this.#acquire();
    if (upstream === null) {
      if (this.#replyOver) return true;
      this.#requestPaused = !last;
      this.#keeping = true;
      this.#kept.head(memory, start, end, gap, last);
      return last;
    }
    // It may have died since it was last used; then a request that can be repeated is sent once more.
    this.#keeping = true;
    this.#kept.head(memory, start, end, gap, last);
    this.#start(upstream);
    if (gap < 0) upstream.sendHead(memory, start, end, last);
    else this.#kept.send(upstream);
    this.#progress(upstream);
    return true;
  }

  data(bytes: Uint8Array, start: number, end: number): boolean {
    if (this.#replyOver) return true;
    // Without a connection the piece must be kept; the source is paused after it, so there is only one.
    if (this.#keeping && !this.#kept.data(bytes, start, end, !this.#connected)) this.#forget();
    const upstream = this.#upstream;
    if (upstream === null || !this.#connected) {
      this.#requestPaused = true;
      return false;
    }
    const taken = upstream.send(bytes, start, end);
    this.#requestPaused = !taken;
    this.#progress(upstream);
    return taken;
  }

  end(trailers: Fields | null): void {
    this.#requestOver = true;
    if (this.#replyOver) return this.#release();
    const lines = trailerLines(trailers, this.#exchange!.route.rewrite?.request ?? null);
    if (this.#keeping) this.#kept.end(lines);
    const upstream = this.#upstream;
    if (upstream === null || !this.#connected) return;
    upstream.sendEnd(lines);
    this.#progress(upstream);
  }

  abort(error: ProxyError): void {
    this.#requestOver = true;
    if (!this.#replyOver) {
      this.#replyOver = true;
      this.#detach();
      this.#log.debug('request given up', { cluster: this.#cluster.name, cause: error.code });
    }
    this.#release();
  }

  // The reply, from the endpoint.

  pause(): void {
    this.#paused = true;
    const upstream = this.#upstream;
    if (upstream === null || !this.#connected) return;
    upstream.pause();
    // The client's own limit holds while it does not read; an endpoint that has yet to answer keeps its own.
    if (this.#replyBegun) upstream.expireIn(0);
  }

  resume(): void {
    this.#paused = false;
    const upstream = this.#upstream;
    if (upstream === null || !this.#connected) return;
    upstream.resume();
    if (this.#replyBegun) upstream.expireIn(this.#cluster.options.timeouts.idleMs);
  }

  replyHead(head: ResponseHead, last: boolean): void {
    const { reply } = this.#exchange!;
    if (head.status >= 200 || head.status === 101) {
      if (this.#judgeReply(head)) return;
      this.#dropHedge(true);
      this.#replyBegun = true;
      this.#keeping = false;
    }
    const interim = head.status < 200;
    const { sticky } = this.#cluster;
    if (sticky !== null && !interim && this.#bound !== this.#endpoint && !this.#isOnlyBusy())
      reply.added += sticky.line(this.#endpoint!, this.#exchange!.client.scheme === 'https');
    if (this.#awaitsContinue) {
      this.#awaitsContinue = false;
      this.#progress(this.#upstream!);
    }
    this.#bodyless = last && !interim;
    if (!reply.head(head, this.#bodyless)) this.pause();
  }

  replyData(bytes: Uint8Array, start: number, end: number): void {
    if (!this.#exchange!.reply.data(bytes, start, end)) this.pause();
  }

  replied(trailers: Fields | null): void {
    const { reply } = this.#exchange!;
    this.#upstream = null;
    this.#leaveEndpoint();
    this.#replyOver = true;
    const whole = this.#requestOver;
    reply.source = null;
    if (!this.#bodyless) reply.end(trailers);
    // If the request went on, its end or abort comes later and releases us.
    if (whole) this.#release();
  }

  switched(connection: Connection, start: number, end: number): void {
    const { reply } = this.#exchange!;
    const endpoint = this.#endpoint!;
    const cluster = this.#cluster;
    this.#upstream = null;
    this.#endpoint = null;
    this.#replyOver = true;
    reply.source = null;
    endpoint.becomeTunnel();
    reply.tunnel(connection, start, end, () => {
      endpoint.leaveTunnel();
      cluster.wake();
    });
    this.#requestOver = true;
    this.#release();
    if (cluster.capped) cluster.wake();
  }

  drained(): void {
    const upstream = this.#upstream;
    if (upstream === null) return;
    this.#progress(upstream);
    this.#resumeRequest();
  }

  failed(error: ProxyError): void {
    const upstream = this.#upstream;
    const endpoint = this.#endpoint;
    if (upstream === null || endpoint === null) {
      // Thrown while the end of the reply was passed on: the endpoint has nothing more to do with it.
      this.#log.error('exchange failed', { detail: error.detail, request: this.#exchange!.id() });
      return this.#giveUp(error);
    }
    const cluster = this.#cluster;
    this.#upstream = null;
    this.#endpoint = null;
    // An endpoint may wait for a body that its client withholds: else clients could put it aside.
    const withheld = this.#awaitsContinue && !this.#requestOver;
    if (withheld && error.code === 'response_timeout') cluster.undecided(endpoint, this);
    else blame(cluster, endpoint, upstream, error, this);
    endpoint.leave();
    this.#goOn(upstream, endpoint, error);
    // Its place under a cap is its own as long as it goes on at once.
    if (cluster.capped) cluster.wake();
  }

  /** What comes after a failure: another endpoint, another try, or the end. */
  #goOn(upstream: Upstream, endpoint: Endpoint, error: ProxyError): void {
    const refused = error.kind.retry === 'always';
    if (this.#hedge !== null) {
      this.#tell('no answer from endpoint, another has been asked', endpoint, error);
      this.#tried.push(endpoint);
      return this.#adopt(this.#hedge);
    }
    this.#stopHedgeTimer();
    // What has been sent and not kept cannot be sent to another.
    const repeatable = refused && (!this.#connected || this.#keeping);
    // One endpoint may refuse a stream for a moment and take the next.
    const again = error.code === 'stream_refused' && !this.#retried;
    if (repeatable && (again || this.#tried.length + 1 < Math.min(DIALS, this.#cluster.endpoints.length))) {
      this.#tell('endpoint not reached, trying another', endpoint, error);
      this.#retried ||= again;
      this.#connected = false;
      this.#tried.push(endpoint);
      return this.proceed();
    }
    // A pooled connection that dies before it answers was most likely closed by the origin while the request was on
    // its way (RFC 9112 9.3.1): once, on a fresh connection, if repeating can do no harm.
    const harmless = isIdempotent(this.#exchange!.method) || upstream.refusedRequest(error);
    if (error.kind.retry === 'unsent' && upstream.reused && this.#keeping && !this.#retried && harmless) {
      this.#retried = true;
      this.#connected = false;
      // Elsewhere if possible: an origin that is being stopped closes its connections first and its port last, so
      // a fresh connection to it would still be accepted, and then reset.
      this.#tried.push(endpoint);
      const other = this.#cluster.pick(this.#tried, this.#hash, this);
      if (other?.pool.roomy && !this.#isResting(other)) return this.#dial(other);
      if (other !== null) this.#cluster.undecided(other, this);
      // Its place may have been taken meanwhile, or it may be out of use.
      return endpoint.standing.eligible && endpoint.pool.roomy ? this.#dial(endpoint) : this.proceed();
    }
    if (this.#tryAgain(endpoint, causeOf(error), repeatable)) {
      this.#tell('no answer from endpoint, trying again', endpoint, error);
      return;
    }
    this.#tell(error.code === 'internal' ? 'exchange failed' : 'no answer from endpoint', endpoint, error);
    this.#giveUp(error);
  }

  /** What a final reply says about the endpoint; true when another try is made in its place. */
  #judgeReply(head: ResponseHead): boolean {
    const endpoint = this.#endpoint!;
    const { status } = head;
    const cluster = this.#cluster;
    cluster.answered(endpoint, status, this.#sentMs === 0 ? 0 : performance.now() - this.#sentMs);
    if (this.accepts(status)) return false;
    this.#rest(endpoint, retryAfterMs(head, Date.now()));
    if (this.#hedge !== null) {
      this.#abandonFirst();
      this.#tell('endpoint answers with an error, another has been asked', endpoint, badStatus(status));
      this.#tried.push(endpoint);
      this.#adopt(this.#hedge);
      return true;
    }
    if (this.#restMs() > this.#policy.longestBackoffMs) return false;
    const upstream = this.#upstream!;
    if (!this.#mayTryAgain()) return false;
    this.#upstream = null;
    this.#leaveEndpoint();
    upstream.abandon(this);
    this.#tell('endpoint answers with an error, trying again', endpoint, badStatus(status));
    this.#answering.push(endpoint);
    this.#waitAndTry(endpoint);
    return true;
  }

  /** `unseen`: nothing of the request has reached it. */
  #tryAgain(endpoint: Endpoint, cause: RetryCause | null, unseen: boolean): boolean {
    if (cause === null || !this.#policy.on.has(cause)) return false;
    if (this.#restMs() > this.#policy.longestBackoffMs || !this.#mayTryAgain(unseen)) return false;
    this.#waitAndTry(endpoint);
    return true;
  }

  /** Whether policy and budget allow one more; then it is begun. */
  #mayTryAgain(unseen = false): boolean {
    if (!(this.#repeatable || unseen) || !this.#keeping || this.#attempts >= this.#policy.attempts) return false;
    if (!this.#cluster.beginRetry(this.#inBudget)) return false;
    this.#inBudget = true;
    this.#attempts++;
    return true;
  }

  #waitAndTry(endpoint: Endpoint): void {
    endpoint.stats.retries++;
    this.#stopHedgeTimer();
    this.#connected = false;
    this.#tried.push(endpoint);
    const { backoffMs, longestBackoffMs } = this.#policy;
    const most = Math.min(backoffMs * 2 ** (this.#attempts - 1), longestBackoffMs);
    // Timers may be early by a part of a millisecond.
    const restMs = this.#resting.size === 0 ? 0 : Math.ceil(this.#restMs()) + 1;
    // Somewhere between none and all, so that what failed together does not come back together.
    const pauseMs = Math.max(Math.random() * most, restMs);
    this.#backoff = setTimeout(() => {
      this.#backoff = null;
      try {
        this.#resting.forgive(this.#tried, this.#cluster.endpoints, performance.now());
        this.proceed();
      } catch (error) {
        // Whatever has begun is given back first: the place at the endpoint, and its trial.
        this.#detach();
        this.#giveUp(crash(error));
      }
      flush();
    }, pauseMs);
  }

  /** `endpoint` wants to be left alone for `ms`; 0: it has not said so. */
  #rest(endpoint: Endpoint, ms: number): void {
    if (ms > 0) this.#resting.add(endpoint, performance.now() + ms);
  }

  /** How long it is until some endpoint may be asked. */
  #restMs(): number {
    return this.#resting.size === 0 ? 0 : this.#resting.leastMs(this.#cluster.endpoints, performance.now());
  }

  #isResting(endpoint: Endpoint): boolean {
    return this.#resting.size > 0 && this.#resting.has(endpoint, performance.now());
  }

  accepts(status: number): boolean {
    return !this.#policy.statuses.has(status);
  }

  choose(hedge: Hedge): void {
    this.#cluster.stats.hedgesWon++;
    this.#cluster.outrun(this.#endpoint!, this.#sentMs === 0 ? 0 : performance.now() - this.#sentMs, this);
    this.#abandonFirst();
    this.#adopt(hedge);
  }

  lost(hedge: Hedge, restMs: number): void {
    this.#hedge = null;
    this.#rest(hedge.endpoint, restMs);
    this.#tried.push(hedge.endpoint);
  }

  /** Gives up what a hedge stands in for; the hedge is to be adopted at once. */
  #abandonFirst(): void {
    const upstream = this.#upstream!;
    this.#upstream = null;
    upstream.abandon(this);
    this.#leaveEndpoint();
  }

  connected(upstream: Upstream): void {
    // A fresh connection that fails has seen the request: nothing need be kept of what must not be sent twice; but a
    // stream may be refused, which is to say that it has not.
    this.#sendKept(upstream, upstream.multiplexed || this.#repeatable);
  }

  anew(): void {
    const endpoint = this.#endpoint!;
    this.#upstream = null;
    this.#endpoint = null;
    endpoint.leave();
    this.#cluster.undecided(endpoint, this);
    // Its place under a cap is its own as long as it finds another endpoint.
    this.proceed();
    if (this.#cluster.capped) this.#cluster.wake();
  }

  override expire(): void {
    this.#cluster.leave(this);
    this.#cluster.stats.queueTimeouts++;
    this.#giveUp(proxyError('queue_timeout'));
  }

  expired(): ProxyError | null {
    const upstream = this.#upstream!;
    if (upstream.blocked && upstream.progressed()) {
      this.#progress(upstream);
      return null;
    }
    const answering = this.#replyBegun || !(this.#requestOver || this.#awaitsContinue);
    return proxyError(answering ? 'origin_stalled' : 'response_timeout');
  }

  /** There may be room in the cluster. */
  proceed(): void {
    const upstream = this.#acquire();
    if (upstream !== null) this.#sendKept(upstream, true);
  }

  crashed(error: unknown): void {
    // It has ended all the same.
    if (this.#exchange === null || this.#replyOver) return;
    const told = crash(error);
    this.#log.error('exchange failed', { detail: told.detail, request: this.#exchange.id() });
    this.#detach();
    this.#giveUp(told);
  }

  /**
   * A pooled connection, ready for use. Null when one is being dialed or waited for, or when that is not possible,
   * and then the exchange has been given up.
   */
  #acquire(): Upstream | null {
    const cluster = this.#cluster;
    const alone = this.#alone;
    const endpoint =
      this.#boundEndpoint() ?? cluster.pickAvailable(this.#tried, this.#hash, this, alone) ?? this.#answeringEndpoint();
    // Who is woken in vain keeps its place in the queue, and its deadline.
    const waiting = this.queue !== null;
    if (endpoint === null) {
      if (waiting) return null;
      // Who has been at an endpoint has been here longer than anybody in the queue.
      const refusal = cluster.wait(this, this.#tried.length > 0 || this.#attempts > 0);
      if (refusal !== null) this.#giveUp(proxyError(refusal));
      else wheel.arm(this, cluster.options.pool.queueTimeoutMs);
      return null;
    }
    if (waiting) {
      cluster.leave(this);
      wheel.disarm(this);
    }
    if (this.#isResting(endpoint)) {
      // Those that could have been asked in its place have gone meanwhile.
      cluster.undecided(endpoint, this);
      this.#giveUp(proxyError('no_endpoint'));
      return null;
    }
    const upstream = leaseOpen(endpoint, this.#exchange!.upgrading);
    if (upstream === null) this.#dial(endpoint);
    else this.#enter(endpoint);
    return upstream;
  }

  /** Whether it must have a connection to itself. */
  get #alone(): boolean {
    return this.#exchange!.upgrading && this.#cluster.options.protocol !== 'h2';
  }

  /** The one that the client's cookie names, while it can be used. */
  #boundEndpoint(): Endpoint | null {
    const endpoint = this.#bound;
    if (endpoint === null || this.#tried.includes(endpoint)) return null;
    return this.#cluster.take(endpoint, this, this.#alone) ? endpoint : null;
  }

  /** Whether the client's own endpoint is well, so that it comes back to it when there is room. */
  #isOnlyBusy(): boolean {
    return this.#bound?.standing.eligible === true && !this.#tried.includes(this.#bound);
  }

  /** One that has answered with an error, and is well and has room: better than to wait for one that has none. */
  #answeringEndpoint(): Endpoint | null {
    for (const one of this.#answering)
      if (!this.#isResting(one) && this.#cluster.take(one, this, this.#alone)) return one;
    return null;
  }

  #dial(endpoint: Endpoint): void {
    this.#enter(endpoint);
    this.#upstream = leaseDialed(this.#cluster, endpoint, this, this.#exchange!.upgrading);
  }

  #enter(endpoint: Endpoint): void {
    this.#endpoint = endpoint;
    endpoint.enter();
    endpoint.stats.exchanges++;
  }

  #leaveEndpoint(): void {
    const endpoint = this.#endpoint;
    if (endpoint === null) return;
    endpoint.leave();
    this.#endpoint = null;
    if (this.#cluster.capped) this.#cluster.wake();
  }

  /** Begins the exchange on a connection that stands. */
  #start(upstream: Upstream): void {
    const exchange = this.#exchange!;
    this.#upstream = upstream;
    this.#connected = true;
    this.#sentMs = this.#cluster.measures ? performance.now() : 0;
    upstream.begin(this, exchange.method === Method.HEAD, exchange.upgrading, this.#chunked);
    if (this.#paused) upstream.pause();
    if (this.#hedgeable) this.#armHedge();
  }

  /** Reads whose client belongs to no endpoint: what may be answered by two, without anything being done twice. */
  #isUnboundRead(): boolean {
    const { method, upgrading } = this.#exchange!;
    return (method === Method.GET || method === Method.HEAD) && !upgrading && this.#bound === null;
  }

  #armHedge(): void {
    this.#hedgeTimer = setTimeout(() => this.#hedgeDue(), this.#policy.hedgeMs);
  }

  #hedgeDue(): void {
    this.#hedgeTimer = null;
    try {
      this.#sendHedge();
    } catch (error) {
      // The first goes on as if there had been none.
      this.#log.error('request not sent twice', { detail: String(error), request: this.#exchange?.id() });
      this.#dropHedge(false);
    }
    flush();
  }

  /** The answer takes long: asks another endpoint as well, if there is one with room, and the budget allows it. */
  #sendHedge(): void {
    const first = this.#endpoint;
    const cluster = this.#cluster;
    if (first === null || !this.#connected || !this.#keeping) return;
    const asked = [...this.#tried, first];
    const other = cluster.pickAvailable(asked, this.#hash, this);
    // No room at present: perhaps the next time.
    if (other === null) return this.#armHedge();
    this.#hedgeable = false;
    if (other === first) return;
    // One that is said to be ill is for those who have nobody else.
    if (!other.standing.eligible || asked.includes(other) || !this.#mayTryAgain())
      return cluster.undecided(other, this);
    cluster.stats.hedges++;
    // Known before it begins: it may be lost while it does.
    this.#hedge = new Hedge(cluster, other, this, this.#kept, this.#exchange!.method === Method.HEAD);
    this.#hedge.begin();
  }

  /** The hedge is what is waited for from now on. */
  #adopt(hedge: Hedge): void {
    const { upstream, isSent } = hedge;
    this.#hedge = null;
    hedge.adopt();
    this.#upstream = upstream;
    this.#endpoint = hedge.endpoint;
    this.#connected = isSent;
    this.#sentMs = this.#cluster.measures ? hedge.sentMs : 0;
    if (!this.#connected) return;
    if (this.#paused) upstream.pause();
    this.#progress(upstream);
  }

  /** `outrun`: what is hedged has been answered. */
  #dropHedge(outrun: boolean): void {
    this.#stopHedgeTimer();
    const hedge = this.#hedge;
    this.#hedge = null;
    hedge?.cancel(outrun);
  }

  #stopHedgeTimer(): void {
    if (this.#hedgeTimer !== null) clearTimeout(this.#hedgeTimer);
    this.#hedgeTimer = null;
  }

  /** Sends what had to wait, and goes on keeping it if it may be needed once more. */
  #sendKept(upstream: Upstream, keeping: boolean): void {
    this.#start(upstream);
    this.#kept.send(upstream);
    if (!keeping) this.#forget();
    this.#progress(upstream);
    if (!upstream.blocked) this.#resumeRequest();
  }

  #forget(): void {
    this.#keeping = false;
    this.#kept.clear();
  }

  /** Sets the deadline for what is awaited from the endpoint now. */
  #progress(upstream: Upstream): void {
    const { idleMs } = this.#cluster.options.timeouts;
    const responseMs = this.#responseMs();
    upstream.requestComplete = this.#requestOver;
    if (this.#replyBegun || upstream.blocked) upstream.expireIn(idleMs);
    else upstream.expireIn(this.#requestOver || this.#awaitsContinue ? responseMs : 0);
  }

  #responseMs(): number {
    const { responseMs } = this.#cluster.options.timeouts;
    const { eachMs, attempts } = this.#policy;
    if (eachMs === 0 || !this.#repeatable || this.#attempts >= attempts) return responseMs;
    return responseMs === 0 ? eachMs : Math.min(eachMs, responseMs);
  }

  #resumeRequest(): void {
    if (!this.#requestPaused) return;
    this.#requestPaused = false;
    this.#exchange!.request.resume();
  }

  #giveUp(error: ProxyError): void {
    this.#replyOver = true;
    this.#dropHedge(false);
    const exchange = this.#exchange!;
    exchange.reply.source = null;
    const whole = this.#requestOver;
    exchange.reply.abort(error);
    if (whole) this.#release();
    else this.#kept.clear();
  }

  /** The client is gone: so is the reason for everything upstream. */
  #detach(): void {
    wheel.remove(this);
    this.#dropHedge(false);
    this.#cluster.leave(this);
    const exchange = this.#exchange!;
    exchange.reply.source = null;
    if (this.#endpoint !== null) this.#cluster.undecided(this.#endpoint, this);
    this.#leaveEndpoint();
    const upstream = this.#upstream;
    this.#upstream = null;
    upstream?.abandon(this);
  }

  #release(): void {
    if (this.#exchange === null) return;
    wheel.disarm(this);
    if (this.#backoff !== null) clearTimeout(this.#backoff);
    this.#backoff = null;
    if (this.#inBudget) this.#cluster.endRetry();
    this.#inBudget = false;
    this.#exchange = null;
    this.#upstream = null;
    this.#kept.clear();
    free.push(this);
  }

  #tell(message: string, endpoint: Endpoint, error: ProxyError): void {
    const { name } = this.#cluster;
    const level = error.code === 'internal' ? 'error' : 'warn';
    this.#log.limited(`upstream ${error.code}`, 1000)[level](message, {
      cluster: name,
      endpoint: endpoint.name,
      cause: error.code,
      detail: error.detail,
      request: this.#exchange?.id(),
    });
  }
}
