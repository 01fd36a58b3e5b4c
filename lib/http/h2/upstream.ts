// HTTP/2 towards an endpoint: one connection for many exchanges, each a stream. Replies are laid out as heads of HTTP/1.1,
// requests come as such; which request goes where is decided in http/proxy.

import { type ProxyError, proxyError } from '../../base/errors.ts';
import type { Connection } from '../../io/connection.ts';
import { wheel } from '../../io/connection.ts';
import type { Cluster } from '../../upstream/cluster.ts';
import type { Endpoint } from '../../upstream/endpoint.ts';
import type { Shareable } from '../../upstream/pool.ts';
import type { Fields } from '../../wire/fields.ts';
import { ResponseHead } from '../../wire/http1/head.ts';
import { HEAD_BYTES_MAX } from '../../wire/http1/parser.ts';
import { BlockKind } from '../../wire/http2/field-block.ts';
import { Reason, reasonName, Setting } from '../../wire/http2/frame.ts';
import { blockRoom } from '../../wire/http2/hpack-encoder.ts';
import { Pseudo } from '../../wire/http2/static-table.ts';
import { crash } from '../blame.ts';
import type { Gathering } from '../gathering.ts';
import type { Upstream, UpstreamUser } from '../upstream.ts';
import { putRequestHead } from './request-block.ts';
import { block, encoded, Session, type SessionOwner, STREAM_WINDOW_BYTES, STREAMS } from './session.ts';
import { Stream } from './stream.ts';

/** As for HTTP/1.1: an origin may be as hostile as a client. */
const HEADERS = 1000;
const INTERIM_HEADS = 64;
/** The highest stream there can be; a connection that has come so far serves nobody new. */
const LAST_STREAM = 0x7fff_ffff;

// Heads are borrowed, so one object serves all streams.
const head = new ResponseHead();

export class UpstreamSession implements SessionOwner, Shareable {
  readonly endpoint: Endpoint;
  readonly cluster: Cluster;
  readonly session: Session;
  /** Whether an exchange has been served. */
  used = false;
  /** It serves nobody new, and closes once it is empty. */
  #leaving = false;
  #streams = 0;
  #served = 0;
  /** As its connection has it: moved by chance, and 0 without a limit of age. */
  readonly #bornMs: number;
  /** Who waits for the peer's settings, which say how many it takes; null once they have come. */
  #gathering: Gathering | null;

  /** Takes a connection that stands, its place in the pool, and who has gathered to wait for it. */
  constructor(
    connection: Connection,
    cluster: Cluster,
    endpoint: Endpoint,
    bornMs: number,
    gathering: Gathering | null = null,
  ) {
    this.#gathering = gathering;
    this.#bornMs = bornMs;
    this.cluster = cluster;
    this.endpoint = endpoint;
    this.session = new Session(
      connection,
      false,
      [
        [Setting.ENABLE_PUSH, 0],
        [Setting.INITIAL_WINDOW_SIZE, STREAM_WINDOW_BYTES],
        [Setting.MAX_HEADER_LIST_SIZE, HEAD_BYTES_MAX],
      ],
      this,
    );
    gathering?.stands(this, cluster.options.timeouts.connectMs);
  }

  get roomy(): boolean {
    const { session } = this;
    if (this.#gathering !== null || this.#leaving || session.over || session.ownStream >= LAST_STREAM - 2) return false;
    return this.#streams < Math.min(STREAMS, session.peerStreams);
  }

  get vacant(): boolean {
    return this.#streams === 0 && this.#gathering === null && !this.session.over;
  }

  /** A stream for one exchange; its request follows at once. */
  open(): UpstreamStream {
    const { session } = this;
    session.connection.expireIn(0);
    session.ownStream = session.ownStream === 0 ? 1 : session.ownStream + 2;
    this.#streams++;
    return new UpstreamStream(session, session.ownStream, this);
  }

  /** A stream of it has got its exchange. */
  began(): void {
    this.#served++;
    if (!this.#leaving && this.#isSpent()) this.#leave();
  }

  /** Whether it has served for long enough. */
  #isSpent(): boolean {
    const { maxAgeMs, maxRequests } = this.cluster.options.pool;
    if (maxRequests > 0 && this.#served >= maxRequests) return true;
    return maxAgeMs > 0 && performance.now() - this.#bornMs > maxAgeMs;
  }

  retire(): void {
    if (this.#streams > 0) this.#leave();
    else this.session.end();
  }

  /** One stream less. */
  left(): void {
    this.#streams--;
    this.used = true;
    const { session, cluster } = this;
    if (session.over) return;
    if (!this.#leaving && this.#isSpent()) this.#leave();
    if (this.#streams > 0) return cluster.wake();
    if (this.#leaving) return session.end();
    session.connection.expireIn(cluster.options.pool.idleTimeoutMs);
    cluster.wake();
  }

  // What the session tells.

  beginBlock(stream: number): Stream | null {
    const found = this.session.streams.get(stream) ?? null;
    const trailing = found !== null && (found as UpstreamStream).answered;
    block.begin(trailing ? BlockKind.TRAILERS : BlockKind.RESPONSE, HEAD_BYTES_MAX, HEADERS);
    return found;
  }

  onBlock(stream: number): void {
    // One that we broke off may still be answered.
    if ((stream & 1) === 0 || stream > this.session.ownStream) {
      this.session.fail(Reason.PROTOCOL_ERROR, 'a stream that was never opened');
    }
  }

  settled(): void {
    const gathering = this.#gathering;
    this.#gathering = null;
    gathering?.share(this);
    this.cluster.wake();
  }

  goingAway(last: number, _reason: number): void {
    this.#leave();
    for (const stream of [...this.session.streams.values()]) {
      if (stream.number > last) (stream as UpstreamStream).fail(proxyError('stream_refused', 'GOAWAY'));
    }
    if (this.#streams === 0) this.session.end();
  }

  ponged(): void {}

  over(reason: string): void {
    this.session.connection.expireIn(0);
    if (this.#leaving) this.endpoint.pool.left();
    else this.endpoint.pool.closed(this);
    const gathering = this.#gathering;
    this.#gathering = null;
    gathering?.close();
    const streams = [...this.session.streams.values()];
    for (const stream of streams) (stream as UpstreamStream).cut(reason);
    gathering?.broken(reason, streams.length > 0);
    this.cluster.wake();
  }

  writable(): void {
    this.session.pump();
  }

  expired(): void {
    if (this.#streams > 0) return;
    this.session.goAway(0, Reason.NO_ERROR);
    this.session.end();
  }

  crashed(error: unknown): void {
    const told = crash(error);
    for (const stream of [...this.session.streams.values()]) (stream as UpstreamStream).fail(told);
  }

  #leave(): void {
    if (this.#leaving || this.session.over) return;
    this.#leaving = true;
    this.endpoint.pool.leave(this);
    // Another may be dialed in its place, but not by those who are in the midst of something.
    this.cluster.wakeSoon();
  }
}

class UpstreamStream extends Stream implements Upstream {
  readonly endpoint: Endpoint;
  readonly multiplexed = true;
  blamed = false;
  requestComplete = false;
  /** Whether the final head has come. */
  answered = false;
  readonly #owner: UpstreamSession;
  readonly #late: boolean;
  #user: UpstreamUser | null = null;
  #bodyless = false;
  #interims = 0;
  /** Whether anything of the reply has come. */
  #replying = false;
  /** Of the reply's body: what is still to come by what its head says; -1 unknown. */
  #left = -1;
  #empty = false;
  #advanced = false;

  constructor(session: Session, number: number, owner: UpstreamSession) {
    super(session, number);
    this.#owner = owner;
    this.endpoint = owner.endpoint;
    this.#late = owner.used;
  }

  // Upstream.

  get reused(): boolean {
    return this.#late && this.session.over;
  }

  get blocked(): boolean {
    return this.waiting || this.session.connection.blocked;
  }

  begin(user: UpstreamUser, bodyless: boolean): void {
    this.#user = user;
    this.#bodyless = bodyless;
    this.#owner.began();
  }

  sendHead(bytes: Uint8Array, start: number, end: number, last: boolean): void {
    if (this.gone) return;
    const scheme = this.#owner.cluster.tls === null ? 'http' : 'https';
    if (blockRoom(end - start) > encoded.length) return this.fail(proxyError('overloaded', 'request head'));
    this.session.sendBlock(this.number, last, putRequestHead(bytes, start, end, scheme, encoded));
    if (last) this.localEnded = true;
  }

  send(bytes: Uint8Array, start: number, end: number): boolean {
    return this.sendData(bytes, start, end, false);
  }

  override sendEnd(trailers: Buffer): void {
    super.sendEnd(trailers);
  }

  pause(): void {
    this.hold();
  }

  resume(): void {
    this.release();
  }

  expireIn(ms: number): void {
    if (ms > 0 && !this.gone) wheel.arm(this, ms);
    else wheel.disarm(this);
  }

  progressed(): boolean {
    const advanced = this.#advanced || !this.blocked;
    this.#advanced = false;
    return advanced;
  }

  refusedRequest(): boolean {
    return false;
  }

  park(): void {
    this.#user = null;
    // Its number is passed over, which closes it for the peer as well (RFC 9113 5.1.1).
    this.leave();
  }

  replace(from: UpstreamUser, to: UpstreamUser): void {
    if (this.#user === from) this.#user = to;
  }

  abandon(): void {
    this.#user = null;
    this.reset(Reason.CANCEL);
  }

  override expire(): void {
    const error = this.#user?.expired() ?? null;
    if (error !== null) this.#breakOff(error, Reason.CANCEL);
  }

  // Stream.

  onBlock(last: boolean): void {
    if (last) this.remoteEnded = true;
    if (block.tooLarge) return this.#breakOff(proxyError('bad_response', 'head too large'), Reason.CANCEL);
    if (block.fault !== '') return this.#breakOff(proxyError('bad_response', block.fault), Reason.PROTOCOL_ERROR);
    if (this.answered) return this.#onTrailers(last);
    this.#replying = true;
    const status = Number(block.pseudo(Pseudo.STATUS));
    const fault = Number.isInteger(status) ? head.adopt(block.fields, block.lineStart, block.lineEnd, status) : null;
    if (fault !== null || !Number.isInteger(status)) {
      return this.#breakOff(fault ?? proxyError('bad_response', 'status'), Reason.PROTOCOL_ERROR);
    }
    if (status < 200) {
      if (last || ++this.#interims > INTERIM_HEADS) {
        return this.#breakOff(proxyError('bad_response', 'interim heads'), Reason.PROTOCOL_ERROR);
      }
      this.#user?.replyHead(head, true);
      return;
    }
    this.answered = true;
    this.#empty = last || this.#bodyless || status === 204 || status === 304;
    this.#left = this.#empty ? -1 : head.contentLength;
    if (last && !this.#bodyless && status !== 304 && head.contentLength > 0) {
      return this.#breakOff(proxyError('bad_response', 'Content-Length without a body'), Reason.PROTOCOL_ERROR);
    }
    this.#user?.replyHead(head, this.#empty);
    if (last) this.#finish(null);
  }

  #onTrailers(last: boolean): void {
    if (!last) return this.#breakOff(proxyError('bad_response', 'trailers that do not end'), Reason.PROTOCOL_ERROR);
    this.endWith(block.fields);
  }

  onReset(reason: number): void {
    // RFC 9113 8.1: a whole reply, and then the word that the rest of the request is not wanted.
    if (this.remoteEnded && reason === Reason.NO_ERROR) return this.leave();
    this.leave();
    if (reason === Reason.REFUSED_STREAM) return this.#failUser(proxyError('stream_refused', 'REFUSED_STREAM'));
    this.#failUser(proxyError(this.#replying ? 'response_cut' : 'origin_closed', reasonName(reason)));
  }

  protected take(bytes: Uint8Array, start: number, end: number): boolean {
    if (!this.answered || this.#empty || (this.#left >= 0 && end - start > this.#left)) {
      this.#breakOff(proxyError('bad_response', 'a body that was not announced'), Reason.PROTOCOL_ERROR);
      return true;
    }
    if (this.#left >= 0) this.#left -= end - start;
    const { idleMs } = this.#owner.cluster.options.timeouts;
    if (!this.remoteEnded) this.expireIn(idleMs);
    this.#user?.replyData(bytes, start, end);
    return !this.held;
  }

  protected takeEnd(trailers: Fields | null): void {
    if (!this.answered)
      return this.#breakOff(proxyError('bad_response', 'a body without a head'), Reason.PROTOCOL_ERROR);
    if (this.#left > 0) return this.#breakOff(proxyError('response_cut', 'shorter than announced'), Reason.CANCEL);
    this.#finish(trailers);
  }

  protected emptied(): void {
    this.#user?.drained();
  }

  protected override advanced(): void {
    this.#advanced = true;
  }

  protected broken(reason: number): void {
    this.#failUser(proxyError('bad_response', reasonName(reason)));
  }

  /** The connection is gone. */
  cut(reason: string): void {
    this.leave();
    this.#failUser(proxyError(this.#replying ? 'response_cut' : 'origin_closed', reason));
  }

  /** Ends without a word to the endpoint, which knows. */
  fail(error: ProxyError): void {
    this.leave();
    this.#failUser(error);
  }

  protected override left(): void {
    this.#owner.left();
  }

  /** The reply is complete. */
  #finish(trailers: Fields | null): void {
    const user = this.#user;
    this.#user = null;
    // The endpoint does not want the rest of the request.
    if (!this.localEnded) this.reset(Reason.CANCEL);
    else this.leave();
    try {
      user?.replied(trailers);
    } catch (error) {
      user?.failed(crash(error));
    }
  }

  #breakOff(error: ProxyError, reason: number): void {
    const user = this.#user;
    this.#user = null;
    this.reset(reason);
    user?.failed(error);
  }

  #failUser(error: ProxyError): void {
    const user = this.#user;
    this.#user = null;
    user?.failed(error);
  }
}
