// A full TLS handshake for each request, 64 at a time, no session resumed, which is checked: the public-key operations
// (ECDSA P-256, X25519) are most of it and the same for everybody who calls the same library, so this shows what a proxy
// adds around them, and what a wave of new clients costs.

import { SMALL_BYTES, SMALL_PATH } from '../origin/content.ts';
import { LOAD_COLUMNS, type Scenario } from '../scenario.ts';
import { bareGet } from './shapes.ts';

export const tlsHandshakes: Scenario = {
  name: 'tls-handshakes',
  title: 'a full TLS handshake per request, 129-byte reply, 64 at a time',
  setup: 'https',
  load: { kind: 'http', connections: 64, requests: [bareGet(SMALL_PATH, SMALL_BYTES)], closing: true, tls: 'full' },
  procedure: 'load',
  peers: ['millrace', 'nginx', 'haproxy'],
  headline: 'cpuMicros',
  columns: LOAD_COLUMNS,
  targets: [{ figure: 'cpuMicros', peer: 'nginx', atMost: 1.3 }],
  unbuilt: null,
};
