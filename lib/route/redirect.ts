// Where a route sends a client: the Location of a redirect, made as a string. Writing the reply is left to http.

import type { RouteQuery } from './match.ts';
import { percentEncode } from './match-check.ts';
import type { MatchOptions, RedirectOptions } from './options.ts';
import type { PathPattern } from './path-pattern.ts';
import { Captures, parseTemplate, patternsOf, starsFault } from './template.ts';

/** Compiles a redirect that passed `checkRedirect` with the same match. */
export function compileRedirect(match: MatchOptions | undefined, redirect: RedirectOptions): Redirect {
  return new Redirect(patternsOf(match?.path), redirect);
}

/** Everything that is wrong with a redirect, as `KEY "WORD": what is wrong, what would be right`. */
export function checkRedirect(match: MatchOptions | undefined, redirect: RedirectOptions): string[] {
  const faults: string[] = [];
  if (!STATUSES.includes(redirect.status)) {
    faults.push(`status ${redirect.status}: a redirect is 301, 302, 303, 307 or 308 (308 keeps the method)`);
  }
  const fault = targetFault(redirect.to) || starsFault(redirect.to, match?.path);
  if (fault !== '') faults.push(`to "${redirect.to}": ${fault}`);
  return faults;
}

/**
 * A compiled redirect. Stars stand for what the match had, as in a rewrite; `{host}` is the host without its port,
 * `{path}` the path, `{query}` the query without its `?`, `{scheme}` http or https. A target that names neither `?`
 * nor `{query}` keeps the query of the request; a `?` that nothing follows is left out.
 */
export class Redirect {
  readonly status: number;
  readonly #captures: Captures;
  readonly #stars: readonly { readonly parts: readonly Part[]; readonly rest: boolean }[];
  readonly #end: readonly Part[];
  /** Whether the query is appended without being asked for, and whether the target is a path on this host. */
  readonly #queryKept: boolean;
  readonly #local: boolean;
  readonly #captured: boolean;

  constructor(patterns: readonly PathPattern[], redirect: RedirectOptions) {
    const template = parseTemplate(redirect.to);
    this.status = redirect.status;
    this.#captures = new Captures(patterns);
    this.#stars = template.pieces.map(({ text, rest }) => ({ parts: parseParts(text), rest }));
    this.#end = parseParts(template.end);
    this.#queryKept = !/\?|\{query\}/.test(redirect.to);
    this.#local = /^(\/|\{path\})/.test(redirect.to);
    this.#captured = template.pieces.length > 0;
    Object.freeze(this);
  }

  /**
   * The value of Location for a request that this route matched. `search` is the query without its `?`, as it came.
   * Null if the target cannot be made from it: no usable host for `{host}`, or no path (`*` of OPTIONS); answer 400.
   * The result is printable ASCII: whatever else the request held is percent-encoded.
   */
  location(query: RouteQuery, search: string, scheme: 'http' | 'https'): string | null {
    const { pathBytes, pathStart, pathEnd } = query;
    if (this.#captured && !this.#captures.match(pathBytes, pathStart, pathEnd)) return null;
    const values: Values = {
      host: query.bytes.toString('latin1', query.hostStart, query.hostEnd),
      path: span(pathBytes, pathStart, pathEnd),
      query: encode(search, /#/g),
      scheme,
    };
    let text = '';
    for (let star = 0; star < this.#stars.length; star++) {
      const { parts, rest } = this.#stars[star]!;
      const head = fill(parts, values);
      if (head === null) return null;
      const start = rest ? this.#captures.restStart(star) : this.#captures.start(star);
      const slash = rest && !this.#captures.tail(star) ? '/' : '';
      text += head + slash + span(pathBytes, start, this.#captures.end(star));
    }
    const end = fill(this.#end, values);
    if (end === null) return null;
    text += end;
    if (this.#local) {
      // `//evil.example` would name another host (RFC 3986 4.2): a path of ours begins with one slash.
      text = text.replace(/^\/*/, '/');
    }
    const [before, fragment = ''] = text.split(/(?=#)/);
    if (this.#queryKept && search !== '') return `${before}?${values.query}${fragment}`;
    return before!.replace(/\?$/, '') + fragment;
  }
}

const STATUSES: readonly number[] = [301, 302, 303, 307, 308];

const PLACEHOLDERS = ['host', 'path', 'query', 'scheme'] as const;

type Placeholder = (typeof PLACEHOLDERS)[number];
type Values = Record<Placeholder, string>;
/** Literal text, or what to put in its place. */
type Part = { readonly text: string } | { readonly value: Placeholder };

/** Registered names and IP literals as clients send them: nothing that could end the authority or begin another. */
const HOST = /^(\[[0-9a-f:.]+\]|[a-z0-9._-]+)$/i;

/** `http://AUTHORITY` or `{scheme}://AUTHORITY`, then the end, a path, a query or a fragment. */
const ABSOLUTE = /^(https?|\{scheme\}):\/\/(\[[0-9a-f:.]+\]|([a-z0-9._-]|\{host\})+)(:\d{1,5})?(?=$|[/?#]|\{path\})/i;

function targetFault(text: string): string {
  for (const [whole, name] of text.matchAll(/\{([^}]*)\}/g)) {
    if (!PLACEHOLDERS.includes(name as Placeholder)) {
      return `${whole} is not known; there are ${PLACEHOLDERS.map((known) => `{${known}}`).join(', ')}`;
    }
  }
  if (/[{}]/.test(text.replace(/\{\w+\}/g, '')))
    return 'a brace belongs to a placeholder such as {path}; write "%7B" or "%7D"';
  if (text.includes('**')) return 'each "*" stands for one of the matched path; write them apart';
  if (/[^\x21-\x7e]/.test(text)) return `a URL is written percent-encoded: "${percentEncode(text)}"`;
  if (text.includes('\\')) return 'a URL has no "\\"; write "/" or "%5C"';
  if (/%(?![0-9a-f]{2})/i.test(text))
    return 'a "%" is followed by two hexadecimal digits; write "%25" for a percent sign';
  if (text.startsWith('//')) return `write the scheme too: "https:${text}" or "{scheme}:${text}"`;
  if (text.startsWith('/') || text.startsWith('{path}')) return '';
  if (ABSOLUTE.test(text)) return '';
  if (/^(https?|\{scheme\}):\/\//i.test(text)) {
    // A star there would let the request choose the host (an open redirect).
    return 'the host is written out or {host}, with a "/" before what the request brings, as in "https://other.example/*"';
  }
  return 'a target is a path that begins with "/", or a URL that begins with "http://", "https://" or "{scheme}://"';
}

function parseParts(text: string): Part[] {
  return text
    .split(/\{(host|path|query|scheme)\}/)
    .map((part, i): Part => (i % 2 === 1 ? { value: part as Placeholder } : { text: percentEncode(part) }))
    .filter((part) => !('text' in part) || part.text !== '');
}

function fill(parts: readonly Part[], values: Values): string | null {
  let text = '';
  for (const part of parts) {
    if ('text' in part) {
      text += part.text;
    } else {
      if (part.value === 'host' && !HOST.test(values.host)) return null;
      if (part.value === 'path' && !values.path.startsWith('/')) return null;
      text += values[part.value];
    }
  }
  return text;
}

/** A span of a path, encoded so that it stays a path and stays in its header line; browsers read `\` as `/`. */
function span(bytes: Buffer, start: number, end: number): string {
  return encode(bytes.toString('latin1', start, end), /[?#]/g);
}

function encode(text: string, reserved: RegExp): string {
  return text.replace(/[^\x21-\x7e]|[\\"<>^`{|}]/g, encodeCharacter).replace(reserved, encodeCharacter);
}

/** One character of a latin1 string, which is one byte. */
function encodeCharacter(character: string): string {
  return `%${(character.charCodeAt(0) & 0xff).toString(16).toUpperCase().padStart(2, '0')}`;
}
