// Raw HTTP/1.1 in tests: messages as fixtures spell them, replies cut apart, and the vectors of fixtures/http.

import { readFileSync } from 'node:fs';
import type { TestContext } from 'node:test';
import { connectPeer, type Peer } from './peer.ts';

/** Bytes as latin1 text, or parts of it, some of them repeated. */
export type Raw = string | readonly (string | { readonly repeat: string; readonly times: number })[];

export interface RequestVector {
  readonly name: string;
  /** What the client must be answered. */
  readonly status: number;
  /** What the origin may see: nothing, or a request that is broken off. */
  readonly origin: 'nothing' | 'cut';
  readonly raw: Raw;
  /** Nothing can follow these bytes: they are not a whole head. */
  readonly alone?: boolean;
}

export interface ResponseVector {
  readonly name: string;
  /** What the client must see: a 502, or a reply that is visibly broken off. */
  readonly seen: '502' | 'cut';
  readonly raw: Raw;
  /** The origin ends its side behind these bytes. */
  readonly ends?: boolean;
}

export const REQUEST_VECTORS = readVectors<RequestVector>('requests');
export const RESPONSE_VECTORS = readVectors<ResponseVector>('responses');

export function spell(raw: Raw): string {
  if (typeof raw === 'string') return raw;
  return raw.map((part) => (typeof part === 'string' ? part : part.repeat.repeat(part.times))).join('');
}

/** A request with these lines; Host is `a.example` unless `lines` has one. */
export function request(line: string, lines: readonly string[] = [], body = ''): string {
  const host = lines.some((it) => /^host:/i.test(it)) ? [] : ['Host: a.example'];
  return `${[`${line} HTTP/1.1`, ...host, ...lines].join('\r\n')}\r\n\r\n${body}`;
}

/** A reply with this body and its Content-Length. */
export function reply(body: string, status = '200 OK', lines: readonly string[] = []): string {
  return `${[`HTTP/1.1 ${status}`, ...lines, `Content-Length: ${body.length}`].join('\r\n')}\r\n\r\n${body}`;
}

/** Connects, sends and waits until the other side has ended. */
export async function ask(t: TestContext, port: number, bytes: string): Promise<string> {
  const client = await connectPeer(t, port);
  client.send(bytes);
  const text = await client.receiveAll();
  client.socket.destroy();
  return text;
}

/** The head lines of a message, start line first. */
export function headLines(text: string): string[] {
  return text.slice(0, text.indexOf('\r\n\r\n')).split('\r\n');
}

/** The value of a head's one line with this name; null without one, joined with `|` if there are several. */
export function fieldOf(text: string, name: string): string | null {
  const values = headLines(text)
    .slice(1)
    .filter((line) => line.toLowerCase().startsWith(`${name.toLowerCase()}:`))
    .map((line) => line.slice(line.indexOf(':') + 1).trim());
  return values.length === 0 ? null : values.join('|');
}

export function bodyOf(text: string): string {
  return text.slice(text.indexOf('\r\n\r\n') + 4);
}

/** Answers each request on `peer` with the next of these replies, once its head and Content-Length body are there. */
export function replying(...replies: readonly string[]): (peer: Peer) => void {
  return (peer) => {
    let from = 0;
    let next = 0;
    peer.socket.on('data', () => {
      for (;;) {
        const headEnd = peer.text.indexOf('\r\n\r\n', from);
        if (headEnd < 0) return;
        const length = Number(/\r\ncontent-length: (\d+)/i.exec(peer.text.slice(from, headEnd))?.[1] ?? 0);
        if (peer.text.length < headEnd + 4 + length) return;
        from = headEnd + 4 + length;
        peer.send(replies[Math.min(next++, replies.length - 1)]!);
      }
    });
  };
}

function readVectors<Vector>(name: string): Vector[] {
  return JSON.parse(readFileSync(new URL(`../../fixtures/http/${name}.json`, import.meta.url), 'utf8')) as Vector[];
}

export interface Unchunked {
  readonly payload: string;
  readonly trailers: string[];
  /** How much of the text the body takes. */
  readonly length: number;
}

/** The payload of a chunked body and the lines of its trailer section. Throws when it is not whole. */
export function unchunk(text: string): Pick<Unchunked, 'payload' | 'trailers'> {
  const body = readChunked(text);
  if (body === null) throw new Error(`not a whole chunked body: ${JSON.stringify(text)}`);
  const { payload, trailers } = body;
  return { payload, trailers };
}

/**
 * The same; null when there is no more of it yet. By its sizes alone, since data may look like the end of a body. Throws
 * when it cannot become one.
 */
export function readChunked(text: string): Unchunked | null {
  let at = 0;
  let payload = '';
  for (;;) {
    const lineEnd = text.indexOf('\r\n', at);
    if (lineEnd < 0) return null;
    const line = text.slice(at, lineEnd);
    if (!/^[0-9a-f]+$/i.test(line)) throw new Error(`no chunk at ${at} of ${JSON.stringify(text)}`);
    const size = Number.parseInt(line, 16);
    at = lineEnd + 2;
    if (size === 0) break;
    const end = at + size;
    if (text.length < end + 2) return null;
    if (text.slice(end, end + 2) !== '\r\n') throw new Error(`no end of chunk in ${JSON.stringify(text)}`);
    payload += text.slice(at, end);
    at = end + 2;
  }
  const end = text.indexOf('\r\n\r\n', at - 2);
  if (end < 0) return null;
  const trailers = text.slice(at, Math.max(at, end)).split('\r\n');
  return { payload, trailers: trailers.filter((line) => line !== ''), length: end + 4 };
}
