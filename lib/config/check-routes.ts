// Rules about the keys of a route that go together. What patterns and templates may hold is asked of the route room, whose
// answers are brought to the place in the document that they are about.

import { checkFieldLines } from '../route/field-edits.ts';
import { checkMatch } from '../route/match-check.ts';
import type { MatchOptions, RewriteOptions } from '../route/options.ts';
import { checkRedirect } from '../route/redirect.ts';
import { checkRewrite } from '../route/rewrite.ts';
import { findShadowed } from '../route/shadow.ts';
import { checkRetries } from './check-cluster.ts';
import type { DocumentPath, Finding } from './error.ts';

export interface RouteCheckResult {
  readonly errors: Finding[];
  readonly warnings: Finding[];
}

/** Checks the routes of one listener as written in the document; what has the wrong type is passed over. */
export function checkRoutes(path: DocumentPath, routes: readonly unknown[]): RouteCheckResult {
  const result: RouteCheckResult = { errors: [], warnings: [] };
  const matches: (MatchOptions | undefined)[] = [];
  for (const [index, value] of routes.entries()) {
    const route = sectionOf(value);
    if (route === undefined) continue;
    const at = [...path, index];
    checkAction(at, route, result.errors);
    checkPassing(at, route, result.errors);
    matches[index] = checkWords(at, route, result.errors);
  }
  // Of routes that are wrong nobody knows what they would match.
  if (result.errors.length > 0) return result;
  for (const { route, by } of findShadowed(matches)) {
    result.warnings.push({
      path: [...path, route],
      message: `is never reached: routes[${by}] before it matches all that it would`,
    });
  }
  return result;
}

type Section = Readonly<Record<string, unknown>>;

const ACTIONS = ['cluster', 'split', 'redirect', 'respond'];

function checkAction(path: DocumentPath, route: Section, errors: Finding[]): void {
  const actions = ACTIONS.filter((action) => route[action] !== undefined);
  if (actions.length === 0) errors.push({ path, message: 'needs an action: cluster, split, redirect or respond' });
  if (actions.length > 1) {
    errors.push({ path, message: `has ${actions.length} actions (${actions.join(', ')}); a route has exactly one` });
  }
}

/** Keys that say more of how requests are passed on. */
function checkPassing(path: DocumentPath, route: Section, errors: Finding[]): void {
  const passes = route['cluster'] !== undefined || route['split'] !== undefined;
  for (const key of ['mirror', 'retries']) {
    if (route[key] !== undefined && !passes)
      errors.push({ path: [...path, key], message: 'needs cluster or split', atKey: true });
  }
  errors.push(...checkRetries([...path, 'retries'], sectionOf(route['retries']) ?? {}));
  const split = sectionOf(route['split']);
  if (split === undefined) return;
  const { on, name, sticky } = split;
  if (on !== undefined && sticky !== undefined) {
    const message = 'excludes on: the cookie keeps clients where chance has sent them';
    errors.push({ path: [...path, 'split', 'sticky'], message, atKey: true });
  }
  const named = on === 'header' || on === 'cookie' || on === 'query';
  if (named && name === undefined)
    errors.push({ path: [...path, 'split'], message: `needs name: which ${on} decides` });
  if (!named && name !== undefined)
    errors.push({ path: [...path, 'split', 'name'], message: 'needs on: header, cookie or query', atKey: true });
  const shares = Object.values(sectionOf(split['clusters']) ?? {});
  if (!shares.some((share) => typeof share !== 'number' || share > 0)) {
    errors.push({ path: [...path, 'split', 'clusters'], message: 'needs a cluster with a share above 0' });
  }
}

/** Asks the route room; returns what the route matches. */
function checkWords(path: DocumentPath, route: Section, errors: Finding[]): MatchOptions | undefined {
  const match = sectionOf(route['match']);
  const rewrite = sectionOf(route['rewrite']);
  const matchOptions = match === undefined ? undefined : wellTyped(match, MATCH_LISTS, MATCH_MAPS);
  if (matchOptions !== undefined) errors.push(...placeFaults([...path, 'match'], match!, checkMatch(matchOptions)));
  if (rewrite !== undefined) {
    const faults = checkRewrite(matchOptions, wellTyped(rewrite, REWRITE_LISTS, REWRITE_MAPS));
    errors.push(...placeFaults([...path, 'rewrite'], rewrite, faults));
  }
  const redirect = sectionOf(route['redirect']);
  if (typeof redirect?.['to'] === 'string') {
    const { to, status = DEFAULT_REDIRECT } = redirect;
    const known = typeof status === 'number' && status >= 300 && status <= 399;
    const faults = checkRedirect(matchOptions, { to, status: known ? status : DEFAULT_REDIRECT });
    errors.push(...placeFaults([...path, 'redirect'], redirect, faults));
  }
  const respond = sectionOf(route['respond']);
  if (respond !== undefined) {
    const { headers } = wellTyped(respond, [], ['headers']) as RespondHeaders;
    errors.push(...placeFaults([...path, 'respond'], respond, checkFieldLines('headers', headers ?? {})));
    const { status, body } = respond;
    if ((status === 204 || status === 205 || status === 304) && body !== undefined && body !== '') {
      errors.push({
        path: [...path, 'respond', 'body'],
        message: `a reply with status ${status} has no body; remove it`,
      });
    }
  }
  return matchOptions;
}

type RespondHeaders = { readonly headers?: Readonly<Record<string, string>> };

/** Any that is fine: stands in for a status that the schema refuses. */
const DEFAULT_REDIRECT = 308;
const MATCH_LISTS = ['host', 'path', 'method', 'ja3', 'ja4'];
const MATCH_MAPS = ['header'];
const REWRITE_LISTS = ['removeRequest', 'removeResponse'];
const REWRITE_MAPS = ['setRequest', 'setResponse'];

/** The part of a section that has the right types, one text where a list may stand made a list. */
function wellTyped(section: Section, lists: readonly string[], maps: readonly string[]): MatchOptions & RewriteOptions {
  const result: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(section)) {
    if (lists.includes(key)) {
      const words = [value].flat().filter((one) => typeof one === 'string');
      if (words.length > 0) result[key] = words;
    } else if (maps.includes(key)) {
      const map = Object.entries(sectionOf(value) ?? {});
      result[key] = Object.fromEntries(map.filter((entry) => typeof entry[1] === 'string'));
    } else if (typeof value === 'string') result[key] = value;
  }
  return result;
}

/** Faults begin with `KEY "WORD": ` or `KEY NUMBER: `; that key or list entry or name is where they belong. */
function placeFaults(path: DocumentPath, section: Section, faults: readonly string[]): Finding[] {
  return faults.map((fault) => {
    for (const [key, value] of Object.entries(section)) {
      const map = sectionOf(value);
      const words = map === undefined ? [value].flat() : Object.keys(map);
      for (const [index, word] of words.entries()) {
        const start = typeof word === 'string' ? `${key} "${word}": ` : `${key} ${word}: `;
        if (!fault.startsWith(start)) continue;
        const rest = fault.slice(start.length);
        if (map !== undefined) return { path: [...path, key, String(word)], message: rest, atKey: true };
        const message = fault.slice(key.length + 1);
        return { path: Array.isArray(value) ? [...path, key, index] : [...path, key], message };
      }
    }
    return { path, message: fault };
  });
}

function sectionOf(value: unknown): Section | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Section) : undefined;
}
