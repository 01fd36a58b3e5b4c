// What waiting costs: 10,000 client connections that have had an answer each and are silent, and the resident memory that
// they add to the proxy, divided among them. Keep-alive and WebSocket leave most connections of a busy server in this
// state, so it is memory per connection, not throughput, that says how many fit on a machine. Plain connections; for those
// behind TLS, which hold keys and buffers, see idle-connections-tls.

import { SMALL_BYTES, SMALL_PATH } from '../origin/content.ts';
import type { Scenario } from '../scenario.ts';
import { bareGet } from './shapes.ts';

export const idleConnections: Scenario = {
  name: 'idle-connections',
  title: 'memory of 10,000 idle client connections',
  setup: 'http',
  load: { kind: 'http', connections: 10_000, requests: [bareGet(SMALL_PATH, SMALL_BYTES)], closing: false },
  procedure: 'idle',
  peers: ['millrace', 'nginx', 'haproxy', 'http-proxy'],
  headline: 'idleBytes',
  columns: ['idleBytes', 'residentBytes', 'peakResidentBytes'],
  targets: [{ figure: 'idleBytes', peer: null, atMost: 6_144 }],
  unbuilt: null,
};
