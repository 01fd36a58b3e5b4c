// Layer 7 at its barest: keep-alive GETs with a reply of 129 bytes, 64 connections. Bodies weigh nothing here, so this
// measures what a proxy does per exchange: parse and rewrite two heads, choose an upstream, four system calls. It is
// also the one scenario in which the usual Node proxies take part, since that is where their users would feel them.

import type { Scenario } from '../scenario.ts';

export const httpSmall: Scenario = {
  name: 'http-small',
  title: 'layer 7, keep-alive, 129-byte reply, 64 connections',
  protocol: 'http',
  load: { script: 'keep-alive', path: '/small', connections: 64 },
  replyBytes: 129,
  requestBytes: 0,
  peers: ['millrace', 'nginx', 'haproxy', 'http-proxy', 'http-proxy-default', 'fast-proxy'],
  targets: [
    { peer: 'nginx', atMost: 1.1 },
    { peer: 'haproxy', atMost: 0.95 },
    // At least five times less than a proxy on node:http.
    { peer: 'http-proxy', atMost: 0.2 },
    { peer: 'http-proxy-default', atMost: 0.2 },
    { peer: 'fast-proxy', atMost: 0.2 },
  ],
};
