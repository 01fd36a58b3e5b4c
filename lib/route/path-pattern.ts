// Path patterns as routes write them: what they match and what their stars stood for. Which pattern to try is the
// trie's business, what becomes of the captured bytes the template's.

import { sameBytes } from './span-map.ts';

const SLASH = 0x2f;

/**
 * A segment with stars, cut at them: `a*b*` is `a`, `b`, ``. A star stands for any run of bytes but `/`, the empty run
 * included; of several ways to match, the one in which each star but the last takes as little as possible.
 */
export interface StarSegment {
  readonly pieces: readonly Uint8Array[];
  /** Sum of the pieces' lengths. */
  readonly leastBytes: number;
}

/**
 * A parsed path pattern. `/a/*` has one segment and a tail: it matches `/a`, `/a/` and everything below, never `/ab`.
 * `/*` has no segment and a tail: it matches everything, `*` of `OPTIONS *` (RFC 9112 3.2.4) included.
 */
export interface PathPattern {
  readonly text: string;
  /** What stands between the slashes: literal bytes, or a segment with stars. */
  readonly segments: readonly (Uint8Array | StarSegment)[];
  /** Whether it ends in `/*`, which stands for any rest. */
  readonly tailed: boolean;
  /** How many stars there are, a final `/*` included. */
  readonly stars: number;
}

/** Parses a pattern. Whatever is written gets a meaning; match-check says whether it is likely to be the wanted one. */
export function parsePath(text: string): PathPattern {
  const tailed = text.endsWith('/*');
  const body = tailed ? text.slice(0, -2) : text;
  const segments = body === '' ? [] : body.replace(/^\//, '').split('/').map(parseSegment);
  return { text, segments, tailed, stars: text.split('*').length - 1 };
}

/** Whether a segment of a pattern is literal bytes. */
export function isLiteral(segment: Uint8Array | StarSegment): segment is Uint8Array {
  return segment instanceof Uint8Array;
}

/**
 * Whether the path `start..end` matches. If `spans` is given, start and end of what each star stood for are written to
 * it, two numbers per star, the pattern's `stars` of them; a tail's span begins with its slash, and is empty for `/a`
 * under `/a/*`. Time is linear in the path for a given pattern.
 */
export function matchPath(
  pattern: PathPattern,
  bytes: Uint8Array,
  start: number,
  end: number,
  spans: Int32Array | null,
): boolean {
  let at = start;
  let star = 0;
  for (const segment of pattern.segments) {
    if (at === end || bytes[at] !== SLASH) return false;
    const from = at + 1;
    const to = segmentEnd(bytes, from, end);
    if (isLiteral(segment)) {
      if (!sameBytes(segment, bytes, from, to)) return false;
    } else {
      if (!matchSegment(segment, bytes, from, to, spans, star * 2)) return false;
      star += segment.pieces.length - 1;
    }
    at = to;
  }
  if (!pattern.tailed) return at === end;
  if (spans !== null) {
    spans[star * 2] = at;
    spans[star * 2 + 1] = end;
  }
  return true;
}

/** Whether the bytes `start..end`, which hold no slash, match a segment with stars; captures go to `spans` from `slot`. */
export function matchSegment(
  segment: StarSegment,
  bytes: Uint8Array,
  start: number,
  end: number,
  spans: Int32Array | null,
  slot: number,
): boolean {
  const pieces = segment.pieces;
  if (end - start < segment.leastBytes) return false;
  const last = pieces[pieces.length - 1]!;
  const stop = end - last.length;
  if (!startsAt(pieces[0]!, bytes, start) || !startsAt(last, bytes, stop)) return false;
  let at = start + pieces[0]!.length;
  for (let i = 1; i < pieces.length - 1; i++) {
    const piece = pieces[i]!;
    const found = indexOf(piece, bytes, at, stop);
    if (found < 0) return false;
    if (spans !== null) {
      spans[slot++] = at;
      spans[slot++] = found;
    }
    at = found + piece.length;
  }
  if (spans !== null) {
    spans[slot] = at;
    spans[slot + 1] = stop;
  }
  return true;
}

/** Whether everything that `inner` matches is matched by `outer`; may say no where it is hard to tell. */
export function pathCovers(outer: PathPattern, inner: PathPattern): boolean {
  if (outer.segments.length > inner.segments.length) return false;
  if (!outer.tailed && (inner.tailed || outer.segments.length < inner.segments.length)) return false;
  return outer.segments.every((segment, i) => segmentCovers(segment, inner.segments[i]!));
}

function segmentCovers(outer: Uint8Array | StarSegment, inner: Uint8Array | StarSegment): boolean {
  if (isLiteral(outer)) return isLiteral(inner) && sameBytes(outer, inner, 0, inner.length);
  if (outer.leastBytes === 0) return true;
  if (isLiteral(inner)) return matchSegment(outer, inner, 0, inner.length, null, 0);
  return (
    outer.pieces.length === inner.pieces.length &&
    outer.pieces.every((piece, i) => sameBytes(piece, inner.pieces[i]!, 0, inner.pieces[i]!.length))
  );
}

function parseSegment(text: string): Uint8Array | StarSegment {
  if (!text.includes('*')) return Buffer.from(text);
  const pieces = text.split('*').map((piece) => Buffer.from(piece));
  return { pieces, leastBytes: pieces.reduce((sum, piece) => sum + piece.length, 0) };
}

function segmentEnd(bytes: Uint8Array, from: number, end: number): number {
  while (from < end && bytes[from] !== SLASH) from++;
  return from;
}

function startsAt(piece: Uint8Array, bytes: Uint8Array, at: number): boolean {
  for (let i = 0; i < piece.length; i++) if (piece[i] !== bytes[at + i]) return false;
  return true;
}

/** First place at or after `from` where `piece` stands wholly before `end`, or -1. */
function indexOf(piece: Uint8Array, bytes: Uint8Array, from: number, end: number): number {
  for (const latest = end - piece.length; from <= latest; from++) if (startsAt(piece, bytes, from)) return from;
  return -1;
}
