// Layer 7 at its barest: keep-alive GETs with a reply of 129 bytes, 64 connections. Bodies weigh nothing here, so this
// measures what a proxy does per exchange: parse and rewrite two heads, choose an upstream, four system calls. It is
// also the one scenario in which everybody takes part, the usual Node proxies included, since that is where their users
// would feel them.

import { SMALL_BYTES, SMALL_PATH } from '../origin/content.ts';
import { LOAD_COLUMNS, type Scenario } from '../scenario.ts';
import { bareGet } from './shapes.ts';

export const httpSmall: Scenario = {
  name: 'http-small',
  title: 'layer 7, keep-alive, 129-byte reply, 64 connections',
  setup: 'http',
  load: { kind: 'http', connections: 64, requests: [bareGet(SMALL_PATH, SMALL_BYTES)], closing: false },
  procedure: 'load',
  peers: [
    ...['millrace', 'millrace-binary', 'nginx', 'haproxy', 'caddy', 'varnish'],
    ...['http-proxy', 'http-proxy-default', 'httpxy', 'fastify-http-proxy', 'fast-proxy'],
  ],
  headline: 'cpuMicros',
  columns: [...LOAD_COLUMNS, 'allocatedBytes'],
  targets: [
    { figure: 'cpuMicros', peer: 'nginx', atMost: 1.1 },
    { figure: 'cpuMicros', peer: 'haproxy', atMost: 0.95 },
    // At least five times less than a proxy on node:http.
    { figure: 'cpuMicros', peer: 'http-proxy', atMost: 0.2 },
    { figure: 'cpuMicros', peer: 'http-proxy-default', atMost: 0.2 },
    { figure: 'cpuMicros', peer: 'fast-proxy', atMost: 0.2 },
    // What is allocated is collected in pauses that others wait through.
    { figure: 'allocatedBytes', peer: null, atMost: 1_024 },
  ],
  unbuilt: null,
};
