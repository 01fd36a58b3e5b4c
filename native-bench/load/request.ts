// The bytes of one request. Every generator that can send bytes as they are sends these, so that all proxies are asked
// the very same thing whatever asks them.

import type { RequestShape } from './load.ts';

/**
 * One request whole, ready for the wire: Host, the shape's own fields, `Connection: close` when `closing`, then what frames the body.
 * A body is announced by Content-Length, or sent chunked when the shape has `chunkBytes`.
 */
export function renderRequest(shape: RequestShape, host: string, closing: boolean): Buffer {
  const { method, path, fields, bodyBytes, chunkBytes } = shape;
  const lines = [`${method} ${path} HTTP/1.1`, `Host: ${host}`];
  for (const [name, value] of fields) lines.push(`${name}: ${value}`);
  if (closing) lines.push('Connection: close');
  if (chunkBytes > 0) lines.push('Transfer-Encoding: chunked');
  // RFC 9110 8.6: a POST says its length even when it is 0, a GET without a body says none.
  else if (bodyBytes > 0 || method === 'POST') lines.push(`Content-Length: ${bodyBytes}`);
  const head = Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1');
  const body = Buffer.alloc(bodyBytes, FILLING);
  return Buffer.concat([head, ...(chunkBytes > 0 ? chunked(body, chunkBytes) : [body])]);
}

/** What bodies are made of. */
export const FILLING = 'm';

function chunked(body: Buffer, chunkBytes: number): Buffer[] {
  const pieces: Buffer[] = [];
  for (let at = 0; at < body.length; at += chunkBytes) {
    const piece = body.subarray(at, at + chunkBytes);
    pieces.push(Buffer.from(`${piece.length.toString(16)}\r\n`), piece, LINE_END);
  }
  pieces.push(Buffer.from('0\r\n\r\n'));
  return pieces;
}

const LINE_END = Buffer.from('\r\n');
