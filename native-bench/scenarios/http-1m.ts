// Layer 7 with weight: replies of 1 MiB, 8 connections. Measures the path of a body, from the upstream's socket to the
// client's: how large the reads are, whether bytes are copied on the way, and what backpressure costs.

import { LARGE_BYTES, LARGE_PATH } from '../origin/content.ts';
import { LOAD_COLUMNS, type Scenario } from '../scenario.ts';
import { bareGet } from './shapes.ts';

export const http1m: Scenario = {
  name: 'http-1m',
  title: 'layer 7, keep-alive, 1 MiB reply, 8 connections',
  setup: 'http',
  load: { kind: 'http', connections: 8, requests: [bareGet(LARGE_PATH, LARGE_BYTES)], closing: false },
  procedure: 'load',
  peers: ['millrace', 'nginx', 'nginx-streaming', 'haproxy', 'caddy'],
  headline: 'cpuMicros',
  columns: LOAD_COLUMNS,
  targets: [{ figure: 'cpuMicros', peer: 'nginx', atMost: 0.95 }],
  unbuilt: null,
};
