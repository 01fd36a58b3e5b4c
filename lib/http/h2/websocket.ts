// WebSocket over a stream (RFC 8441): extended CONNECT becomes the upgrade of HTTP/1.1 that asks the same, and the
// endpoint's connection becomes a tunnel to the stream.

import { randomBytes } from 'node:crypto';
import type { Connection, Receiver } from '../../io/connection.ts';
import { flush } from '../../io/send.ts';
import { FieldId } from '../../wire/field-id.ts';
import { memory } from '../../wire/http1/llhttp.ts';
import { putText } from '../../wire/http1/writer.ts';
import type { FieldBlock } from '../../wire/http2/field-block.ts';
import { Reason } from '../../wire/http2/frame.ts';
import { Pseudo } from '../../wire/http2/static-table.ts';
import type { Stream } from './stream.ts';

/** Of the endpoint's 101: they answer the key that we made up, and mean nothing to the client. */
export const WEBSOCKET_SKIPPED = [Buffer.from('sec-websocket-accept')];

/** Makes `CONNECT` with `:protocol websocket` the GET of RFC 6455 4.1; false for any other protocol. */
export function layOutWebSocket(block: FieldBlock): boolean {
  if (block.pseudo(Pseudo.PROTOCOL) !== 'websocket') return false;
  // `CONNECT ` gives its last four letters and the blank to `GET `.
  const { lineStart } = block;
  memory.write('    GET ', lineStart, 'latin1');
  block.lineStart = lineStart + 4;
  addLine(block, 'upgrade', 'websocket', FieldId.UPGRADE);
  addLine(block, 'sec-websocket-key', randomBytes(16).toString('base64'), FieldId.OTHER);
  return true;
}

function addLine(block: FieldBlock, name: string, value: string, id: number): void {
  const { fields, at } = block;
  const valueEnd = putText(value, putText(': ', putText(name, at)));
  block.at = putText('\r\n', valueEnd);
  const field = fields.count;
  fields.add(at, at + name.length);
  fields.setValue(field, at + name.length + 2, valueEnd);
  fields.setLineEnd(field, block.at);
  fields.setId(field, id);
}

/** The endpoint's side of a tunnel: its bytes become DATA, and what the stream brings goes to it. */
export class StreamTunnel implements Receiver {
  readonly #stream: Stream;
  readonly #upstream: Connection;
  readonly #idleMs: number;
  #ended: (() => void) | null;
  #over = false;

  constructor(stream: Stream, upstream: Connection, idleMs: number, ended: () => void) {
    this.#stream = stream;
    this.#upstream = upstream;
    this.#idleMs = idleMs;
    this.#ended = ended;
    upstream.receiver = this;
    upstream.resume();
    upstream.expireIn(idleMs);
  }

  // From the endpoint.

  received(start: number, end: number): void {
    this.#upstream.expireIn(this.#idleMs);
    if (!this.#stream.sendData(memory, start, end, false)) this.#upstream.pause();
  }

  finished(): void {
    this.#stream.sendEnd(NOTHING);
    if (this.#stream.remoteEnded) this.#close();
  }

  /** The endpoint takes more, or the client does. */
  drained(): void {
    if (this.#over) return;
    this.#upstream.resume();
    if (!this.#upstream.blocked) this.#stream.release();
  }

  closed(): void {
    this.#finish();
    // RFC 8441 5: what would be a reset of the connection.
    this.#stream.reset(Reason.CANCEL);
  }

  expired(): void {
    this.#upstream.destroy();
    this.closed();
  }

  crashed(error: unknown): void {
    this.#upstream.reset();
    this.closed();
    throw error;
  }

  // From the client.

  take(bytes: Uint8Array, start: number, end: number): boolean {
    if (this.#over) return true;
    this.#upstream.expireIn(this.#idleMs);
    return this.#upstream.send(bytes, start, end);
  }

  takeEnd(): void {
    if (this.#stream.localEnded) this.#close();
    else if (!this.#over) this.#upstream.finish();
  }

  /** The stream is over. */
  broken(): void {
    if (this.#over) return;
    this.#finish();
    this.#upstream.reset();
    flush();
  }

  #close(): void {
    if (this.#over) return;
    this.#finish();
    this.#upstream.close();
  }

  #finish(): void {
    this.#over = true;
    const ended = this.#ended;
    this.#ended = null;
    ended?.();
  }
}

const NOTHING = Buffer.alloc(0);
