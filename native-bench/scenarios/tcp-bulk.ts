// Layer 4 with weight: 1 MiB at a time from the origin to the client, 8 connections. Measures the relay's throughput per
// core: the size of its reads and the copies it makes.

import { LARGE_BYTES, LARGE_PATH } from '../origin/content.ts';
import { LOAD_COLUMNS, type Scenario } from '../scenario.ts';
import { bareGet } from './shapes.ts';

export const tcpBulk: Scenario = {
  name: 'tcp-bulk',
  title: 'layer 4, 1 MiB reply on connections that stay open, 8 connections',
  setup: 'tcp',
  load: { kind: 'http', connections: 8, requests: [bareGet(LARGE_PATH, LARGE_BYTES)], closing: false },
  procedure: 'load',
  peers: ['millrace', 'haproxy', 'nginx'],
  headline: 'cpuMicros',
  columns: LOAD_COLUMNS,
  targets: [{ figure: 'cpuMicros', peer: 'haproxy', atMost: 1.1 }],
  unbuilt: null,
};
