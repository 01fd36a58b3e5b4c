// The traffic of http-small from clients that speak TLS, on connections that stay open: what encrypting and decrypting a
// few hundred bytes adds to an exchange once the handshake is over.

import { SMALL_BYTES, SMALL_PATH } from '../origin/content.ts';
import { LOAD_COLUMNS, type Scenario } from '../scenario.ts';
import { bareGet } from './shapes.ts';

export const tlsSmall: Scenario = {
  name: 'tls-small',
  title: 'layer 7 behind TLS, keep-alive, 129-byte reply, 64 connections',
  setup: 'https',
  load: { kind: 'http', connections: 64, requests: [bareGet(SMALL_PATH, SMALL_BYTES)], closing: false, tls: 'full' },
  procedure: 'load',
  peers: ['millrace', 'nginx', 'haproxy'],
  headline: 'cpuMicros',
  columns: LOAD_COLUMNS,
  targets: [{ figure: 'cpuMicros', peer: 'nginx', atMost: 1.2 }],
  unbuilt: null,
};
