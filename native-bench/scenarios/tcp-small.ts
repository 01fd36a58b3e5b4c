// Layer 4 at its barest: the traffic of http-small through a proxy that does not look at it. What is left is the relay
// itself: read, write, read, write. The difference to http-small is the price of understanding HTTP.

import type { Scenario } from '../scenario.ts';

export const tcpSmall: Scenario = {
  name: 'tcp-small',
  title: 'layer 4, 129-byte reply on connections that stay open, 64 connections',
  protocol: 'tcp',
  load: { script: 'keep-alive', path: '/small', connections: 64 },
  replyBytes: 129,
  requestBytes: 0,
  peers: ['millrace', 'haproxy', 'nginx'],
  targets: [{ peer: 'haproxy', atMost: 1.25 }],
};
