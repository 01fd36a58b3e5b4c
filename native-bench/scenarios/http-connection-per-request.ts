// A new client connection for each request (`Connection: close`), 64 at a time, while upstream connections are kept.
// Measures accepting, setting up and tearing down: where a runtime that makes objects per socket pays most. Dialing
// weighs on the load generator too, and without a proxy the origin has to accept all those connections, so a proxy that
// keeps them from it may well be faster than none.

import type { Scenario } from '../scenario.ts';

export const httpConnectionPerRequest: Scenario = {
  name: 'http-connection-per-request',
  title: 'layer 7, one connection per request, 129-byte reply, 64 at a time',
  protocol: 'http',
  load: { script: 'connection-close', path: '/small', connections: 64 },
  replyBytes: 129,
  requestBytes: 0,
  peers: ['millrace', 'nginx', 'haproxy'],
  targets: [{ peer: 'nginx', atMost: 1.6 }],
};
