// Replies that we make ourselves: what `respond` and redirects say, and how failures look to a client.

import { STATUS_CODES } from 'node:http';
import type { ProxyError } from '../base/errors.ts';
import { identifyField } from '../wire/field-id.ts';
import { Fields } from '../wire/fields.ts';
import { ResponseHead } from '../wire/http1/head.ts';
import type { ReplySink } from './exchange.ts';

/** A whole reply, composed once and sent any number of times. */
export interface LocalReply {
  readonly head: ResponseHead;
  readonly body: Buffer;
}

/**
 * Composes a reply; Content-Length is added. Names and values must be free of CR and LF: they come from configuration,
 * which has been checked, or from our own code.
 */
export function composeReply(status: number, fields: Readonly<Record<string, string>>, text: string): LocalReply {
  // RFC 9110 15.3.5 and 15.4.5: these end with their heads, whatever is said.
  const bodyless = status === 204 || status === 304;
  const body = Buffer.from(bodyless ? '' : text);
  const names = Object.keys(fields).map((name) => name.toLowerCase());
  const lines: [string, string][] = Object.entries(fields);
  if (!names.includes('content-type') && body.length > 0) lines.push(['Content-Type', 'text/plain; charset=utf-8']);
  if (!bodyless) lines.push(['Content-Length', String(body.length)]);
  const reason = STATUS_CODES[status] ?? '';
  const line = `HTTP/1.1 ${status} ${reason}\r\n`;
  const bytes = Buffer.from(`${line}${lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`);
  const table = new Fields(bytes);
  let at = line.length;
  for (const [name, value] of lines) {
    const nameEnd = at + Buffer.byteLength(name);
    const valueEnd = nameEnd + 2 + Buffer.byteLength(value);
    const field = table.count;
    table.add(at, nameEnd);
    table.setValue(field, nameEnd + 2, valueEnd);
    table.setLineEnd(field, valueEnd + 2);
    table.setId(field, identifyField(bytes, at, nameEnd));
    at = valueEnd + 2;
  }
  const head = new ResponseHead();
  head.fields = table;
  head.status = status;
  head.reasonStart = 13;
  head.reasonEnd = line.length - 2;
  head.contentLength = body.length;
  return { head, body };
}

/** Sends a composed reply. For HEAD the body is left out. */
export function sendReply(reply: ReplySink, { head, body }: LocalReply, bodyless: boolean): void {
  const last = bodyless || body.length === 0;
  reply.head(head, last);
  if (last) return;
  reply.data(body, 0, body.length);
  reply.end(null);
}

/** What a client is told about a failure. The id helps the operator to find it in the log. */
export function errorReply(error: ProxyError, id: string): LocalReply {
  const { status, text } = error.kind;
  const fields: Record<string, string> = { 'X-Request-Id': id, 'Cache-Control': 'no-store' };
  // RFC 9110 15.5.6: 405 lists what is allowed; CONNECT is the one method that is not.
  if (status === 405) fields['Allow'] = 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS';
  if (status === 503) fields['Retry-After'] = '1';
  return composeReply(status, fields, `${status} ${STATUS_CODES[status]}\n${text}\nRequest id: ${id}\n`);
}
