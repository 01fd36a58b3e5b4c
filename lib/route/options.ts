// What configuration says about a route. What the words may hold is checked beside the code that reads them:
// match-check, rewrite, redirect and field-edits.

import type { RetryOptions } from '../base/retries.ts';

/**
 * What a request must look like; everything that is given must hold, and of a list one entry is enough.
 * Routes are tried in the order in which they are written and the first match wins.
 */
export interface MatchOptions {
  /** `example.com`, `*.example.com` (one or more labels in place of the `*`, not the bare name) or `*`. No port. */
  readonly host?: readonly string[] | undefined;
  /** `/exact`, `/prefix/*` (also matches `/prefix`) or a pattern with `*` within segments. Without the query. */
  readonly path?: readonly string[] | undefined;
  /** Names in upper case. `GET` does not include `HEAD`: name both where both are meant. */
  readonly method?: readonly string[] | undefined;
  /** Field name to expected value; `*` asks only that the field is there. */
  readonly header?: Readonly<Record<string, string>> | undefined;
  /** Fingerprints of the client's TLS hello; requests without TLS have none, and match nothing here. */
  readonly ja3?: readonly string[] | undefined;
  readonly ja4?: readonly string[] | undefined;
}

/** What is changed in an exchange on its way. */
export interface RewriteOptions {
  /** New path; the k-th `*` stands for what the k-th `*` of the matched path stood for. The query is kept. */
  readonly path?: string | undefined;
  /** New authority for the Host field. */
  readonly host?: string | undefined;
  readonly setRequest?: Readonly<Record<string, string>> | undefined;
  readonly removeRequest?: readonly string[] | undefined;
  readonly setResponse?: Readonly<Record<string, string>> | undefined;
  readonly removeResponse?: readonly string[] | undefined;
}

/** Action: answer without an upstream. */
export interface RespondOptions {
  /** 200 to 599. */
  readonly status: number;
  readonly body: string;
  readonly headers?: Readonly<Record<string, string>> | undefined;
}

/** Action: send the client elsewhere. */
export interface RedirectOptions {
  /** A path or an absolute URL with `*` as in a rewrite, and `{host}`, `{path}`, `{query}`, `{scheme}`. */
  readonly to: string;
  /** 301, 302, 303, 307 or 308. */
  readonly status: number;
}

/** Action: each request goes to one of several clusters. */
export interface SplitOptions {
  /** Name of the cluster to its share relative to the others. */
  readonly clusters: Readonly<Record<string, number>>;
  /** What decides; by default chance does. */
  readonly on?: 'client-ip' | 'header' | 'cookie' | 'query' | 'path' | undefined;
  readonly name?: string | undefined;
  /** Without `on`: chance decides once, and a cookie of ours keeps the client with it. */
  readonly sticky?: { readonly cookie: string; readonly maxAgeMs: number; readonly secret: string } | undefined;
}

/** A route: what it matches (everything, if it does not say) and exactly one action (cluster, split, redirect or respond). */
export interface RouteOptions {
  readonly match?: MatchOptions | undefined;
  readonly rewrite?: RewriteOptions | undefined;
  /** Action: pass the request on to this cluster. */
  readonly cluster?: string | undefined;
  /** Action: share requests out between clusters. */
  readonly split?: SplitOptions | undefined;
  /** With a cluster or a split: copies for another cluster. */
  readonly mirror?: { readonly cluster: string; readonly share: number } | undefined;
  /** With a cluster, in place of its own. */
  readonly retries?: RetryOptions | undefined;
  readonly redirect?: RedirectOptions | undefined;
  readonly respond?: RespondOptions | undefined;
}
