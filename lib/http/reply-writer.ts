// The head of a reply as the client gets it: hop-by-hop fields dropped, framing and persistence said our way, the
// route's edits applied. Whether the connection persists is decided in h1/downstream.

import type { FieldEdits } from '../route/field-edits.ts';
import { httpDate } from '../wire/date.ts';
import { FieldId } from '../wire/field-id.ts';
import type { ResponseHead } from '../wire/http1/head.ts';
import { literal, putCrlf, putLiteral, putRange, putText } from '../wire/http1/writer.ts';
import { drops } from './field-edits.ts';

/** What the head says about body and connection. */
export interface ReplyFraming {
  /** Transfer-Encoding: chunked is added. */
  readonly chunked: boolean;
  /** Content-Length is kept. */
  readonly sized: boolean;
  /** Content-Length: 0 is added: other versions can say by other means that nothing follows. */
  readonly empty: boolean;
  /** '' or a Connection line. */
  readonly connection: 'none' | 'close' | 'keep-alive' | 'upgrade';
}

const LINE_START = literal('HTTP/1.1');
const CHUNKED = literal('Transfer-Encoding: chunked\r\n');
const EMPTY = literal('Content-Length: 0\r\n');
const CONNECTION = {
  none: literal('\0'),
  close: literal('Connection: close\r\n'),
  'keep-alive': literal('Connection: keep-alive\r\n'),
  upgrade: literal('Connection: upgrade\r\n'),
};

/** Upper bound of what `putReplyHead` writes. */
export function replyHeadRoom(head: ResponseHead, edits: FieldEdits | null, added: string): number {
  const { fields } = head;
  const end = fields.count > 0 ? fields.lineEnd(fields.count - 1) : head.reasonEnd;
  return end - head.lineStart + (edits === null ? 0 : edits.lines.length) + added.length + 256;
}

/** Writes the head of a final or interim reply at `at` of the shared memory, a final one with the lines `added`; answers the offset after it. */
export function putReplyHead(
  head: ResponseHead,
  framing: ReplyFraming,
  edits: FieldEdits | null,
  added: string,
  at: number,
): number {
  const { fields } = head;
  const { bytes } = fields;
  const interim = head.status < 200;
  let from = head.lineStart;
  if (head.minor === 0) {
    at = putLiteral(LINE_START, at);
    from += 8;
  }
  // The status line begins the first block.
  let to = fields.count > 0 ? fields.nameStart(0) : head.reasonEnd + 2;
  let dated = interim;
  for (let field = 0; field < fields.count; field++) {
    let keeps: boolean;
    switch (fields.id(field)) {
      case FieldId.CONTENT_LENGTH:
        keeps = framing.sized;
        break;
      case FieldId.DATE:
        dated = true;
        keeps = true;
        break;
      case FieldId.CONNECTION:
      case FieldId.KEEP_ALIVE:
      case FieldId.PROXY_CONNECTION:
      case FieldId.TE:
      case FieldId.TRANSFER_ENCODING:
      case FieldId.HTTP2_SETTINGS:
        keeps = false;
        break;
      case FieldId.UPGRADE:
        keeps = framing.connection === 'upgrade';
        break;
      default:
        keeps = !head.nominating || !head.nominates(field);
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
  if (from >= 0) at = putRange(bytes, from, to, at);
  // RFC 9110 6.6.1: who forwards a reply without Date adds it.
  if (!dated) at = putText(`Date: ${httpDate(Date.now())}\r\n`, at);
  if (framing.chunked) at = putLiteral(CHUNKED, at);
  else if (framing.empty) at = putLiteral(EMPTY, at);
  if (framing.connection !== 'none') at = putLiteral(CONNECTION[framing.connection], at);
  if (added !== '' && !interim) at = putText(added, at);
  if (edits !== null && !interim) at = putRange(edits.lines, 0, edits.lines.length, at);
  return putCrlf(at);
}
