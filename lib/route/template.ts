// Where the stars of a matched path go in a new one: shared by rewrites, which write bytes, and redirects, which
// make strings.

import { matchPath, type PathPattern, parsePath } from './path-pattern.ts';

const SLASH = 0x2f;

/** What one star of a template is replaced with, after the literal text before it. */
export interface TemplatePiece {
  /** Literal text before the star; without its final slash if the star is a rest. */
  readonly text: string;
  /**
   * Whether the star is the final `/*` of the template. It then takes the rest of a tail with its slash, so that
   * `/api` under `/api/*` becomes `/v1` under `/v1/*` and `/api/` becomes `/v1/`.
   */
  readonly rest: boolean;
}

/** A template cut at its stars: the k-th piece ends in the k-th star; `end` is the literal text after the last one. */
export interface Template {
  readonly pieces: readonly TemplatePiece[];
  readonly end: string;
}

/** Cuts a template at its stars. */
export function parseTemplate(text: string): Template {
  const texts = text.split('*');
  const end = texts.pop()!;
  const pieces = texts.map((piece, i) => {
    const rest = i === texts.length - 1 && end === '' && piece.endsWith('/');
    return { text: rest ? piece.slice(0, -1) : piece, rest };
  });
  return { pieces, end };
}

/** What is wrong with asking for this many stars of these paths, or ''. A route without paths matches like `/*`. */
export function starsFault(template: string, paths: readonly string[] | undefined): string {
  const wanted = parseTemplate(template).pieces.length;
  if (wanted === 0) return '';
  const counts = patternsOf(paths).map((pattern) => pattern.stars);
  const least = Math.min(...counts);
  if (counts.some((count) => count !== least)) {
    const list = paths!.map((path, i) => `"${path}" has ${counts[i]}`).join(', ');
    return `the paths of this match have different numbers of "*" (${list}), so its own have no one meaning; write one route for each`;
  }
  if (wanted > least) {
    return `it has ${wanted} "*" but the matched path has ${least}; each stands for one of the matched path`;
  }
  return '';
}

/** The paths that a match names, parsed. */
export function patternsOf(paths: readonly string[] | undefined): PathPattern[] {
  return (paths ?? ['/*']).map(parsePath);
}

/** Finds again what the stars of a matched path stood for. The first pattern in written order that matches counts. */
export class Captures {
  readonly #patterns: readonly PathPattern[];
  readonly #spans: Int32Array;
  /** Which star is a tail in the path that was matched last, or -1. */
  #tail = -1;

  constructor(patterns: readonly PathPattern[]) {
    this.#patterns = patterns;
    this.#spans = new Int32Array(2 * Math.max(0, ...patterns.map((pattern) => pattern.stars)));
  }

  /** Matches the path `start..end`; false if no pattern matches, or it is no path but the `*` of OPTIONS. */
  match(bytes: Uint8Array, start: number, end: number): boolean {
    if (start === end || bytes[start] !== SLASH) return false;
    for (const pattern of this.#patterns) {
      if (!matchPath(pattern, bytes, start, end, this.#spans)) continue;
      this.#tail = pattern.tailed ? pattern.stars - 1 : -1;
      return true;
    }
    return false;
  }

  /** Whether this star is the tail, whose span begins with a slash unless it is empty. */
  tail(star: number): boolean {
    return star === this.#tail;
  }

  /** First byte of what a star stood for; for a tail after its slash. */
  start(star: number): number {
    const start = this.#spans[star * 2]!;
    return star === this.#tail && start < this.end(star) ? start + 1 : start;
  }

  /** First byte of what a star stood for, the slash of a tail included. */
  restStart(star: number): number {
    return this.#spans[star * 2]!;
  }

  end(star: number): number {
    return this.#spans[star * 2 + 1]!;
  }
}
