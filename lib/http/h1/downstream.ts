// HTTP/1.1 towards a client: reads requests one after the other, starts an exchange for each, and writes its reply.
// What a request leads to is the route's business; how heads are edited is in reply-writer.

import { type ProxyError, proxyError } from '../../base/errors.ts';
import type { Connection, Receiver } from '../../io/connection.ts';
import { relay } from '../../io/relay.ts';
import { GATHER_BYTES } from '../../io/send.ts';
import type { Fields } from '../../wire/fields.ts';
import type { RequestHead, ResponseHead } from '../../wire/http1/head.ts';
import { memory, REQUEST } from '../../wire/http1/llhttp.ts';
import { Method } from '../../wire/http1/method.ts';
import {
  leaseParser,
  type MessageReceiver,
  Outcome,
  type Parser,
  releaseParser,
  Verdict,
} from '../../wire/http1/parser.ts';
import { failing } from '../action.ts';
import type { Client } from '../client.ts';
import type { Exchange, ReplySink, RouteTarget } from '../exchange.ts';
import { DownstreamSession } from '../h2/downstream.ts';
import { asksForUpgrade, head, incomingId, query, readIncoming, target } from '../incoming.ts';
import type { HttpListener } from '../listener.ts';
import { errorReply, sendReply } from '../local-reply.ts';
import { putReplyHead, type ReplyFraming, replyHeadRoom } from '../reply-writer.ts';
import { KEPT_ID_BYTES, RequestId } from '../request-id.ts';
import type { Sink, Source } from '../sink.ts';
import { trailerLines } from '../trailers.ts';
import { sendChunk, sendLastChunk } from './chunks.ts';

/** How long a client gets to take the last reply and close, and how much more of its request is read meanwhile. */
const LINGER_MS = 2000;
const LINGER_BYTES = 1024 * 1024;

/** Where a connection stands. The request side and the reply side of an exchange move on their own. */
const Phase = {
  /** Between requests, or in the middle of a head. */
  HEAD: 0,
  /** The request's body is arriving. */
  BODY: 1,
  /** The request is complete, the reply is not. */
  REPLY: 2,
  /** The last reply is sent; what still comes is dropped. */
  LINGER: 3,
} as const;

/** From each phase, the ones it may lead to, as bits. */
const EDGES = [
  (1 << Phase.HEAD) | (1 << Phase.BODY) | (1 << Phase.REPLY) | (1 << Phase.LINGER),
  (1 << Phase.REPLY) | (1 << Phase.LINGER),
  (1 << Phase.HEAD) | (1 << Phase.LINGER),
  0,
];

// Written anew for each reply head.
const framing = { chunked: false, sized: false, empty: false, connection: 'none' as ReplyFraming['connection'] };

/** RFC 9110 7.6.2: with Max-Forwards at 0 we are the final recipient, and have nothing to show. */
const LAST_HOP: RouteTarget = { action: failing(proxyError('last_hop')), rewrite: null };

/** What an exchange leads to when no route matches. */
const NO_ROUTE: RouteTarget = { action: failing(proxyError('no_route')), rewrite: null };

export class DownstreamConnection implements Receiver, MessageReceiver, Exchange, Source, ReplySink {
  readonly connection: Connection;
  readonly client: Client;
  readonly requestHead = head;
  readonly target = target;
  readonly bytes = memory;
  readonly request: Source = this;
  readonly reply: ReplySink = this;
  readonly query = query;
  route: RouteTarget = NO_ROUTE;
  method = 0;
  minor = 1;
  upgrading = false;
  /** Where the reply comes from. */
  source: Source | null = null;
  added = '';

  readonly #listener: HttpListener;
  readonly #id = new RequestId();
  #phase: number = Phase.HEAD;
  #parser: Parser | null = null;
  #parsing = false;
  /** The request flows here; null between exchanges. */
  #sink: Sink<RequestHead> | null = null;
  #bodyBytes = 0;
  #served = false;
  /** The id that a trusted proxy sent, '' if none. */
  #keptId = '';
  #replyBegun = false;
  #replyOver = false;
  #chunked = false;
  /** What the client asked for, and what its reply has said. */
  #keepsAlive = true;
  #persistent = false;
  /** What arrived before its turn: at most one read. */
  #early: Buffer | null = null;
  #lingeredBytes = 0;
  /** The source of the request, or of the reply, waits for `resume`. */
  #replyHeld = false;
  #requestHeld = false;
  #headTimed = false;
  /** The client waits for 100 (Continue), or for a final reply instead. */
  #awaitsContinue = false;
  /** Who serves the connection if it turned out to be one of HTTP/2. */
  #successor: DownstreamSession | null = null;

  constructor(connection: Connection, client: Client, listener: HttpListener) {
    this.connection = connection;
    this.client = client;
    this.#listener = listener;
    connection.receiver = this;
    connection.expireIn(listener.timeouts.headMs);
  }

  /** Between two requests: nothing would be lost by closing. */
  get idle(): boolean {
    return this.#phase === Phase.HEAD && (this.#parser === null || !this.#parser.begun);
  }

  /**
   * The next reply says that it is the last. A client between two requests may have sent the second already, and closing now
   * would lose it: the connection ends when none has come within the grace.
   */
  retire(): void {
    if (this.#successor !== null) return this.#successor.retire();
    // A connection that has just been made has its first request on the way.
    if (this.#served && this.idle && this.#early === null && !this.connection.blocked) {
      this.connection.expireIn(this.#listener.graceMs);
    }
  }

  /** Closes if nothing is under way, and answers whether it did. */
  drain(): boolean {
    if (this.#successor !== null) return this.#successor.drain();
    // A connection that has just been made has its first request on the way.
    return this.#served && this.shed();
  }

  /** As `drain`, but also when no request has come yet. */
  shed(): boolean {
    if (this.#successor !== null) return this.#successor.shed();
    if (this.connection.gone || !this.idle || this.#early !== null || this.connection.blocked) return false;
    this.#linger();
    return true;
  }

  // What the connection tells.

  received(start: number, end: number): void {
    if (!this.#served && this.#parser === null && beginsHttp2(start, end)) return this.#switch(start, end);
    if (this.#phase === Phase.LINGER) {
      this.#lingeredBytes += end - start;
      if (this.#lingeredBytes > LINGER_BYTES) this.#leave(true);
    } else if (this.#phase === Phase.REPLY || (this.#phase === Phase.HEAD && this.connection.blocked)) {
      // A body goes on even while its reply is blocked: the two directions must not wait for each other.
      this.#hold(start, end);
    } else {
      this.#parse(start, end);
    }
  }

  finished(): void {
    if (this.#phase === Phase.LINGER) return this.#leave(false);
    // A client that closes does not want the reply any more; who only ends its side cannot be told apart from it.
    if (this.#sink !== null) return this.#abandon(proxyError('client_gone'));
    if (this.connection.blocked) return this.#linger();
    this.#dispose();
    this.connection.close();
  }

  drained(): void {
    if (this.#phase === Phase.LINGER) return this.connection.expireIn(LINGER_MS);
    if (this.#replyOver) return this.#advance();
    if (this.#replyHeld) {
      this.#replyHeld = false;
      this.#expect();
      this.source?.resume();
    } else if (this.#phase === Phase.HEAD) {
      this.#next();
    }
  }

  closed(): void {
    this.#dispose();
    this.#drop(proxyError('client_gone'));
  }

  expired(): void {
    const { connection } = this;
    if (connection.blocked) {
      if (connection.progressed()) return this.#expect();
      return this.#abandon(proxyError('client_slow'));
    }
    if (this.#phase === Phase.LINGER) return this.#leave(false);
    if (this.#phase === Phase.BODY) return this.abort(proxyError('body_timeout'));
    if (this.#phase === Phase.HEAD && this.#parser?.begun) return this.abort(proxyError('head_timeout'));
    if (this.#phase === Phase.HEAD) this.#linger();
  }

  crashed(error: unknown): void {
    const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
    this.#listener.log.error('exchange failed', { client: this.client.address, request: this.id(), error: stack });
    this.#parsing = false;
    // What else had arrived is lost, so the next request cannot be found.
    this.#dispose();
    this.#keepsAlive = false;
    this.abort(proxyError('internal'));
  }

  /** The client has known before that we speak HTTP/2 (RFC 9113 3.3). */
  #switch(start: number, end: number): void {
    this.#successor = new DownstreamSession(this.connection, this.client, this.#listener);
    this.#successor.session.received(start, end);
  }

  // The request.

  #parse(start: number, end: number): void {
    let at = start;
    this.#parsing = true;
    while (at < end) {
      const parser = (this.#parser ??= leaseParser(REQUEST, this, this.#listener.limits));
      if (parser === null) {
        this.#parsing = false;
        return this.abort(proxyError('overloaded'));
      }
      const outcome = parser.execute(at, end);
      if (this.connection.gone || this.#phase === Phase.LINGER) break;
      if (outcome === Outcome.MORE) {
        this.#await(parser);
        break;
      }
      if (outcome === Outcome.FAULT) {
        this.#parsing = false;
        return this.abort(parser.fault!);
      }
      at = parser.position;
      this.#complete(parser);
      // While the kernel has not taken a reply, no more are made: pipelined requests wait.
      if (this.#replyOver && !this.connection.blocked && this.#persists()) this.#reset();
      else {
        if (at < end) this.#hold(at, end);
        break;
      }
    }
    this.#parsing = false;
    if (this.#replyOver) this.#advance();
  }

  /** The message goes on: how long for? A head has one limit for all of it, a body one for each standstill. */
  #await(parser: Parser): void {
    if (parser.inBody) this.#expect();
    else if (!this.#headTimed) {
      this.#headTimed = true;
      this.connection.expireIn(this.#listener.timeouts.headMs);
    }
  }

  onHead(parser: Parser): number {
    this.#bodyBytes = 0;
    const refusal = readIncoming(parser, this.#listener.limits.bodyBytes);
    this.method = head.method;
    this.minor = head.minor;
    this.#keepsAlive = head.minor === 1 ? !head.close : head.keepAlive;
    if (refusal !== null) {
      parser.fault = refusal;
      return Verdict.REFUSE;
    }
    if (!this.client.mayAsk(memory, query.hostStart, query.hostEnd)) {
      parser.fault = proxyError('misdirected');
      return Verdict.REFUSE;
    }
    const last = !head.chunked && head.contentLength <= 0;
    this.#move(last ? Phase.REPLY : Phase.BODY);
    this.#listener.stats.exchanges++;
    this.#served = true;
    this.#awaitsContinue = head.expectsContinue && head.minor === 1;
    this.upgrading = asksForUpgrade();
    if (this.client.keepsId) this.#keptId = incomingId(KEPT_ID_BYTES);
    this.connection.expireIn(0);
    query.hello = this.client.fingerprints;
    this.route = head.maxForwards === 0 ? LAST_HOP : (this.#listener.routes.find(query) ?? NO_ROUTE);
    const sink = this.route.action.begin(this);
    // Set first: the sink may answer, and be over, before it returns.
    this.#sink = sink;
    if (!sink.head(head, last)) this.pause();
    return Verdict.GO_ON;
  }

  onBody(start: number, end: number): void {
    const { bodyBytes } = this.#listener.limits;
    this.#bodyBytes += end - start;
    this.#awaitsContinue = false;
    if (this.#replyOver) {
      // What comes after the reply is read only so that the connection can be kept, and that is worth so much.
      this.#lingeredBytes += end - start;
      if (this.#lingeredBytes > LINGER_BYTES) this.#linger();
      return;
    }
    if (bodyBytes > 0 && this.#bodyBytes > bodyBytes) {
      this.#parser!.fault = proxyError('body_too_large');
      return;
    }
    const sink = this.#sink;
    if (sink !== null && !sink.data(memory, start, end)) this.pause();
  }

  /** The request is complete. */
  #complete(parser: Parser): void {
    const sink = this.#sink;
    const trailers = parser.trailing ? parser.fields : null;
    this.#parser = null;
    this.connection.settle();
    try {
      if (this.#phase === Phase.BODY) {
        this.#move(Phase.REPLY);
        // Nobody waits for the client now; the endpoint has its own limits.
        if (!this.#replyHeld) this.connection.expireIn(0);
        sink?.end(trailers);
        if (this.#replyOver) this.#sink = null;
      }
    } finally {
      // Trailers lie in the parser; it comes back even when the sink throws.
      releaseParser(parser);
    }
  }

  /** Keeps what came before its turn, and reads no more until then. */
  #hold(start: number, end: number): void {
    const bytes = Buffer.from(memory.subarray(start, end));
    this.#early = this.#early === null ? bytes : Buffer.concat([this.#early, bytes]);
    this.connection.pause();
  }

  // Source: the request is paused and resumed by whoever takes it.

  pause(): void {
    this.#requestHeld = true;
    this.connection.pause();
    if (this.#phase === Phase.BODY && !this.#replyHeld) this.connection.expireIn(0);
  }

  resume(): void {
    if (!this.#requestHeld) return;
    this.#requestHeld = false;
    if (this.#early !== null) return;
    this.connection.resume();
    if (this.#phase === Phase.BODY) this.#expect();
  }

  // ReplySink.

  head(reply: ResponseHead, last: boolean): boolean {
    const { status } = reply;
    const interim = status < 200 && status !== 101;
    // RFC 9110 15.2: interim replies are not sent to HTTP/1.0 clients.
    if (interim && this.minor === 0) return true;
    if (this.#awaitsContinue) {
      this.#awaitsContinue = false;
      this.#expect();
    }
    framing.sized = reply.contentLength >= 0 && status >= 200 && status !== 204;
    framing.chunked = !last && reply.contentLength < 0 && this.minor === 1 && status >= 200;
    framing.empty =
      last &&
      reply.contentLength < 0 &&
      status >= 200 &&
      status !== 204 &&
      status !== 304 &&
      this.method !== Method.HEAD;
    framing.connection = status === 101 ? 'upgrade' : 'none';
    if (status >= 200) {
      this.#replyBegun = true;
      this.#chunked = framing.chunked;
      const delimited = last || framing.sized || framing.chunked;
      // An error while the request still arrives: the rest of it is not worth waiting for.
      const unread = this.#phase !== Phase.REPLY && (status >= 400 || this.#phase === Phase.HEAD);
      this.#persistent = this.#keepsAlive && delimited && !unread && !this.#listener.draining;
      if (!this.#persistent) framing.connection = 'close';
      else if (this.minor === 0) framing.connection = 'keep-alive';
    }
    const edits = this.route.rewrite?.response ?? null;
    const room = replyHeadRoom(reply, edits, this.added);
    const at = room > GATHER_BYTES ? -1 : this.connection.compose(room);
    if (at < 0) this.#abandon(proxyError('overloaded', 'reply head'));
    else this.connection.wrote(at, putReplyHead(reply, framing, edits, this.added, at));
    if (last && status >= 200) this.#over();
    if (!this.connection.blocked) return true;
    if (!this.#replyOver) {
      this.#replyHeld = true;
      this.#expect();
    }
    return false;
  }

  data(bytes: Uint8Array, start: number, end: number): boolean {
    const taken = this.#chunked
      ? sendChunk(this.connection, bytes, start, end)
      : this.connection.send(bytes, start, end);
    if (!taken) {
      this.#replyHeld = true;
      this.#expect();
    }
    return taken;
  }

  end(trailers: Fields | null): void {
    if (this.#chunked) sendLastChunk(this.connection, trailerLines(trailers, this.route.rewrite?.response ?? null));
    this.#over();
  }

  /** The exchange cannot go on: the client is told, if its reply has not begun, and else sees a broken connection. */
  abort(error: ProxyError): void {
    if (this.connection.gone) return;
    if (this.#replyBegun || error.kind.status === 0) return this.#abandon(error);
    if (error.kind.side === 'downstream') this.#listener.stats.refused++;
    this.#drop(error);
    // After a fault in a request nobody knows where the next one begins.
    if (error.kind.side === 'downstream') this.#keepsAlive = false;
    sendReply(this, errorReply(error, this.id()), this.method === Method.HEAD);
  }

  tunnel(upstream: Connection, start: number, end: number, ended: () => void): void {
    const { connection } = this;
    const early = this.#early;
    this.#early = null;
    this.#sink = null;
    this.#dispose();
    connection.expireIn(0);
    if (end > start) connection.send(memory, start, end);
    if (early !== null) upstream.send(early, 0, early.length);
    relay(connection, upstream, this.#listener.timeouts.tunnelMs, ended);
  }

  #over(): void {
    this.#replyOver = true;
    this.source = null;
    this.added = '';
    // The exchange is over for the sink too, which may serve another one from now on.
    if (this.#phase === Phase.REPLY) this.#sink = null;
    if (!this.#parsing) this.#advance();
  }

  /** The reply is over: on to the next request, or out. Not within the parser. */
  #advance(): void {
    if (this.#phase === Phase.LINGER || this.connection.gone) return;
    if (this.#phase === Phase.BODY && this.#persistent) {
      // The reply came early and said that the connection goes on: the rest of the request is read and dropped.
      this.resume();
      return this.#expect();
    }
    if (!this.#persists()) return this.#linger();
    // The kernel has not taken this reply: answering more would only pile up.
    if (this.connection.blocked) return this.#expect();
    this.#reset();
    this.#next();
  }

  #persists(): boolean {
    return this.#phase === Phase.REPLY && this.#persistent && !this.connection.finished;
  }

  /** Ready for another request. */
  #reset(): void {
    this.#move(Phase.HEAD);
    this.#sink = null;
    // Here and not when a head has been read: the next one may be refused before anybody has read it.
    this.#id.renew();
    this.#keptId = '';
    this.route = NO_ROUTE;
    this.method = -1;
    this.minor = 1;
    this.#keepsAlive = true;
    this.#replyOver = false;
    this.#replyBegun = false;
    this.#replyHeld = false;
    this.#requestHeld = false;
    this.#headTimed = false;
    this.#awaitsContinue = false;
    this.#lingeredBytes = 0;
    const { draining, graceMs, timeouts } = this.#listener;
    this.connection.expireIn(draining ? graceMs : timeouts.idleMs);
  }

  #next(): void {
    if (this.#early === null) this.connection.resume();
    else process.nextTick(replayEarly, this);
  }

  /** Parses what came early. */
  replay(): void {
    const early = this.#early;
    if (early === null || this.connection.gone || this.#phase !== Phase.HEAD || this.connection.blocked) return;
    this.#early = null;
    this.connection.resume();
    this.connection.inject(early);
  }

  /** Sets the limit for what is awaited from the client: that it reads, or that its body goes on. */
  #expect(): void {
    // Who was told to wait, by us or by the protocol, is not late.
    const awaited = this.#phase === Phase.BODY && !this.#requestHeld && !this.#awaitsContinue;
    if (this.connection.blocked || awaited) this.connection.expireIn(this.#listener.timeouts.bodyMs);
  }

  /** The last reply is on its way: close our side, and give the client time to read it (RFC 9112 9.6). */
  #linger(): void {
    // Nothing more comes from a client that asked for the end. One that did not, or whose request was refused, may still
    // be sending.
    const clean = this.#replyBegun ? this.#phase === Phase.REPLY && this.#replyOver && !this.#keepsAlive : this.idle;
    const unread = this.#early !== null;
    this.#move(Phase.LINGER);
    this.#lingeredBytes = 0;
    this.#dispose();
    this.#drop(proxyError('client_gone'));
    this.#early = null;
    const { connection } = this;
    // Closing with unread bytes would make the kernel reset the connection and the client lose its reply.
    if (connection.finished || (clean && !unread)) return this.#leave(false);
    connection.finish();
    connection.expireIn(connection.blocked ? this.#listener.timeouts.bodyMs : LINGER_MS);
    connection.resume();
  }

  /** Nobody waits for a reply any more. */
  #abandon(error: ProxyError): void {
    this.#dispose();
    this.#drop(error);
    // A reply that stops half-way must not look whole.
    if (this.connection.blocked || (this.#replyBegun && !this.#replyOver)) this.connection.reset();
    else this.connection.destroy();
  }

  #leave(hard: boolean): void {
    if (hard) this.connection.reset();
    else this.connection.close(this.#listener.timeouts.bodyMs);
  }

  /** Tells the sink that the request will not be completed. */
  #drop(error: ProxyError): void {
    const sink = this.#sink;
    this.#sink = null;
    this.source = null;
    this.added = '';
    sink?.abort(error);
  }

  #dispose(): void {
    if (this.#parser === null) return;
    releaseParser(this.#parser);
    this.#parser = null;
  }

  #move(to: number): void {
    if ((EDGES[this.#phase]! & (1 << to)) === 0)
      throw new Error(`downstream cannot go from phase ${this.#phase} to ${to}`);
    this.#phase = to;
  }

  id(): string {
    return this.#keptId === '' ? this.#id.toString() : this.#keptId;
  }
  putId(at: number): number {
    return this.#id.put(at);
  }
}

/** `PRI`: of the first read, since nobody sends a preface of 24 bytes in pieces. */
function beginsHttp2(start: number, end: number): boolean {
  return memory[start] === 0x50 && memory[start + 1] === 0x52 && memory[start + 2] === 0x49 && end - start >= 3;
}

function replayEarly(downstream: DownstreamConnection): void {
  downstream.replay();
}
