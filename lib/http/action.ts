// Actions that need no upstream: a fixed reply and a redirect. A request body is read and dropped first, if it is small,
// so that the connection can be kept.

import { type ProxyError, proxyError } from '../base/errors.ts';
import type { Redirect } from '../route/redirect.ts';
import type { RequestHead } from '../wire/http1/head.ts';
import { Method } from '../wire/http1/method.ts';
import type { Action, Exchange } from './exchange.ts';
import { composeReply, errorReply, type LocalReply, sendReply } from './local-reply.ts';
import type { Sink } from './sink.ts';

/** Longest request body that is waited for before a local reply; with a longer one the connection is closed. */
const DROPPED_BYTES = 64 * 1024;

/** Answers always the same. */
export function responding(status: number, fields: Readonly<Record<string, string>>, body: string): Action {
  const reply = composeReply(status, fields, body);
  return { begin: (exchange) => new LocalSink(exchange, () => reply) };
}

/** Answers with the text that belongs to the last segment of the path, and with 404 where that is ''. */
export function answering(text: (last: string) => string): Action {
  return { begin: (exchange) => new LocalSink(exchange, () => lookUp(text, exchange)) };
}

/** Answers with a failure. */
export function failing(error: ProxyError): Action {
  return { begin: (exchange) => new LocalSink(exchange, () => errorReply(error, exchange.id())) };
}

/** Answers with a redirect. */
export function redirecting(redirect: Redirect): Action {
  return { begin: (exchange) => new LocalSink(exchange, () => compose(redirect, exchange)) };
}

function compose(redirect: Redirect, exchange: Exchange): LocalReply {
  const { target, bytes, query } = exchange;
  const search = target.queryStart < 0 ? '' : bytes.toString('latin1', target.queryStart, target.queryEnd);
  const location = redirect.location(query, search, exchange.client.scheme);
  if (location === null) return errorReply(proxyError('bad_target', 'no redirect can be made of it'), exchange.id());
  return composeReply(redirect.status, { Location: location }, '');
}

function lookUp(text: (last: string) => string, { query }: Exchange): LocalReply {
  const path = query.pathBytes.toString('latin1', query.pathStart, query.pathEnd);
  const found = text(path.slice(path.lastIndexOf('/') + 1));
  return found === '' ? composeReply(404, {}, 'Not Found\n') : composeReply(200, {}, found);
}

/** Takes a request and answers by itself. */
class LocalSink implements Sink<RequestHead> {
  readonly #exchange: Exchange;
  readonly #compose: () => LocalReply;
  #reply: LocalReply | null = null;

  constructor(exchange: Exchange, compose: () => LocalReply) {
    this.#exchange = exchange;
    this.#compose = compose;
  }

  head(head: RequestHead, last: boolean): boolean {
    const reply = this.#compose();
    if (last || head.expectsContinue || head.contentLength < 0 || head.contentLength > DROPPED_BYTES) this.#send(reply);
    else this.#reply = reply;
    return true;
  }

  data(): boolean {
    return true;
  }

  end(): void {
    if (this.#reply !== null) this.#send(this.#reply);
  }

  abort(): void {
    this.#reply = null;
  }

  #send(reply: LocalReply): void {
    this.#reply = null;
    sendReply(this.#exchange.reply, reply, this.#exchange.method === Method.HEAD);
  }
}
