// The traffic of http-1m to clients that speak TLS: bytes a second per core when every one of them is encrypted. The cipher
// runs at the same speed for all; what differs is the size of the records and the copies around them.

import { LARGE_BYTES, LARGE_PATH } from '../origin/content.ts';
import { LOAD_COLUMNS, type Scenario } from '../scenario.ts';
import { bareGet } from './shapes.ts';

export const tlsBulk: Scenario = {
  name: 'tls-bulk',
  title: 'layer 7 behind TLS, keep-alive, 1 MiB reply, 8 connections',
  setup: 'https',
  load: { kind: 'http', connections: 8, requests: [bareGet(LARGE_PATH, LARGE_BYTES)], closing: false, tls: 'full' },
  procedure: 'load',
  peers: ['millrace', 'nginx', 'haproxy'],
  headline: 'cpuMicros',
  columns: LOAD_COLUMNS,
  targets: [{ figure: 'cpuMicros', peer: 'nginx', atMost: 1.15 }],
  unbuilt: null,
};
