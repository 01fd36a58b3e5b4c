// What ties a request to an endpoint: the key that a hash goes by, and the cookie that names the one of last time.

import { hashBytes, hashText } from '../base/hash.ts';
import type { HashOptions } from '../upstream/options.ts';
import { FieldId } from '../wire/field-id.ts';
import type { Exchange } from './exchange.ts';

const EQUALS = 0x3d;
const SEMICOLON = 0x3b;
const AMPERSAND = 0x26;

/** Where `findPair` has found a value. */
const found = { start: 0, end: 0 };

/** 32 bits of the key; of a request without it a random number, so that those spread. To be asked while the head is borrowed. */
export function hashOf(exchange: Exchange, { on, name }: HashOptions): number {
  const { target, bytes, query, requestHead } = exchange;
  switch (on) {
    case 'client-ip':
      return hashText(exchange.client.address);
    case 'path':
      return hashBytes(query.pathBytes, query.pathStart, query.pathEnd);
    case 'query':
      if (target.queryStart < 0 || !findPair(bytes, target.queryStart + 1, target.queryEnd, name, AMPERSAND))
        return anything();
      return hashBytes(bytes, found.start, found.end);
    case 'header': {
      const { fields } = requestHead;
      const field = fields.find(nameBytes(name));
      return field < 0 ? anything() : hashBytes(fields.bytes, fields.valueStart(field), fields.valueEnd(field));
    }
    case 'cookie':
      return findCookie(exchange, name) ? hashBytes(requestBytes(exchange), found.start, found.end) : anything();
  }
}

/** The value of a cookie, '' without it. To be asked while the head is borrowed. */
export function cookieOf(exchange: Exchange, name: string): string {
  return findCookie(exchange, name) ? requestBytes(exchange).toString('latin1', found.start, found.end) : '';
}

function requestBytes({ requestHead }: Exchange): Buffer {
  return requestHead.fields.bytes as Buffer;
}

function findCookie({ requestHead }: Exchange, name: string): boolean {
  const { fields } = requestHead;
  for (let field = 0; field < fields.count; field++) {
    if (fields.id(field) !== FieldId.COOKIE) continue;
    if (findPair(fields.bytes, fields.valueStart(field), fields.valueEnd(field), name, SEMICOLON)) return true;
  }
  return false;
}

/** Finds `name=value` among those that `between` separates (RFC 6265 5.4; for queries as browsers write them). */
function findPair(bytes: Uint8Array, start: number, end: number, name: string, between: number): boolean {
  for (let at = start; at < end; ) {
    let stop = bytes.indexOf(between, at);
    if (stop < 0 || stop > end) stop = end;
    while (at < stop && bytes[at] === 0x20) at++;
    if (stop - at > name.length && bytes[at + name.length] === EQUALS && startsWith(bytes, at, name)) {
      found.start = at + name.length + 1;
      found.end = stop;
      return true;
    }
    at = stop + 1;
  }
  return false;
}

function startsWith(bytes: Uint8Array, at: number, name: string): boolean {
  for (let i = 0; i < name.length; i++) if (bytes[at + i] !== name.charCodeAt(i)) return false;
  return true;
}

const names = new Map<string, Buffer>();

/** Names are of configurations, so there are few. */
function nameBytes(name: string): Buffer {
  let bytes = names.get(name);
  if (bytes === undefined) names.set(name, (bytes = Buffer.from(name, 'latin1')));
  return bytes;
}

function anything(): number {
  return (Math.random() * 0x1_0000_0000) >>> 0;
}
