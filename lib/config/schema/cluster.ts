// The keys of a cluster: their types, defaults and meaning.

import { isIP } from 'node:net';
import * as z from 'zod';
import { didYouMean } from '../../base/nearest.ts';
import { clusterTls } from './tls.ts';
import { address, choice, duration, oneOrMore, section, share, text, whole, word } from './values.ts';

const endpoint = section({
  address: address(true).describe('`HOST:PORT`, `[v6]:PORT` or `unix:PATH`; `:PORT` is a port of this machine.'),
  weight: whole(1, 256).prefault(1).describe('Share of the traffic relative to the other endpoints, 1 to 256.'),
  backup: z
    .boolean()
    .prefault(false)
    .describe('Used only when too few of those that are no backup are well (see `panic`).'),
  priority: whole(0, 255)
    .prefault(0)
    .describe(
      'Endpoints of the lowest number are used; those of the next get what these cannot take when some of them are ill.',
    ),
  zone: text('name').prefault('').describe('Where it stands: see `zone` of the cluster.'),
  draining: z.boolean().prefault(false).describe('Nothing new is sent there; what is under way finishes.'),
});

/** The endpoints of a cluster, here and in documents that are discovered. */
export const endpoints = z.array(z.union([address(true), endpoint]));

const hash = section({
  on: choice(['client-ip', 'header', 'cookie', 'query', 'path']).describe('What decides.'),
  name: text('name').optional().describe('Name of the header, cookie or query parameter.'),
  bound: z
    .number()
    .min(1)
    .max(100)
    .optional()
    .describe(
      'Most requests that an endpoint has under way, as a multiple of the average; by default there is no bound.',
    ),
});

/** A cookie of ours that clients stay with something by; `called`: how, unless the document says so. */
export function sticky(called: string) {
  return section({
    cookie: text('name', checkToken).optional().describe(`Name of the cookie; by default ${called}.`),
    maxAge: duration({ max: 400 * 24 * 60 * 60 * 1000 })
      .prefault('0s')
      .describe('How long browsers keep it; 0: until they are closed.'),
    secret: text('secret', (value) => (value.length >= 16 ? '' : 'must have 16 characters at least'))
      .optional()
      .describe(
        'What cookies are signed with: the same for all proxies that share clients. By default one is made and kept in the state folder.',
      ),
  });
}

const health = section({
  path: text('path', (value) => (/^\/[\x21-\x7e]*$/.test(value) ? '' : 'must begin with / and hold no spaces'))
    .optional()
    .describe('Asks for this path by HTTP.'),
  tcp: z.literal(true).optional().describe('Makes a connection, no more.'),
  tls: z
    .literal(true)
    .optional()
    .describe('Makes a connection and secures it as for traffic; needs `tls` of the cluster.'),
  grpc: z
    .union([
      z.literal(true),
      text('service', (value) => (value.length < 128 ? '' : 'must have less than 128 characters')),
    ])
    .optional()
    .describe("Asks gRPC's health service: of the server (`true`) or of the service named."),
  method: choice(['GET', 'HEAD', 'OPTIONS']).prefault('GET').describe('Method of the request.'),
  host: text('host', checkHost).optional().describe('Host of the request; by default as for traffic, or the endpoint.'),
  status: oneOrMore(word('status or range', checkStatuses))
    .prefault(['200-299'])
    .describe('Statuses that are well: numbers and ranges such as `200-299`.'),
  body: text('pattern', checkPattern)
    .optional()
    .describe('Regular expression that the first 64 KiB of the body must match.'),
  interval: duration({ min: 100 }).prefault('5s').describe('From one check to the next, give or take a tenth.'),
  fastInterval: duration({ min: 100 }).prefault('1s').describe('The same while answers contradict what is believed.'),
  timeout: duration({ min: 1 }).prefault('1s').describe('Until a check has failed.'),
  rise: whole(1, 100).prefault(2).describe('Checks in a row that must go well before an endpoint is up.'),
  fall: whole(1, 100).prefault(3).describe('Checks in a row that must fail before it is down.'),
});

const ejection = section({
  failures: whole(0, 10_000).prefault(5).describe('Failures in a row that put an endpoint aside; 0: not counted.'),
  rate: share().prefault('0%').describe('Share of failures within ten seconds that does; `0%`: not counted.'),
  latency: z
    .number()
    .min(0)
    .max(1000)
    .prefault(0)
    .describe('How many times longer than the median of all an endpoint may take on average; 0: not looked at.'),
  for: duration({ min: 1 }).prefault('10s').describe('How long, the first time; it doubles with each time in a row.'),
  longest: duration({ min: 1 }).prefault('5m').describe('How long at most.'),
  max: share()
    .prefault('50%')
    .describe(
      'Largest share of endpoints that is put aside at once, but of several always one; `0%`: nothing is ever put aside.',
    ),
});

/** Retries of a cluster or of a route. */
export const retries = section({
  attempts: whole(0, 10).prefault(2).describe('Tries after the first, at most; 0: none.'),
  on: z
    .array(word('cause or status', checkCause))
    .prefault(['connect', 'reset', 'refused'])
    .describe(
      'What is tried again: `connect` (no connection was made), `reset` (it broke before an answer), `refused` (a stream was refused), `timeout` (no answer in time), and statuses such as `"503"`.',
    ),
  unsafe: z
    .boolean()
    .prefault(false)
    .describe('Whether requests are sent again that may do something twice, such as POST, once they have been sent.'),
  budget: share()
    .prefault('20%')
    .describe(
      'How many retries each request adds to what is allowed, on average: what is not used is saved, up to one for each request under way, or 100 where those are fewer. Three at once are always allowed.',
    ),
  timeout: duration()
    .prefault('0s')
    .describe('Until a try that can be followed by another is given up; 0: as without retries.'),
  hedge: duration()
    .prefault('0s')
    .describe(
      'After this time without an answer a GET or HEAD is sent to another endpoint too, and the first answer taken. Each counts as a retry. Choose what hardly an answer takes, such as the 95th percentile. 0: never.',
    ),
  backoff: duration({ max: 60_000 })
    .prefault('25ms')
    .describe('Longest pause before the first retry; it doubles with each, and chance picks a part of it.'),
  maxBackoff: duration({ max: 60_000 })
    .prefault('1s')
    .describe(
      'Longest pause. An endpoint is not asked again before it says by Retry-After; without another, its answer is passed on when that is later.',
    ),
});

const dns = section({
  name: text('name', checkHost).describe('The name that is asked for.'),
  port: whole(1, 65_535).optional().describe('Port of the endpoints.'),
  srv: z
    .boolean()
    .prefault(false)
    .describe(
      'Asks for SRV records, which tell ports, weights and priorities. Their own TTL is not known: those of the addresses that they lead to hold, and `every`.',
    ),
  every: duration({ min: 100 }).prefault('30s').describe('Ask again after this time at the latest, whatever the TTL.'),
  minTtl: duration({ min: 100 }).prefault('1s').describe('Ask again after this time at the earliest.'),
  servers: z.array(text('address')).prefault([]).describe('DNS servers; by default those of the system.'),
});

const discovery = section({
  dns: dns.optional().describe('Endpoints by DNS.'),
  file: text('file').optional().describe('A YAML or JSON file with a list as in `endpoints`, looked at every second.'),
  http: section({
    url: text('URL', (value) =>
      /^https?:/.test(value) && URL.canParse(value) ? '' : 'must be an http or https URL',
    ).describe('Where the list is.'),
    every: duration({ min: 100 }).prefault('10s').describe('How often it is asked for.'),
  })
    .optional()
    .describe('The same from a service, with its ETag.'),
});

const pool = section({
  idle: whole(0, 65_536).prefault(1024).describe('Most idle connections kept for each endpoint; 0 keeps none.'),
  max: whole(0, 1_000_000)
    .prefault(0)
    .describe(
      'Most connections open to each endpoint at once, tunnels of TCP included. Not counted: those that have been upgraded (WebSocket), and those of HTTP/2 that only end what they have. 0 sets no cap.',
    ),
  idleTimeout: duration()
    .prefault('55s')
    .describe("How long an idle connection is kept. Keep it shorter than the origin's own limit. 0 sets no limit."),
  warm: whole(0, 1024)
    .prefault(0)
    .describe('Connections kept to each endpoint that is well, opened before a request wants them.'),
  maxAge: duration()
    .prefault('0s')
    .describe('How old a connection gets, give or take a tenth, before it is closed after a request. 0 sets no limit.'),
  maxRequests: whole(0, 1_000_000_000)
    .prefault(0)
    .describe('How many requests a connection serves before it is closed. 0 sets no limit.'),
  queue: whole(0, 1_000_000)
    .prefault(1024)
    .describe(
      'Most requests and TCP clients that wait when `max` or a cap on what is under way is reached; more get 503, or a reset.',
    ),
  queueTimeout: duration({ min: 1 })
    .prefault('1s')
    .describe('How long one waits before it gets 503, or a TCP client a reset.'),
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

export const cluster = section({
  balance: choice(['round-robin', 'least-requests', 'least-connections', 'random', 'hash', 'first', 'latency'])
    .prefault('round-robin')
    .describe(
      'How an endpoint is chosen: each in turn by weight; the one with the fewest requests under way for its weight (`least-requests`; `least-connections` is the same by the name that TCP has for it); the less busy of two drawn by weight (`random`); the same for the same key (`hash`); the first that is well (`first`); the faster of two (`latency`).',
    ),
  hash: hash.optional().describe('With `balance: hash`: what the key is.'),
  endpoints: endpoints
    .prefault([])
    .describe('The addresses behind this name: each an address, or a map. None only with `discovery`.'),
  discovery: discovery.optional().describe('Where more endpoints are found; one of its keys.'),
  sticky: sticky('`millrace_CLUSTER`')
    .optional()
    .describe('Clients stay with their endpoint by a cookie, as long as it is well.'),
  health: health.optional().describe('Active checks: one of `path`, `tcp`, `tls` and `grpc`.'),
  ejection: ejection.prefault({}).describe('Endpoints that fail traffic are put aside for a while.'),
  retries: retries.prefault({}).describe('What is tried again when an endpoint fails a request.'),
  slowStart: duration().prefault('0s').describe('How long an endpoint that comes back takes to get its whole share.'),
  panic: share().prefault('50%').describe('When less than this share of endpoints is well, all are used; `0%`: never.'),
  zone: text('name').prefault('').describe('Where this proxy stands: endpoints of the same zone are preferred.'),
  requests: whole(0, 10_000_000)
    .prefault(0)
    .describe('Most requests and tunnels under way at once; more wait as for a connection. 0 sets no cap.'),
  adaptive: section({
    min: whole(1, 1_000_000).prefault(4).describe('The cap never falls below this.'),
    max: whole(1, 1_000_000).prefault(1000).describe('The cap never rises above this.'),
  })
    .optional()
    .describe(
      'A cap like `requests` that is found out by latency: it falls when answers take longer than they used to. Tunnels do not count.',
    ),
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
  source: text('address', (value) => (isIP(value) === 0 ? 'must be an IP address' : ''))
    .optional()
    .describe('Our own address towards the endpoints; by default the kernel chooses.'),
  tcpKeepAlive: duration()
    .prefault('0s')
    .describe('Silence after which the kernel asks whether an endpoint is still there. 0: never.'),
  pool: pool.prefault({}).describe('Connections kept to each endpoint.'),
  timeouts: timeouts.prefault({}).describe('Time limits towards the endpoints.'),
  tls: clusterTls.optional().describe('TLS towards the endpoints, verified unless told otherwise.'),
});

/** RFC 3986 3.2: a host with or without a port, and nothing that could end a header line. */
function checkHost(value: string): string {
  return /^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:\d{1,5})?$/.test(value)
    ? ''
    : 'must be preserve, endpoint or a host name (with a port where one is wanted)';
}

/** RFC 9110 5.6.2. */
function checkToken(value: string): string {
  return /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(value) ? '' : 'must be letters, digits and the like';
}

const CAUSES = ['connect', 'reset', 'refused', 'timeout'];

function checkCause(value: string): string {
  if (/^[45]\d\d$/.test(value) || CAUSES.includes(value)) return '';
  return `must be connect, reset, refused, timeout or a status from 400 to 599${didYouMean(value, CAUSES)}`;
}

function checkStatuses(value: string): string {
  return /^[1-5]\d\d(-[1-5]\d\d)?$/.test(value) ? '' : 'must be a status or a range such as 200-299';
}

function checkPattern(value: string): string {
  try {
    new RegExp(value);
    return '';
  } catch (error) {
    return `is no regular expression: ${(error as Error).message.replace(/^.*: /, '')}`;
  }
}
