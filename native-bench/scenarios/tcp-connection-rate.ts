// Layer 4 with a new connection for each exchange, 64 at a time: accept, pick, dial, relay a little, tear down both sides.
// There is nothing to reuse at this layer, so a proxy pays for two connections each time; so does the origin, which
// accepts each of them, and the load generator, which dials.

import { SMALL_BYTES, SMALL_PATH } from '../origin/content.ts';
import { LOAD_COLUMNS, type Scenario } from '../scenario.ts';
import { bareGet } from './shapes.ts';

export const tcpConnectionRate: Scenario = {
  name: 'tcp-connection-rate',
  title: 'layer 4, one connection per 129-byte reply, 64 at a time',
  setup: 'tcp',
  load: { kind: 'http', connections: 64, requests: [bareGet(SMALL_PATH, SMALL_BYTES)], closing: true },
  procedure: 'load',
  peers: ['millrace', 'haproxy', 'nginx'],
  headline: 'cpuMicros',
  columns: LOAD_COLUMNS,
  targets: [],
  unbuilt: null,
};
