// HTTP/2 towards a client: a session whose streams are exchanges. What a request leads to is the route's business, as
// with HTTP/1.1: the head is laid out as one of those, and all that follows is the same.

import { type ProxyError, proxyError } from '../../base/errors.ts';
import type { Connection } from '../../io/connection.ts';
import { wheel } from '../../io/connection.ts';
import type { Fields } from '../../wire/fields.ts';
import type { RequestHead, ResponseHead } from '../../wire/http1/head.ts';
import { carve, memory } from '../../wire/http1/llhttp.ts';
import { Method } from '../../wire/http1/method.ts';
import { BlockKind } from '../../wire/http2/field-block.ts';
import { Reason, Setting } from '../../wire/http2/frame.ts';
import { putLines, putStatus } from '../../wire/http2/hpack-encoder.ts';
import { Pseudo } from '../../wire/http2/static-table.ts';
import { failing } from '../action.ts';
import type { Client } from '../client.ts';
import type { Exchange, ReplySink, RouteTarget } from '../exchange.ts';
import { adoptIncoming, head, incomingId, query, target } from '../incoming.ts';
import type { HttpListener } from '../listener.ts';
import { errorReply, sendReply } from '../local-reply.ts';
import { putReplyHead, replyHeadRoom } from '../reply-writer.ts';
import { KEPT_ID_BYTES, RequestId } from '../request-id.ts';
import type { Sink, Source } from '../sink.ts';
import { trailerLines } from '../trailers.ts';
import { asksForGrpc, grpcReply } from './grpc.ts';
import { block, encoded, Session, type SessionOwner, STREAM_WINDOW_BYTES, STREAMS } from './session.ts';
import { Stream } from './stream.ts';
import { layOutWebSocket, StreamTunnel, WEBSOCKET_SKIPPED } from './websocket.ts';

/** How long a client that is told to go may still open streams: what it sent before it heard of it is on its way. */
const LAST_CALL_MS = 1000;
const EVERY_STREAM = 0x7fff_ffff;

/** Where heads of replies are written before they are compressed. */
const REPLY_HEAD_BYTES = 64 * 1024;
const scratch = carve(REPLY_HEAD_BYTES);

// Written anew for each reply head.
const framing = { chunked: false, sized: false, empty: false, connection: 'none' as const };

const LAST_HOP: RouteTarget = { action: failing(proxyError('last_hop')), rewrite: null };
const NO_ROUTE: RouteTarget = { action: failing(proxyError('no_route')), rewrite: null };

export class DownstreamSession implements SessionOwner {
  readonly client: Client;
  readonly listener: HttpListener;
  readonly session: Session;
  /** Streams that are exchanges, tunnels included. */
  #streams = 0;
  /** Told to go; from the second time on new streams are refused. */
  #leaving: 'no' | 'asked' | 'told' = 'no';
  #served = false;
  #accepting: DownstreamStream | null = null;

  constructor(connection: Connection, client: Client, listener: HttpListener) {
    this.client = client;
    this.listener = listener;
    const { headBytes } = listener.limits;
    this.session = new Session(
      connection,
      true,
      [
        [Setting.MAX_CONCURRENT_STREAMS, STREAMS],
        [Setting.INITIAL_WINDOW_SIZE, STREAM_WINDOW_BYTES],
        [Setting.MAX_HEADER_LIST_SIZE, headBytes],
        [Setting.ENABLE_CONNECT_PROTOCOL, 1],
      ],
      this,
    );
    connection.expireIn(listener.timeouts.headMs);
  }

  /** Tells the client to go when it is done: it may open streams until it has heard (RFC 9113 6.8). */
  retire(): void {
    this.drain();
  }

  /** As `retire`; answers whether it is done now. */
  drain(): boolean {
    if (!this.#served || this.session.over) return false;
    return this.shed();
  }

  /** As `drain`, but also when no request has come yet. */
  shed(): boolean {
    if (this.session.over || this.#leaving !== 'no') return false;
    const idle = this.#streams === 0;
    this.#leave();
    return idle;
  }

  // What the session tells.

  beginBlock(stream: number): Stream | null {
    const { limits } = this.listener;
    const found = this.session.streams.get(stream) ?? null;
    block.begin(found === null ? BlockKind.REQUEST : BlockKind.TRAILERS, limits.headBytes, limits.headers);
    return found;
  }

  onBlock(id: number, last: boolean): void {
    const { session, listener } = this;
    // RFC 9113 5.1.1: odd ones, ever higher. One that is over may still get trailers that were on their way.
    if ((id & 1) === 0) return session.fail(Reason.PROTOCOL_ERROR, 'a stream of ours opened by the peer');
    if (id <= session.lastStream) return;
    session.lastStream = id;
    if (this.#leaving === 'told' || this.#streams >= STREAMS) return session.resetStream(id, Reason.REFUSED_STREAM);
    this.#served = true;
    session.connection.expireIn(0);
    this.#streams++;
    listener.stats.exchanges++;
    const stream = new DownstreamStream(session, id, this);
    this.#accepting = stream;
    stream.accept(last);
    this.#accepting = null;
    if (listener.draining && this.#leaving === 'no') this.#leave();
  }

  settled(): void {}

  goingAway(): void {
    // The client opens no more; what is open goes on.
    if (this.#streams === 0) this.session.end();
    else this.#leaving = 'told';
  }

  ponged(): void {
    // The client has read that it is to go: what it had sent before has arrived.
    if (this.#leaving === 'asked') this.#tell();
  }

  over(reason: string): void {
    this.session.connection.expireIn(0);
    for (const stream of [...this.session.streams.values()]) (stream as DownstreamStream).cut();
    if (reason === '' || reason === 'closed') return;
    this.listener.log.limited('h2 session', 1000).info('connection ended', {
      client: this.client.address,
      cause: 'http2',
      detail: reason,
    });
  }

  writable(): void {
    this.session.pump();
  }

  expired(): void {
    const { session } = this;
    if (this.#leaving === 'asked') return this.#tell();
    if (this.#streams > 0) return;
    session.goAway(session.lastStream, Reason.NO_ERROR);
    session.end();
  }

  crashed(error: unknown): void {
    const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
    this.listener.log.error('exchange failed', { client: this.client.address, error: stack });
    this.#accepting?.abort(proxyError('internal'));
  }

  /** One stream less. */
  left(): void {
    this.#streams--;
    const { session, listener } = this;
    if (this.#streams > 0 || session.over) return;
    if (this.#leaving === 'told') session.end();
    else if (this.#leaving === 'no') session.connection.expireIn(listener.timeouts.idleMs);
  }

  /** RFC 9113 6.8: first a word that no stream is lost by, then, when it has been heard, which one was the last. */
  #leave(): void {
    this.#leaving = 'asked';
    const { session } = this;
    session.goAway(EVERY_STREAM, Reason.NO_ERROR);
    session.ping();
    if (this.#streams === 0 && this.#served) return this.#tell();
    session.connection.expireIn(LAST_CALL_MS);
  }

  #tell(): void {
    this.#leaving = 'told';
    const { session } = this;
    session.connection.expireIn(0);
    session.goAway(session.lastStream, Reason.NO_ERROR);
    if (this.#streams === 0) session.end();
  }
}

export class DownstreamStream extends Stream implements Exchange, ReplySink, Source {
  readonly client: Client;
  readonly requestHead = head;
  readonly target = target;
  readonly bytes = memory;
  readonly query = query;
  readonly request: Source = this;
  readonly reply: ReplySink = this;
  route: RouteTarget = NO_ROUTE;
  method = -1;
  readonly minor = 1;
  upgrading = false;
  source: Source | null = null;
  added = '';

  readonly #owner: DownstreamSession;
  readonly #id = new RequestId();
  #keptId = '';
  #sink: Sink<RequestHead> | null = null;
  #tunnel: StreamTunnel | null = null;
  /** Of the request's body: what has come, and what was announced (-1: nothing). */
  #bodyBytes = 0;
  #announcedBytes = -1;
  /** Of the reply's body: what is still to be sent by what its head says; -1 unknown. */
  #replyLeft = -1;
  #replyBegun = false;
  #replyOver = false;
  #replyHeld = false;
  #awaitsContinue = false;
  #grpc = false;

  constructor(session: Session, id: number, owner: DownstreamSession) {
    super(session, id);
    this.#owner = owner;
    this.client = owner.client;
  }

  /** The head is in the session's block. */
  accept(last: boolean): void {
    const { listener } = this.#owner;
    if (last) this.remoteEnded = true;
    const refusal = this.#read(last);
    this.method = head.method;
    if (refusal !== null) {
      // Its head was not read, so nothing of it is to be believed, but how the reply is to look.
      if (block.fault !== '' || block.tooLarge) this.method = -1;
      return this.abort(refusal);
    }
    this.#announcedBytes = head.contentLength;
    this.#awaitsContinue = head.expectsContinue;
    this.#grpc = asksForGrpc(head);
    if (this.client.keepsId) this.#keptId = incomingId(KEPT_ID_BYTES);
    query.hello = this.client.fingerprints;
    this.route = head.maxForwards === 0 ? LAST_HOP : (listener.routes.find(query) ?? NO_ROUTE);
    const sink = this.route.action.begin(this);
    this.#sink = sink;
    // A tunnel begins when it is answered: the endpoint must see the whole of a request first.
    if (!sink.head(head, last || this.upgrading) && !last) this.pause();
    if (this.upgrading) this.hold();
    this.#expect();
  }

  #read(last: boolean): ProxyError | null {
    const { limits } = this.#owner.listener;
    if (block.tooLarge) return proxyError('head_too_large');
    if (block.fault !== '') return proxyError('bad_request', block.fault);
    this.upgrading = block.has(Pseudo.PROTOCOL);
    if (this.upgrading && !layOutWebSocket(block)) return proxyError('unknown_method', 'protocol');
    const fault = adoptIncoming(block, last || this.upgrading, limits.bodyBytes);
    if (fault !== null) return fault;
    return this.client.mayAsk(memory, query.hostStart, query.hostEnd) ? null : proxyError('misdirected');
  }

  // Stream.

  onBlock(last: boolean): void {
    // Trailers.
    if (!last || block.fault !== '' || block.tooLarge || this.#tunnel !== null)
      return this.reset(Reason.PROTOCOL_ERROR);
    this.remoteEnded = true;
    this.endWith(block.fields);
  }

  onReset(): void {
    this.leave();
    this.broken();
  }

  protected take(bytes: Uint8Array, start: number, end: number): boolean {
    const { bodyBytes } = this.#owner.listener.limits;
    if (this.#tunnel !== null) return this.#tunnel.take(bytes, start, end);
    this.#bodyBytes += end - start;
    this.#awaitsContinue = false;
    if (this.#announcedBytes >= 0 && this.#bodyBytes > this.#announcedBytes) {
      // RFC 9113 8.1.1: a body of another length than announced is how requests are smuggled behind us.
      this.reset(Reason.PROTOCOL_ERROR);
      return true;
    }
    if (bodyBytes > 0 && this.#bodyBytes > bodyBytes) {
      this.abort(proxyError('body_too_large'));
      return true;
    }
    const sink = this.#sink;
    const taken = sink === null || sink.data(bytes, start, end);
    if (taken && !this.gone) this.#expect();
    return taken;
  }

  protected takeEnd(trailers: Fields | null): void {
    if (this.#tunnel !== null) return this.#tunnel.takeEnd();
    if (!this.#isWhole()) return this.reset(Reason.PROTOCOL_ERROR);
    this.#requestOver(trailers);
  }

  protected emptied(): void {
    if (this.#tunnel !== null) return this.#tunnel.drained();
    this.#replyHeld = false;
    this.#expect();
    if (this.gone) return;
    if (this.#replyOver && this.localEnded) this.#stopRequest();
    else this.source?.resume();
  }

  protected override advanced(): void {
    this.#expect();
  }

  protected broken(): void {
    this.#drop(proxyError('client_gone'));
  }

  /** The connection is gone. */
  cut(): void {
    this.leave();
    this.broken();
  }

  protected override left(): void {
    this.#owner.left();
  }

  override expire(): void {
    if (this.#replyHeld) return this.#giveUp(proxyError('client_slow'), Reason.CANCEL);
    this.abort(proxyError('body_timeout'));
  }

  // Source.

  pause(): void {
    this.hold();
    this.#expect();
  }

  resume(): void {
    if (this.upgrading && this.#tunnel === null) return;
    this.release();
    if (!this.gone) this.#expect();
  }

  // ReplySink.

  head(reply: ResponseHead, last: boolean): boolean {
    if (this.gone) return true;
    const { status } = reply;
    const switching = status === 101;
    const final = status >= 200 || switching;
    if (this.#awaitsContinue) {
      this.#awaitsContinue = false;
      this.#expect();
    }
    framing.sized = reply.contentLength >= 0 && status >= 200 && status !== 204;
    const edits = this.route.rewrite?.response ?? null;
    if (replyHeadRoom(reply, edits, this.added) > REPLY_HEAD_BYTES) {
      this.#giveUp(proxyError('overloaded', 'reply head'), Reason.INTERNAL_ERROR);
      return true;
    }
    const end = putReplyHead(reply, framing, edits, this.added, scratch);
    let line = scratch;
    while (memory[line] !== 0x0a) line++;
    const skipped = switching ? WEBSOCKET_SKIPPED : null;
    // RFC 8441 5: what 101 says in HTTP/1.1 is 200 here.
    const at = putStatus(switching ? 200 : status, encoded, 0);
    const length = putLines(memory, line + 1, end - 2, skipped, encoded, at);
    if (final) {
      this.#replyBegun = true;
      this.#replyLeft = reply.contentLength;
    }
    const ends = last && final && !switching;
    this.session.sendBlock(this.number, ends, length);
    if (ends) {
      this.localEnded = true;
      this.#over();
    }
    return true;
  }

  data(bytes: Uint8Array, start: number, end: number): boolean {
    if (this.gone) return true;
    this.#replyLeft = this.#replyLeft < 0 ? -1 : this.#replyLeft - (end - start);
    // The last piece says that it is, which saves a frame. With gRPC, trailers follow, and no length was given.
    const taken = this.sendData(bytes, start, end, this.#replyLeft === 0);
    if (!taken) {
      this.#replyHeld = true;
      this.#expect();
    }
    return taken;
  }

  end(trailers: Fields | null): void {
    if (!this.gone) this.sendEnd(trailerLines(trailers, this.route.rewrite?.response ?? null));
    this.#over();
  }

  abort(error: ProxyError): void {
    if (this.gone) return;
    if (error.kind.side === 'downstream') this.#owner.listener.stats.refused++;
    if (this.#replyBegun || error.kind.status === 0) return this.#giveUp(error, Reason.INTERNAL_ERROR);
    this.#drop(error);
    const reply = this.#grpc ? grpcReply(error, this.id()) : errorReply(error, this.id());
    sendReply(this, reply, this.method === Method.HEAD);
  }

  tunnel(upstream: Connection, start: number, end: number, ended: () => void): void {
    this.#sink = null;
    wheel.disarm(this);
    const tunnel = new StreamTunnel(this, upstream, this.#owner.listener.timeouts.tunnelMs, ended);
    this.#tunnel = tunnel;
    if (end > start) tunnel.received(start, end);
    this.release();
  }

  id(): string {
    return this.#keptId === '' ? this.#id.toString() : this.#keptId;
  }
  putId(at: number): number {
    return this.#id.put(at);
  }

  /** The reply has been handed over whole. */
  #over(): void {
    this.#replyOver = true;
    this.source = null;
    if (this.gone) return;
    if (this.remoteEnded) {
      this.#sink = null;
      this.leaveIfOver();
    } else if (this.localEnded) this.#stopRequest();
  }

  /** RFC 9113 8.1: the reply is complete, and nobody wants the rest of the request. */
  #stopRequest(): void {
    this.reset(Reason.NO_ERROR);
  }

  /** The request is complete. */
  #requestOver(trailers: Fields | null): void {
    const sink = this.#sink;
    if (!this.#replyHeld) wheel.disarm(this);
    if (this.#replyOver) this.#sink = null;
    sink?.end(trailers);
    this.leaveIfOver();
  }

  #isWhole(): boolean {
    return this.#announcedBytes < 0 || this.#announcedBytes === this.#bodyBytes;
  }

  /** Sets the limit for what is awaited of the client: that it reads, or that its body goes on. */
  #expect(): void {
    if (this.gone) return;
    const awaited = !this.remoteEnded && !this.held && !this.#awaitsContinue && this.#tunnel === null;
    const { bodyMs } = this.#owner.listener.timeouts;
    if (bodyMs > 0 && (this.#replyHeld || awaited)) wheel.arm(this, bodyMs);
    else wheel.disarm(this);
  }

  #giveUp(_error: ProxyError, reason: number): void {
    this.reset(reason);
  }

  #drop(error: ProxyError): void {
    const sink = this.#sink;
    const tunnel = this.#tunnel;
    this.#sink = null;
    this.#tunnel = null;
    this.source = null;
    this.added = '';
    tunnel?.broken();
    sink?.abort(error);
  }
}
