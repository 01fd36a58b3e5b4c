// The keys of a cluster: their types, defaults and meaning.

import * as z from 'zod';
import { clusterTls } from './tls.ts';
import { address, choice, duration, section, text, whole } from './values.ts';

const endpoint = section(
  {
    address: address(true).describe('`HOST:PORT`, `[v6]:PORT` or `unix:PATH`; `:PORT` is a port of this machine.'),
    weight: whole(1, 256).prefault(1).describe('Share of the traffic relative to the other endpoints, 1 to 256.'),
  },
  ['backup'],
);

const pool = section({
  idle: whole(0, 65_536).prefault(1024).describe('Most idle connections kept for each endpoint; 0 keeps none.'),
  max: whole(0, 1_000_000).prefault(0).describe('Most connections open to each endpoint at once; 0 sets no cap.'),
  idleTimeout: duration()
    .prefault('55s')
    .describe("How long an idle connection is kept. Keep it shorter than the origin's own limit. 0 sets no limit."),
  queue: whole(0, 1_000_000)
    .prefault(1024)
    .describe('Most requests that wait for a connection when `max` is reached; more get 503.'),
  queueTimeout: duration({ min: 1 })
    .prefault('1s')
    .describe('How long a request waits for a connection before it gets 503.'),
});

const timeouts = section({
  connect: duration({ min: 1 })
    .prefault('1s')
    .describe('Until a connection to an endpoint is made; then the next endpoint, or 504.'),
  response: duration()
    .prefault('30s')
    .describe('From the end of a request to the head of its response; then 504. 0 sets no limit.'),
  idle: duration().prefault('60s').describe('Without progress of a response body. 0 sets no limit.'),
});

export const cluster = section(
  {
    balance: choice(['round-robin', 'least-connections'], ['least-requests', 'random', 'hash', 'first', 'latency'])
      .prefault('round-robin')
      .describe(
        'How an endpoint is chosen: each in turn by weight, or the one with the fewest open connections for its weight.',
      ),
    endpoints: z
      .array(z.union([address(true), endpoint]))
      .min(1)
      .describe('The addresses behind this name: each an address, or a map with `address` and `weight`.'),
    host: text('`preserve`, `endpoint` or a name', checkHost)
      .prefault('preserve')
      .describe(
        "The Host field sent upstream: the client's (`preserve`), the address of the endpoint (`endpoint`), or the given name.",
      ),
    protocol: choice(['auto', 'h2'])
      .prefault('auto')
      .describe(
        'The version of HTTP: `auto` is what TLS agrees on (see `tls.alpn`) and else HTTP/1.1; `h2` is HTTP/2 by prior knowledge, as gRPC servers without TLS want it.',
      ),
    proxyProtocol: choice(['off', 'v1', 'v2'])
      .prefault('off')
      .describe('PROXY protocol header that tells the endpoint who the client is.'),
    pool: pool.prefault({}).describe('Connections kept to each endpoint.'),
    timeouts: timeouts.prefault({}).describe('Time limits towards the endpoints.'),
    tls: clusterTls.optional().describe('TLS towards the endpoints, verified unless told otherwise.'),
  },
  ['hash', 'discovery', 'sticky', 'retries', 'health', 'ejection'],
);

/** RFC 3986 3.2: a host with or without a port, and nothing that could end a header line. */
function checkHost(value: string): string {
  return /^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:\d{1,5})?$/.test(value)
    ? ''
    : 'must be preserve, endpoint or a host name (with a port where one is wanted)';
}
