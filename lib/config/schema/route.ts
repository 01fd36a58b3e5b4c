// The keys of a route: their types, defaults and meaning. What patterns and templates may hold is checked by the route room.

import * as z from 'zod';
import { retries, sticky } from './cluster.ts';
import { choice, oneOrMore, reference, section, share, text, whole } from './values.ts';

const headers = z.record(z.string(), text());

const match = section({
  host: oneOrMore(text('host pattern'))
    .optional()
    .describe('`example.com`, `*.example.com` (any name below it, not itself) or `*`, without a port; one or a list.'),
  path: oneOrMore(text('path pattern'))
    .optional()
    .describe(
      '`/exact`, `/prefix/*`, or a pattern with `*` for one segment; one or a list. The query is not looked at.',
    ),
  method: oneOrMore(text('method'))
    .optional()
    .describe('`GET` and the like, in capitals; one or a list. `GET` does not include `HEAD`.'),
  header: headers.optional().describe('Fields that must be there, with their exact value; `"*"` takes any value.'),
  ja3: oneOrMore(text('JA3'))
    .optional()
    .describe("JA3 of the client's TLS hello, 32 hexadecimal digits; one or a list. Requests without TLS have none."),
  ja4: oneOrMore(text('JA4'))
    .optional()
    .describe("JA4 of the client's TLS hello, such as `t13d1516h2_8daaf6152771_e5627efa2ab1`; one or a list."),
});

const rewrite = section({
  path: text('path template')
    .optional()
    .describe(
      'New path; the first `*` stands for what the first `*` of the matched path stood for, and so on. The query is kept.',
    ),
  host: text('host').optional().describe('New Host field.'),
  setRequest: headers.optional().describe('Request fields to set, in place of any that are there.'),
  removeRequest: z.array(text('field name')).optional().describe('Request fields to remove.'),
  setResponse: headers.optional().describe('Response fields to set, in place of any that are there.'),
  removeResponse: z.array(text('field name')).optional().describe('Response fields to remove.'),
});

const redirect = section({
  to: text('URL or path template').describe(
    'Where to: a path or an absolute URL; a `*` takes what the `*` of the matched path stood for.',
  ),
  status: whole(300, 399).prefault(308).describe('301, 302, 303, 307 or 308.'),
});

const respond = section({
  status: whole(200, 599).prefault(200).describe('Status of the reply, 200 to 599.'),
  body: text().prefault('').describe('Body of the reply.'),
  headers: headers.optional().describe('Fields of the reply.'),
});

const split = section({
  clusters: z
    .record(z.string(), whole(0, 10_000))
    .describe('Names of clusters, each with its share relative to the others.'),
  on: choice(['client-ip', 'header', 'cookie', 'query', 'path'])
    .optional()
    .describe('What decides, so that the same client stays with the same cluster; by default chance does.'),
  name: text('name').optional().describe('Name of the header, cookie or query parameter.'),
  sticky: sticky('`millrace-split_` and the names of the clusters')
    .optional()
    .describe(
      'Clients stay with their cluster by a cookie of ours, whatever happens to the shares, as long as its own is not 0.',
    ),
});

const mirror = section({
  cluster: reference('cluster').describe('Gets the copies; what it answers is dropped.'),
  share: share().prefault('100%').describe('Share of the requests that is copied.'),
});

export const route = section({
  match: match
    .optional()
    .describe('What a request must look like; all that is given must hold. Without it, every request matches.'),
  rewrite: rewrite.optional().describe('What is changed on the way.'),
  cluster: reference('cluster').optional().describe('Action: pass the request on to this cluster.'),
  split: split.optional().describe('Action: share requests out between clusters.'),
  mirror: mirror.optional().describe('Copies requests for another cluster besides, those with bodies of up to 64 KiB.'),
  retries: retries.optional().describe("In place of the cluster's: what is tried again when an endpoint fails."),
  redirect: redirect.optional().describe('Action: send the client elsewhere.'),
  respond: respond.optional().describe('Action: answer without an upstream.'),
});
