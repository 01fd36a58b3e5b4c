// The keys of a listener: their types, defaults and meaning.

import * as z from 'zod';
import { AddressBlocks } from '../../base/address.ts';
import { route } from './route.ts';
import { listenerTls } from './tls.ts';
import { address, choice, duration, oneOrMore, reference, section, size, text, whole } from './values.ts';

const timeouts = section({
  head: duration()
    .prefault('10s')
    .describe('From the first byte of a request to the end of its head; then 408. 0 sets no limit.'),
  idle: duration()
    .prefault('60s')
    .describe('Between two requests of a connection; then it is closed. 0 sets no limit.'),
  body: duration()
    .prefault('60s')
    .describe(
      'Without progress of a request body (then 408) or of a reply that the client does not read. 0 sets no limit.',
    ),
  tunnel: duration()
    .prefault('10m')
    .describe(
      'Without a byte in either direction of a tunnel: TCP, passthrough, fallback or WebSocket. 0 sets no limit.',
    ),
});

const limits = section({
  headBytes: size({ min: 1024, max: 48 * 1024 })
    .prefault('16KiB')
    .describe('Longest request head, 1KiB to 48KiB; longer ones get 431 (or 414).'),
  headers: whole(1, 1000).prefault(100).describe('Most header fields in a request, 1 to 1000; more get 431.'),
  bodyBytes: size().prefault(0).describe('Longest request body; longer ones get 413. 0 sets no limit.'),
  connections: whole(0, 10_000_000)
    .prefault(20_000)
    .describe('Most connections open at once; more are closed as they arrive. 0 sets no limit.'),
});

const MODES = ['off', 'append', 'replace', 'auto'] as const;

const forwarded = section({
  xForwarded: choice(MODES)
    .prefault('auto')
    .describe(
      'X-Forwarded-For, -Proto and -Host: `append` adds to what the client sent, `replace` drops that first, `auto` appends ' +
        'for trusted proxies and replaces for everybody else, `off` adds nothing and keeps only what trusted proxies sent.',
    ),
  standard: choice(MODES).prefault('off').describe('The Forwarded field of RFC 7239; the same words as `xForwarded`.'),
  via: z.boolean().prefault(true).describe('Whether Via is added to requests (RFC 9110 7.6.3).'),
  requestId: choice(['auto', 'off', 'replace'])
    .prefault('auto')
    .describe(
      'X-Request-Id: `auto` keeps the one of a trusted proxy and makes one otherwise, `replace` always makes one, `off` leaves it alone.',
    ),
});

export const listener = section(
  {
    bind: oneOrMore(address(false)).describe(
      'One address or a list: `HOST:PORT`, `[v6]:PORT`, `unix:PATH`, or `:PORT` for all interfaces, v4 and v6. Port 0 takes a free one.',
    ),
    protocol: choice(['http', 'tcp', 'auto'], ['forward', 'socks5', 'dns'])
      .prefault('http')
      .describe('What clients speak. `auto` tells TLS, HTTP and anything else apart by the first bytes.'),
    cluster: reference('cluster')
      .optional()
      .describe(
        'Where everything goes: with `tcp` each connection, with `http` and `auto` each request (short for one route).',
      ),
    fallback: reference('cluster')
      .optional()
      .describe(
        'With `auto`: the cluster that gets bytes which are neither TLS nor HTTP. Without it such connections are closed.',
      ),
    detectTimeout: duration({ min: 1, max: 60_000 })
      .prefault('300ms')
      .describe(
        'With `auto`: a client that is silent this long goes to `fallback` too, so that protocols in which the server speaks first work.',
      ),
    proxyProtocol: choice(['off', 'accept', 'require'])
      .prefault('off')
      .describe(
        'PROXY protocol header (v1 or v2) before anything else: not read, read when a trusted proxy sends one, or required.',
      ),
    trustedProxies: z
      .array(text('address or CIDR block', (value) => new AddressBlocks().add(value)))
      .prefault([])
      .describe('Peers whose PROXY header and X-Forwarded fields are believed.'),
    passthrough: z
      .record(z.string(), reference('cluster'))
      .prefault({})
      .describe(
        'With `auto`: TLS server name (`db.example.com`, `*.example.com`, or `*` for every other and for none) to the cluster that gets the connection, still encrypted.',
      ),
    timeouts: timeouts.prefault({}).describe('Time limits towards clients.'),
    limits: limits.prefault({}).describe('What one client may ask for.'),
    forwarded: forwarded.prefault({}).describe('What upstreams are told about the client.'),
    routes: z
      .array(route)
      .prefault([])
      .describe('Tried in order; the first that matches answers. None that matches: 404.'),
    tls: listenerTls
      .optional()
      .describe(
        'Termination of TLS. With `auto` for every server name that is not passed through; plain HTTP is served too.',
      ),
    httpsRedirect: z
      .union([z.boolean(), whole(1, 65_535)])
      .prefault(false)
      .describe('Sends plain HTTP to the same URL with https, on port 443 or the port given.'),
  },
  [],
);
