// What an exchange needs of an endpoint, whatever the version: somewhere for its request to go, and somebody to tell of
// the reply. Which endpoint that is, and what is tried when it fails, is decided in proxy.

import type { ProxyError } from '../base/errors.ts';
import type { Connection } from '../io/connection.ts';
import type { Endpoint } from '../upstream/endpoint.ts';
import type { Fields } from '../wire/fields.ts';
import type { ResponseHead } from '../wire/http1/head.ts';

/** A connection, or a stream of one, for one exchange. */
export interface Upstream {
  readonly endpoint: Endpoint;
  /**
   * Whether the connection has served an exchange before: the origin may have closed it meanwhile. A stream that ends says
   * so only when it was lost with its connection.
   */
  readonly reused: boolean;
  /** Whether it is one stream of several on a connection, any of which may be refused on its own. */
  readonly multiplexed: boolean;
  /** Whether its failure has been held against the endpoint. */
  blamed: boolean;
  /** Whether enough waits to be sent that no more should be added. */
  readonly blocked: boolean;
  /** Whether all of the request has been handed over. */
  requestComplete: boolean;
  /**
   * Takes it for one exchange. `bodyless`: replies have no body (HEAD). `upgrading`: 101 is expected. `chunked`: the length
   * of the request's body is not known before its end.
   */
  begin(user: UpstreamUser, bodyless: boolean, upgrading: boolean, chunked: boolean): void;
  /** Sends a head as the request writer writes it. `last`: no body follows. */
  sendHead(bytes: Uint8Array, start: number, end: number, last: boolean): void;
  /** Sends a piece of the body. False: send no more until `drained`, and leave the bytes as they are until then. */
  send(bytes: Uint8Array, start: number, end: number): boolean;
  /** The body is complete; `trailers` are whole field lines, empty for none. */
  sendEnd(trailers: Buffer): void;
  /** The reply is paused and goes on. */
  pause(): void;
  resume(): void;
  /** Sets the deadline to `ms` from now; 0 clears it. */
  expireIn(ms: number): void;
  /** Whether anything that waited has been taken since this was last asked. */
  progressed(): boolean;
  /** Whether nothing of the request can have been seen, though it was sent. */
  refusedRequest(error: ProxyError): boolean;
  /** Nothing is to be sent on it after all: keeps it for later. Only in place of `begin`. */
  park(): void;
  /** From now on `to` is its user in place of `from`. */
  replace(from: UpstreamUser, to: UpstreamUser): void;
  /** Gives the exchange up; `user`, whose it is, hears nothing more. */
  abandon(user: UpstreamUser): void;
}

/** Who uses it for an exchange. After `replied`, `switched` or `failed` it is not its any more. */
export interface UpstreamUser {
  /** The connection that was dialed stands; this is to be used on it. */
  connected(upstream: Upstream): void;
  /** A head, interim ones (1xx) included; `last`: no body follows, but `replied` does. Borrowed. */
  replyHead(head: ResponseHead, last: boolean): void;
  /** A piece of the body: borrowed, as by a `Sink`. */
  replyData(bytes: Uint8Array, start: number, end: number): void;
  replied(trailers: Fields | null): void;
  /** The reply was 101 to a request for another protocol; `start..end` of the shared memory came behind its head. */
  switched(connection: Connection, start: number, end: number): void;
  /** The endpoint takes more of the request again. */
  drained(): void;
  failed(error: ProxyError): void;
  /** The deadline has passed; answers what that means, null to go on. */
  expired(): ProxyError | null;
}
