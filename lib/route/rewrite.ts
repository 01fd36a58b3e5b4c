// What a route changes in a request on its way: the path, written as bytes, and the authority and fields, as data.
// Splicing them into a head is left to http; the query stays where it is.

import { checkFieldEdits, compileFieldEdits, type FieldEdits } from './field-edits.ts';
import { hostNameFault, pathFault, percentEncode } from './match-check.ts';
import type { MatchOptions, RewriteOptions } from './options.ts';
import type { PathPattern } from './path-pattern.ts';
import { Captures, parseTemplate, patternsOf, starsFault } from './template.ts';

/** A compiled rewrite; what is null is not touched. */
export interface Rewrite {
  readonly path: PathRewrite | null;
  /** New value of the Host field. */
  readonly host: Buffer | null;
  readonly request: FieldEdits | null;
  readonly response: FieldEdits | null;
}

/** Answers of `PathRewrite.write` that are not a number of bytes. */
export const PathOutcome = {
  /** The path stays as it is: nothing was written. */
  KEPT: -1,
  /** The new path does not fit: answer 414. */
  TOO_LONG: -2,
  /** The new path would hold a control character, a space, or a `.` or `..` segment: answer 400. */
  UNSAFE: -3,
} as const;

/** Compiles a rewrite that passed `checkRewrite` with the same match. */
export function compileRewrite(match: MatchOptions | undefined, rewrite: RewriteOptions): Rewrite {
  return Object.freeze({
    path: rewrite.path === undefined ? null : new PathRewrite(patternsOf(match?.path), rewrite.path),
    host: rewrite.host === undefined ? null : Buffer.from(rewrite.host, 'latin1'),
    request: compileFieldEdits(rewrite.setRequest, rewrite.removeRequest),
    response: compileFieldEdits(rewrite.setResponse, rewrite.removeResponse),
  });
}

/** Everything that is wrong with a rewrite, as `KEY "WORD": what is wrong, what would be right`. */
export function checkRewrite(match: MatchOptions | undefined, rewrite: RewriteOptions): string[] {
  const faults: string[] = [];
  if (rewrite.path !== undefined) {
    const fault = newPathFault(rewrite.path) || starsFault(rewrite.path, match?.path);
    if (fault !== '') faults.push(`path "${rewrite.path}": ${fault}`);
  }
  if (rewrite.host !== undefined) {
    const fault = authorityFault(rewrite.host);
    if (fault !== '') faults.push(`host "${rewrite.host}": ${fault}`);
  }
  faults.push(...checkFieldEdits('setRequest', rewrite.setRequest, 'removeRequest', rewrite.removeRequest));
  faults.push(...checkFieldEdits('setResponse', rewrite.setResponse, 'removeResponse', rewrite.removeResponse));
  return faults;
}

/**
 * Writes the new path of a request. `/v1/*` on a match of `/api/*` replaces the prefix and keeps the rest; otherwise
 * the k-th star stands for what the k-th star of the match stood for, percent-encodings as they came; a path without
 * stars is a constant. A path that would come out empty is `/`.
 */
export class PathRewrite {
  readonly #captures: Captures;
  readonly #stars: readonly { readonly literal: Uint8Array; readonly rest: boolean }[];
  readonly #end: Uint8Array;
  readonly #literalBytes: number;
  /** Whether a capture can come to stand beside other bytes, or alone, and so make a dot segment that was none. */
  readonly #splicing: boolean;

  constructor(patterns: readonly PathPattern[], text: string) {
    const template = parseTemplate(text);
    this.#captures = new Captures(patterns);
    this.#stars = template.pieces.map((piece) => ({ literal: literalBytes(piece.text), rest: piece.rest }));
    this.#end = literalBytes(template.end);
    this.#literalBytes = this.#stars.reduce((sum, star) => sum + star.literal.length + 1, this.#end.length + 1);
    const prefixOnly =
      template.pieces.every((piece) => piece.rest) && patterns.every((it) => it.tailed && it.stars === 1);
    this.#splicing = template.pieces.length > 0 && !prefixOnly;
  }

  /** How much room the new path of a path of this length may take. */
  roomBytes(pathBytes: number): number {
    return this.#literalBytes + pathBytes;
  }

  /**
   * Writes the new path of the path `start..end` of `bytes` into `out` from `at`, and returns how many bytes it has, or
   * a `PathOutcome`; after an outcome the bytes of `out` from `at` on are undefined. The two ranges may share a buffer
   * but must not overlap. Allocates nothing; linear in the path.
   */
  write(bytes: Uint8Array, start: number, end: number, out: Uint8Array, at: number): number {
    const captures = this.#captures;
    if (!captures.match(bytes, start, end)) return PathOutcome.KEPT;
    if (at + this.roomBytes(end - start) > out.length) return PathOutcome.TOO_LONG;
    let to = at;
    for (let star = 0; star < this.#stars.length; star++) {
      const { literal, rest } = this.#stars[star]!;
      to = append(literal, 0, literal.length, out, to);
      if (rest && !captures.tail(star)) out[to++] = SLASH;
      to = append(bytes, rest ? captures.restStart(star) : captures.start(star), captures.end(star), out, to);
    }
    to = append(this.#end, 0, this.#end.length, out, to);
    if (to === at) out[to++] = SLASH;
    if (hasForbiddenByte(out, at, to)) return PathOutcome.UNSAFE;
    if (this.#splicing && hasDotSegment(out, at, to)) return PathOutcome.UNSAFE;
    return to - at === end - start && equalSpans(bytes, start, out, at, to - at) ? PathOutcome.KEPT : to - at;
  }
}

const SLASH = 0x2f;
const DOT = 0x2e;
const PERCENT = 0x25;

function newPathFault(text: string): string {
  if (/^(https?:)?\/\//i.test(text))
    return 'a request is rewritten to a path; use a redirect to send the client to another URL';
  if (/\{\w+\}/.test(text)) return 'placeholders in braces are for redirects; here "*" stands for what the match had';
  return pathFault(text);
}

function authorityFault(text: string): string {
  if (text.includes('*')) return 'the new host is one host; a "*" has no meaning here';
  const port = /^(.+):(\d+)$/.exec(text);
  if (port === null || (text.startsWith('[') && text.endsWith(']'))) return hostNameFault(text);
  if (Number(port[2]) > 65535) return 'a port is 0 to 65535';
  return hostNameFault(port[1]!);
}

function literalBytes(text: string): Uint8Array {
  return Buffer.from(percentEncode(text), 'latin1');
}

/** Copies a span and returns where it ends in `out`. Paths are short: a loop beats the call that `set` or `copy` is. */
function append(bytes: Uint8Array, start: number, end: number, out: Uint8Array, to: number): number {
  for (let i = start; i < end; i++) out[to++] = bytes[i]!;
  return to;
}

/** Controls and spaces end a request line or split it (RFC 9112 3). Captured bytes should hold none; this makes sure. */
function hasForbiddenByte(bytes: Uint8Array, start: number, end: number): boolean {
  for (let i = start; i < end; i++) {
    const byte = bytes[i]!;
    if (byte <= 0x20 || byte === 0x7f) return true;
  }
  return false;
}

/**
 * Whether a segment is `.` or `..`, plain or encoded. `/f-*` rewritten to `/files/*` would otherwise turn `/f-..` into
 * a step out of `/files`, after normalisation has looked (RFC 3986 5.2.4).
 */
function hasDotSegment(bytes: Uint8Array, start: number, end: number): boolean {
  let dots = 0;
  let plain = false;
  for (let i = start; i <= end; i++) {
    const byte = i === end ? SLASH : bytes[i]!;
    if (byte === SLASH) {
      if (!plain && (dots === 1 || dots === 2)) return true;
      dots = 0;
      plain = false;
    } else if (byte === DOT) {
      dots++;
    } else if (byte === PERCENT && i + 2 < end && bytes[i + 1] === 0x32 && (bytes[i + 2]! | 0x20) === 0x65) {
      dots++;
      i += 2;
    } else {
      plain = true;
    }
  }
  return false;
}

function equalSpans(a: Uint8Array, aStart: number, b: Uint8Array, bStart: number, length: number): boolean {
  for (let i = 0; i < length; i++) if (a[aStart + i] !== b[bStart + i]) return false;
  return true;
}
