// One HTTP request and its response, whatever the version: what actions need to know about the client and the request,
// and where the reply goes.

import type { Connection } from '../io/connection.ts';
import type { RouteQuery } from '../route/match.ts';
import type { Rewrite } from '../route/rewrite.ts';
import type { RequestHead, ResponseHead } from '../wire/http1/head.ts';
import type { Target } from '../wire/uri.ts';
import type { Client } from './client.ts';
import type { Sink, Source } from './sink.ts';

/** What a route leads to, built once with the snapshot. */
export interface RouteTarget {
  readonly action: Action;
  /** Changes on the way, null when there are none. */
  readonly rewrite: Rewrite | null;
}

/** What answers an exchange. */
export interface Action {
  /** The request flows into the sink answered; the reply must flow into `exchange.reply`. */
  begin(exchange: Exchange): Sink<RequestHead>;
}

/** Where a reply goes, and what else can be asked of the client's side. */
export interface ReplySink extends Sink<ResponseHead> {
  /** Where the reply comes from, so that it can be paused; set by the action while there is one. */
  source: Source | null;
  /** Lines for the head of the final reply, set by the action before it; they serve once. */
  added: string;
  /**
   * The reply was `101`, and its head has been sent: from now on the client's bytes go to `upstream` and back. Owns
   * `upstream`; `start..end` of the shared memory is what it has sent already. `ended` is told once when it is over.
   */
  tunnel(upstream: Connection, start: number, end: number, ended: () => void): void;
}

export interface Exchange {
  readonly client: Client;
  /** The request as read. Borrowed: valid until the sink's `head` has returned. */
  readonly requestHead: RequestHead;
  readonly target: Target;
  /** Where the parts of `target` stand: the shared memory. Borrowed like the head. */
  readonly bytes: Buffer;
  /** Host and path as routes see them; the path may be a normalised copy. Borrowed like the head. */
  readonly query: RouteQuery;
  readonly route: RouteTarget;
  /** Number of the method (see wire/http1/method). Valid for the whole exchange, like all below. */
  readonly method: number;
  /** Minor version of the client's HTTP/1. */
  readonly minor: number;
  /** Whether the client asked for another protocol. */
  readonly upgrading: boolean;
  readonly request: Source;
  readonly reply: ReplySink;
  /** The request's id; made when it is first asked for. */
  id(): string;
  /** Writes the id at `at` of the shared memory; answers the offset after it. */
  putId(at: number): number;
}
