// A new client connection for each request (`Connection: close`), 64 at a time, while upstream connections are kept.
// Measures accepting, setting up and tearing down: where a runtime that makes objects per socket pays most. Dialing
// weighs on the load generator too, and without a proxy the origin has to accept all those connections, so a proxy that
// keeps them from it may well be faster than none.

import { SMALL_BYTES, SMALL_PATH } from '../origin/content.ts';
import { LOAD_COLUMNS, type Scenario } from '../scenario.ts';
import { bareGet } from './shapes.ts';

export const httpConnectionPerRequest: Scenario = {
  name: 'http-connection-per-request',
  title: 'layer 7, one connection per request, 129-byte reply, 64 at a time',
  setup: 'http',
  load: { kind: 'http', connections: 64, requests: [bareGet(SMALL_PATH, SMALL_BYTES)], closing: true },
  procedure: 'load',
  peers: ['millrace', 'nginx', 'haproxy'],
  headline: 'cpuMicros',
  columns: LOAD_COLUMNS,
  targets: [{ figure: 'cpuMicros', peer: 'nginx', atMost: 1.6 }],
  unbuilt: null,
};
