// What a route asks of a request besides host and path: method and fields. Host and path are indexed (host-index,
// path-trie); these conditions are tried on the few routes that the indexes leave.

import type { Fingerprints } from '../tls/fingerprint.ts';
import type { Fields } from '../wire/fields.ts';
import { methodCode } from '../wire/http1/method.ts';
import type { MatchOptions } from './options.ts';
import { sameBytes } from './span-map.ts';

/**
 * A request as the table wants to see it: offsets into borrowed bytes, valid for the duration of a look-up. One object
 * serves all requests of a connection.
 */
export class RouteQuery {
  /** Holds the host. */
  bytes: Buffer;
  /** The host without port; IPv6 with its brackets. Start equals end if the request has none. */
  hostStart = 0;
  hostEnd = 0;
  /** Holds the path; `bytes`, unless the path had to be normalised elsewhere. */
  pathBytes: Buffer;
  /** The normalised path without the query. */
  pathStart = 0;
  pathEnd = 0;
  /** A code of `wire/http1/method`; any other number is a method that no condition names. */
  method = -1;
  fields: Fields;
  /** Of the client's TLS hello; null without one, or where no route asks. */
  hello: Fingerprints | null = null;

  constructor(fields: Fields) {
    this.bytes = fields.bytes;
    this.pathBytes = fields.bytes;
    this.fields = fields;
  }
}

/** A route as it stands in an index: its place in the written order and the conditions that remain to be tried. */
export interface Candidate {
  readonly route: number;
  /** Bit per method code 0 to 31, and 32 to 63. */
  readonly methodsLow: number;
  readonly methodsHigh: number;
  /** All must hold; null asks nothing. */
  readonly fields: readonly FieldCondition[] | null;
  readonly ja3: ReadonlySet<string> | null;
  readonly ja4: ReadonlySet<string> | null;
}

interface FieldCondition {
  /** Lower case. */
  readonly name: Uint8Array;
  /** What the value must be, or null if any will do. */
  readonly value: Uint8Array | null;
}

/** Compiles the conditions of the route at this place in the order. Unknown methods match nothing. */
export function compileCandidate(route: number, match: MatchOptions | undefined): Candidate {
  const methods = match?.method?.map(methodCode).filter((code) => code >= 0);
  const fields = Object.entries(match?.header ?? {}).map(([name, value]) => ({
    name: Buffer.from(name.toLowerCase()),
    value: value === '*' ? null : Buffer.from(value),
  }));
  return {
    route,
    methodsLow:
      methods === undefined ? ALL : methods.reduce((bits, code) => (code < 32 ? bits | (1 << code) : bits), 0),
    methodsHigh:
      methods === undefined ? ALL : methods.reduce((bits, code) => (code < 32 ? bits : bits | (1 << (code - 32))), 0),
    fields: fields.length === 0 ? null : fields,
    ja3: match?.ja3 === undefined ? null : new Set(match.ja3),
    ja4: match?.ja4 === undefined ? null : new Set(match.ja4),
  };
}

/**
 * The place of the first of these candidates whose conditions hold, if it comes before `best`, else `best`.
 * Candidates are in route order. Time is linear in those that precede the answer.
 */
export function firstHolding(candidates: readonly Candidate[], query: RouteQuery, best: number): number {
  for (let i = 0; i < candidates.length; i++) {
    const candidate = candidates[i]!;
    if (candidate.route >= best) return best;
    if (conditionsHold(candidate, query)) return candidate.route;
  }
  return best;
}

const ALL = -1;

function conditionsHold(candidate: Candidate, query: RouteQuery): boolean {
  return (
    methodHolds(candidate, query.method) &&
    (candidate.fields === null || fieldsHold(candidate.fields, query.fields)) &&
    (candidate.ja3 === null || (query.hello !== null && candidate.ja3.has(query.hello.ja3))) &&
    (candidate.ja4 === null || (query.hello !== null && candidate.ja4.has(query.hello.ja4)))
  );
}

function methodHolds(candidate: Candidate, method: number): boolean {
  if ((candidate.methodsLow & candidate.methodsHigh) === ALL) return true;
  if (method >>> 0 < 32) return (candidate.methodsLow & (1 << method)) !== 0;
  return method >>> 0 < 64 && (candidate.methodsHigh & (1 << (method - 32))) !== 0;
}

function fieldsHold(conditions: readonly FieldCondition[], fields: Fields): boolean {
  for (let i = 0; i < conditions.length; i++) if (!fieldHolds(conditions[i]!, fields)) return false;
  return true;
}

/** Whether any line of that name has the value: a field may be sent in several lines (RFC 9110 5.2). */
function fieldHolds(condition: FieldCondition, fields: Fields): boolean {
  let field = fields.find(condition.name);
  while (field >= 0) {
    if (condition.value === null) return true;
    if (sameBytes(condition.value, fields.bytes, fields.valueStart(field), fields.valueEnd(field))) return true;
    field = fields.find(condition.name, field + 1);
  }
  return false;
}
