// The head of a request as the upstream gets it: hop-by-hop fields dropped, the client named, the route's edits applied.
// RFC 9110 7.6 and RFC 9112 3 say what a proxy must change. Kept lines are copied in as few blocks as possible.

import type { ErrorCode } from '../base/errors.ts';
import { PathOutcome } from '../route/rewrite.ts';
import type { ClusterOptions } from '../upstream/options.ts';
import { FieldId } from '../wire/field-id.ts';
import { carve } from '../wire/http1/llhttp.ts';
import { Method } from '../wire/http1/method.ts';
import { literal, putCrlf, putLiteral, putRange, putText } from '../wire/http1/writer.ts';
import { TargetForm } from '../wire/uri.ts';
import { Forward } from './client.ts';
import type { Exchange } from './exchange.ts';
import { drops } from './field-edits.ts';

/** Longest head that is written; a longer one is refused like a request head that is too large. */
export const REQUEST_HEAD_BYTES = 64 * 1024;

/** Where heads are written before they are sent or kept. */
const scratch = carve(REQUEST_HEAD_BYTES);

const VERSION_LINE = literal(' HTTP/1.1\r\n');
const HOST = literal('Host: ');
const CHUNKED = literal('Transfer-Encoding: chunked\r\n');
const UPGRADE = literal('Connection: upgrade\r\n');
const TRAILERS = literal('TE: trailers\r\nConnection: TE\r\n');
const VIA_1_1 = literal('Via: 1.1 millrace\r\n');
const VIA_2 = literal('Via: 2.0 millrace\r\n');
const VIA_1_0 = literal('Via: 1.0 millrace\r\n');
const REQUEST_ID = literal('X-Request-Id: ');
const FOR = literal('X-Forwarded-For: ');
const PROTO = { http: literal('X-Forwarded-Proto: http\r\n'), https: literal('X-Forwarded-Proto: https\r\n') };
const FORWARDED_HOST = literal('X-Forwarded-Host: ');
const FORWARDED = literal('Forwarded: ');
const LIST = literal(', ');
const ASTERISK = literal('*');
const QUERY = literal('?');

/**
 * The head that was written last, in the shared memory. `gap`: where a Host field with the endpoint's own name belongs,
 * -1 when the head has its Host.
 */
export const written = { start: scratch, end: scratch, gap: -1 };

/**
 * Writes the head; see `written`. `host` is what the cluster demands (its option of that name). Answers null,
 * or why there is no such head.
 */
export function writeRequestHead(exchange: Exchange, host: ClusterOptions['host']): ErrorCode | null {
  const { requestHead: head, client, route } = exchange;
  const rewritten = route.rewrite?.host ?? null;
  const demanded =
    rewritten !== null ? rewritten.toString('latin1') : host === 'preserve' || host === 'endpoint' ? '' : host;
  if (roomFor(exchange, demanded) > REQUEST_HEAD_BYTES) return 'head_too_large';
  let at = putRequestLine(exchange, scratch);
  if (at < 0) return 'bad_target';
  // RFC 9112 3.2.2: the authority of an absolute target wins over Host.
  const absolute = exchange.target.form === TargetForm.ABSOLUTE;
  const named = demanded !== '' || host === 'endpoint';
  written.gap = -1;
  if (demanded !== '') at = putCrlf(putText(demanded, putLiteral(HOST, at)));
  else if (named || (head.host < 0 && !absolute)) written.gap = at;
  else if (absolute) at = putAuthority(exchange, HOST, at);
  at = putKept(exchange, named || absolute, at);
  if (head.chunked) at = putLiteral(CHUNKED, at);
  if (head.maxForwards > 0) at = putText(`Max-Forwards: ${head.maxForwards - 1}\r\n`, at);
  if (exchange.upgrading) at = putLiteral(UPGRADE, at);
  else if (head.takesTrailers) at = putLiteral(TRAILERS, at);
  if (client.via) at = putLiteral(head.major === 2 ? VIA_2 : head.minor === 1 ? VIA_1_1 : VIA_1_0, at);
  at = putText(client.lines, at);
  at = putForwarded(exchange, at);
  if (client.makesId && !(client.keepsId && has(exchange, FieldId.X_REQUEST_ID))) {
    at = putCrlf(exchange.putId(putLiteral(REQUEST_ID, at)));
  }
  const edits = route.rewrite?.request ?? null;
  if (edits !== null) at = putRange(edits.lines, 0, edits.lines.length, at);
  written.end = putCrlf(at);
  return null;
}

/** Upper bound of what the head will take. */
function roomFor(exchange: Exchange, host: string): number {
  const { requestHead: head, client, route, query } = exchange;
  const { fields } = head;
  const read = (fields.count > 0 ? fields.lineEnd(fields.count - 1) : head.targetEnd) - head.methodStart;
  // What a trusted proxy said may be written twice; 1024 covers the literals, the id and an element of ours.
  const twice = hasForwarded(client.xForwarded, client.standard) ? read : 0;
  const rewrite = route.rewrite;
  let added = 0;
  if (rewrite !== null) {
    added = (rewrite.path?.roomBytes(query.pathEnd - query.pathStart) ?? 0) + (rewrite.request?.lines.length ?? 0);
  }
  return read + twice + host.length + client.lines.length + added + 1024;
}

function hasForwarded(xForwarded: number, standard: number): boolean {
  return xForwarded === Forward.APPEND || standard !== Forward.OFF;
}

/** Answers -1 when the route's new path is one that must not be sent. */
function putRequestLine(exchange: Exchange, at: number): number {
  const { requestHead: head, target, bytes, query } = exchange;
  const rewrite = exchange.route.rewrite?.path ?? null;
  const plain = query.pathBytes === bytes && target.form === TargetForm.ORIGIN;
  if (plain && rewrite === null) {
    return putLiteral(VERSION_LINE, putRange(bytes, head.methodStart, head.targetEnd, at));
  }
  at = putRange(bytes, head.methodStart, head.targetStart, at);
  // RFC 9112 3.2.4: an absolute target without path and query means `*` for OPTIONS, `/` for everything else.
  if (exchange.method === Method.OPTIONS && target.pathStart === target.pathEnd && target.queryStart < 0) {
    return putLiteral(VERSION_LINE, putLiteral(ASTERISK, at));
  }
  const written =
    rewrite === null ? PathOutcome.KEPT : rewrite.write(query.pathBytes, query.pathStart, query.pathEnd, bytes, at);
  if (written >= 0) at += written;
  else if (written !== PathOutcome.KEPT) return -1;
  else at = putRange(query.pathBytes, query.pathStart, query.pathEnd, at);
  if (target.queryStart >= 0) at = putRange(bytes, target.queryStart, target.queryEnd, putLiteral(QUERY, at));
  return putLiteral(VERSION_LINE, at);
}

/** Copies the lines that go on as they are. */
function putKept(exchange: Exchange, replacesHost: boolean, at: number): number {
  const { requestHead: head, client, bytes } = exchange;
  const { fields } = head;
  const edits = exchange.route.rewrite?.request ?? null;
  let from = -1;
  let to = -1;
  for (let field = 0; field < fields.count; field++) {
    let keeps: boolean;
    switch (fields.id(field)) {
      case FieldId.OTHER:
      case FieldId.COOKIE:
        keeps = !head.nominating || !head.nominates(field);
        break;
      case FieldId.HOST:
        keeps = !replacesHost;
        break;
      case FieldId.CONTENT_LENGTH:
      case FieldId.VIA:
      case FieldId.DATE:
      case FieldId.TRAILER:
      case FieldId.PROXY_AUTHENTICATE:
        keeps = true;
        break;
      case FieldId.EXPECT:
        // RFC 9110 10.1.1: an expectation of an HTTP/1.0 client is ignored.
        keeps = head.minor === 1;
        break;
      case FieldId.UPGRADE:
        keeps = exchange.upgrading;
        break;
      case FieldId.MAX_FORWARDS:
        keeps = head.maxForwards < 0;
        break;
      case FieldId.X_FORWARDED_FOR:
        keeps = client.xForwarded === Forward.OFF && client.trusted;
        break;
      case FieldId.X_FORWARDED_PROTO:
      case FieldId.X_FORWARDED_HOST:
        keeps = client.trusted && client.xForwarded !== Forward.REPLACE;
        break;
      case FieldId.FORWARDED:
        keeps = client.standard === Forward.OFF && client.trusted;
        break;
      case FieldId.X_REQUEST_ID:
        keeps = client.keepsId;
        break;
      case FieldId.CLIENT_CERTIFICATE:
        keeps = client.keepsCertificate;
        break;
      default:
        // Connection, Keep-Alive, Proxy-Connection, TE, Transfer-Encoding, HTTP2-Settings, Proxy-Authorization:
        // they concern this hop alone.
        keeps = false;
    }
    if (keeps && edits !== null && drops(edits, fields, field)) keeps = false;
    if (keeps) {
      if (from < 0) from = fields.nameStart(field);
      to = fields.lineEnd(field);
    } else if (from >= 0) {
      at = putRange(bytes, from, to, at);
      from = -1;
    }
  }
  return from >= 0 ? putRange(bytes, from, to, at) : at;
}

/** What a trusted proxy said is kept and continued; what is replaced was written with the client's own lines. */
function putForwarded(exchange: Exchange, at: number): number {
  const { client } = exchange;
  if (client.xForwarded !== Forward.OFF) {
    if (client.xForwarded === Forward.APPEND) {
      at = putListed(exchange, FieldId.X_FORWARDED_FOR, putLiteral(FOR, at));
      at = putCrlf(putText(client.name, at));
      if (!(client.trusted && has(exchange, FieldId.X_FORWARDED_PROTO))) at = putLiteral(PROTO[client.scheme], at);
    }
    const named = client.trusted && client.xForwarded === Forward.APPEND && has(exchange, FieldId.X_FORWARDED_HOST);
    if (!named && hasAuthority(exchange)) at = putAuthority(exchange, FORWARDED_HOST, at);
  }
  if (client.standard !== Forward.OFF) {
    at = putLiteral(FORWARDED, at);
    if (client.standard === Forward.APPEND) at = putListed(exchange, FieldId.FORWARDED, at);
    at = putText(client.element, at);
    if (hasAuthority(exchange)) {
      at = putText(';host="', at);
      at = putText('"', putRange(exchange.bytes, authorityStart(exchange), authorityEnd(exchange), at));
    }
    at = putText(client.scheme === 'https' ? ';proto=https\r\n' : ';proto=http\r\n', at);
  }
  return at;
}

/** The values of all lines of this field, each followed by a comma. */
function putListed(exchange: Exchange, id: number, at: number): number {
  const { fields } = exchange.requestHead;
  for (let field = 0; field < fields.count; field++) {
    if (fields.id(field) !== id || fields.valueEnd(field) === fields.valueStart(field)) continue;
    at = putLiteral(LIST, putRange(exchange.bytes, fields.valueStart(field), fields.valueEnd(field), at));
  }
  return at;
}

function has(exchange: Exchange, id: number): boolean {
  const { fields } = exchange.requestHead;
  for (let field = 0; field < fields.count; field++) if (fields.id(field) === id) return true;
  return false;
}

function hasAuthority(exchange: Exchange): boolean {
  return authorityEnd(exchange) > authorityStart(exchange);
}

function authorityStart(exchange: Exchange): number {
  const { target, requestHead: head } = exchange;
  if (target.form === TargetForm.ABSOLUTE) return target.authorityStart;
  return head.host < 0 ? 0 : head.fields.valueStart(head.host);
}

function authorityEnd(exchange: Exchange): number {
  const { target, requestHead: head } = exchange;
  if (target.form === TargetForm.ABSOLUTE) return target.authorityEnd;
  return head.host < 0 ? 0 : head.fields.valueEnd(head.host);
}

function putAuthority(exchange: Exchange, name: typeof HOST, at: number): number {
  at = putRange(exchange.bytes, authorityStart(exchange), authorityEnd(exchange), putLiteral(name, at));
  return putCrlf(at);
}
