// A new connection for each request whose TLS session is resumed by ticket, 64 at a time, every one of them, which is
// checked: what most handshakes of clients that come back are. Without the signature what is left is an exchange of keys,
// symmetric cryptography, and the setting up of the connection.

import { SMALL_BYTES, SMALL_PATH } from '../origin/content.ts';
import { LOAD_COLUMNS, type Scenario } from '../scenario.ts';
import { bareGet } from './shapes.ts';

export const tlsResumption: Scenario = {
  name: 'tls-resumption',
  title: 'a resumed TLS handshake per request, 129-byte reply, 64 at a time',
  setup: 'https',
  load: { kind: 'http', connections: 64, requests: [bareGet(SMALL_PATH, SMALL_BYTES)], closing: true, tls: 'resumed' },
  procedure: 'load',
  peers: ['millrace', 'nginx', 'haproxy'],
  headline: 'cpuMicros',
  columns: LOAD_COLUMNS,
  targets: [{ figure: 'cpuMicros', peer: 'nginx', atMost: 1.3 }],
  unbuilt: null,
};
