// The replies of our own origin, each built once and whole, so that answering is copying. Only `/inspect` is made anew.

import type { Fields } from '../../../lib/wire/fields.ts';
import {
  bytesPath,
  CHUNKED_BYTES,
  CHUNKED_PATH,
  HEADERS_PATH,
  INSPECTED,
  LARGE_BYTES,
  LARGE_PATH,
  letters,
  MIXED_BYTES,
  REPLY_FIELDS,
  SINK_PATH,
  SINK_REPLY,
  SMALL_BYTES,
  SMALL_PATH,
} from '../content.ts';

/** A reply for a connection that stays open, and one that says that it does not. */
export interface Reply {
  readonly kept: ReplyBytes;
  readonly closing: ReplyBytes;
}

/** `head` holds a small body too; a large one stands in `body`. */
export interface ReplyBytes {
  readonly head: Buffer;
  readonly body: Buffer | null;
}

/** The reply to a request for `path`; 404 where there is nothing. */
export function replyTo(path: string): Reply {
  return REPLIES.get(path) ?? (path.startsWith('/service-') ? SMALL : NOT_FOUND);
}

/** Which of INSPECTED are among `fields`; several of a name in one line, as RFC 9110 5.3 joins them. */
export function inspected(fields: Fields): Reply {
  const lines = INSPECTED.map((name) => {
    const bytes = Buffer.from(name, 'latin1');
    const values: string[] = [];
    for (let at = fields.find(bytes); at >= 0; at = fields.find(bytes, at + 1)) values.push(fields.value(at));
    return `${name}=${values.join(', ')}\n`;
  });
  return build('200 OK', [], Buffer.from(lines.join(''), 'latin1'));
}

/** What is not HTTP is answered with this, and the connection closed. */
export const BAD_REQUEST: Buffer = Buffer.from(
  'HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n',
  'latin1',
);

/** Bodies from here on are not copied. */
const LARGE_FROM_BYTES = 16_384;
const CHUNK_BYTES = 4_096;
const TYPE = 'application/octet-stream';
const STARTED = new Date().toUTCString();

const SMALL = build('200 OK', [], letters(SMALL_BYTES));
const NOT_FOUND = build('404 Not Found', [], Buffer.from('nothing here\n'));

const REPLIES: ReadonlyMap<string, Reply> = new Map([
  [SMALL_PATH, SMALL],
  [LARGE_PATH, build('200 OK', [], letters(LARGE_BYTES))],
  [SINK_PATH, build('200 OK', [], Buffer.from(SINK_REPLY, 'latin1'))],
  [HEADERS_PATH, build('200 OK', REPLY_FIELDS, letters(SMALL_BYTES))],
  [CHUNKED_PATH, buildChunked(letters(CHUNKED_BYTES))],
  ...MIXED_BYTES.map((bytes) => [bytesPath(bytes), build('200 OK', [], letters(bytes))] as const),
]);

type Lines = readonly (readonly [name: string, value: string])[];

function build(status: string, fields: Lines, body: Buffer): Reply {
  return both(status, [...fields, ['Content-Length', String(body.length)]], body);
}

function buildChunked(content: Buffer): Reply {
  const parts: Buffer[] = [];
  for (let at = 0; at < content.length; at += CHUNK_BYTES) {
    const chunk = content.subarray(at, at + CHUNK_BYTES);
    parts.push(Buffer.from(`${chunk.length.toString(16)}\r\n`), chunk, Buffer.from('\r\n'));
  }
  return both('200 OK', [['Transfer-Encoding', 'chunked']], Buffer.concat([...parts, Buffer.from('0\r\n\r\n')]));
}

function both(status: string, fields: Lines, body: Buffer): Reply {
  return { kept: join(status, fields, body), closing: join(status, [...fields, ['Connection', 'close']], body) };
}

function join(status: string, fields: Lines, body: Buffer): ReplyBytes {
  // The names that nginx sends too, so that a proxy has as much to read; the date is that of the start, which nobody minds.
  const all: Lines = [['Server', 'millrace-bench'], ['Date', STARTED], ['Content-Type', TYPE], ...fields];
  const lines = all.map(([name, value]) => `${name}: ${value}\r\n`);
  const head = Buffer.from(`HTTP/1.1 ${status}\r\n${lines.join('')}\r\n`, 'latin1');
  return body.length < LARGE_FROM_BYTES ? { head: Buffer.concat([head, body]), body: null } : { head, body };
}
