// What ties a request to an endpoint: the key that a hash goes by, and the cookie that names the one of last time.

import { hashBytes, hashText } from '../base/hash.ts';
import type { HashOptions } from '../upstream/options.ts';
import { FieldId } from '../wire/field-id.ts';
import { findPair, pair } from '../wire/pairs.ts';
import type { Exchange } from './exchange.ts';

const SEMICOLON = 0x3b;
const AMPERSAND = 0x26;

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
      return hashBytes(bytes, pair.start, pair.end);
    case 'header': {
      const { fields } = requestHead;
      const field = fields.find(nameBytes(name));
      return field < 0 ? anything() : hashBytes(fields.bytes, fields.valueStart(field), fields.valueEnd(field));
    }
    case 'cookie':
      return findCookie(exchange, name) ? hashBytes(requestBytes(exchange), pair.start, pair.end) : anything();
  }
}

/** The value of a cookie, '' without it. To be asked while the head is borrowed. */
export function cookieOf(exchange: Exchange, name: string): string {
  return findCookie(exchange, name) ? requestBytes(exchange).toString('latin1', pair.start, pair.end) : '';
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
