// A request as the request writer leaves it, compressed: the first line and Host become pseudo-fields, what is about a
// connection of HTTP/1 stays behind (RFC 9113 8.2.2, 8.3.1).

import { putAuthority, putLines, putMethodName, putPath, putScheme } from '../../wire/http2/hpack-encoder.ts';

/** TE goes on: the request writer has left nothing in it but `trailers`. */
const SKIPPED = ['host', 'connection', 'transfer-encoding', 'upgrade', 'keep-alive', 'proxy-connection'].map((name) =>
  Buffer.from(name),
);

/** Compresses the head `start..end`, its empty line included, into `into`; answers its length. */
export function putRequestHead(
  bytes: Uint8Array,
  start: number,
  end: number,
  scheme: 'http' | 'https',
  into: Uint8Array,
): number {
  let methodEnd = start;
  while (bytes[methodEnd] !== 0x20) methodEnd++;
  let targetEnd = methodEnd + 1;
  while (bytes[targetEnd] !== 0x20) targetEnd++;
  let lines = targetEnd;
  while (bytes[lines] !== 0x0a) lines++;
  lines++;
  let at = putMethodName(bytes, start, methodEnd, into, 0);
  at = putScheme(scheme, into, at);
  at = putPath(bytes, methodEnd + 1, targetEnd, into, at);
  const host = findHost(bytes, lines, end - 2);
  if (host >= 0) {
    let valueEnd = host;
    while (bytes[valueEnd] !== 0x0d) valueEnd++;
    at = putAuthority(bytes, host, valueEnd, into, at);
  }
  return putLines(bytes, lines, end - 2, SKIPPED, into, at);
}

/** Where the value of Host begins, -1 without one. It is the first field in most requests. */
function findHost(bytes: Uint8Array, start: number, end: number): number {
  let line = start;
  while (line < end) {
    const named =
      (bytes[line]! | 0x20) === 0x68 &&
      (bytes[line + 1]! | 0x20) === 0x6f &&
      (bytes[line + 2]! | 0x20) === 0x73 &&
      (bytes[line + 3]! | 0x20) === 0x74 &&
      bytes[line + 4] === 0x3a;
    if (named) {
      let value = line + 5;
      while (bytes[value] === 0x20 || bytes[value] === 0x09) value++;
      return value;
    }
    while (bytes[line] !== 0x0a) line++;
    line++;
  }
  return -1;
}
