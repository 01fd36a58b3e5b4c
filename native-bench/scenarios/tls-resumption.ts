// A new connection for each request whose TLS session is resumed by ticket, 64 at a time: what most handshakes of clients
// that come back are. Without the signature what is left is symmetric cryptography and the setting up of the connection.

import { SMALL_BYTES, SMALL_PATH } from '../origin/content.ts';
import { LOAD_COLUMNS, type Scenario } from '../scenario.ts';
import { bareGet } from './shapes.ts';

export const tlsResumption: Scenario = {
  name: 'tls-resumption',
  title: 'a resumed TLS handshake per request, 129-byte reply, 64 at a time',
  setup: 'http',
  load: { kind: 'http', connections: 64, requests: [bareGet(SMALL_PATH, SMALL_BYTES)], closing: true },
  procedure: 'load',
  peers: ['millrace', 'nginx', 'haproxy'],
  headline: 'cpuMicros',
  columns: LOAD_COLUMNS,
  targets: [],
  unbuilt: 'TLS is not built yet',
};
