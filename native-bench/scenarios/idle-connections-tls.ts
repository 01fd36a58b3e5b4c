// What waiting costs behind TLS: as idle-connections, but each of the 10,000 has made a handshake, and holds the state of
// its session, keys for both directions and whatever buffers its proxy does not give back.

import { SMALL_BYTES, SMALL_PATH } from '../origin/content.ts';
import type { Scenario } from '../scenario.ts';
import { bareGet } from './shapes.ts';

export const idleConnectionsTls: Scenario = {
  name: 'idle-connections-tls',
  title: 'memory of 10,000 idle client connections behind TLS',
  setup: 'https',
  load: {
    kind: 'http',
    connections: 10_000,
    requests: [bareGet(SMALL_PATH, SMALL_BYTES)],
    closing: false,
    tls: 'full',
  },
  procedure: 'idle',
  peers: ['millrace', 'nginx', 'haproxy'],
  headline: 'idleBytes',
  columns: ['idleBytes', 'residentBytes', 'peakResidentBytes'],
  targets: [{ figure: 'idleBytes', peer: null, atMost: 40_960 }],
  unbuilt: null,
};
