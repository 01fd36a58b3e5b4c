// Layer 4 at its barest: the traffic of http-small through a proxy that does not look at it. What is left is the relay
// itself: read, write, read, write. The difference to http-small is the price of understanding HTTP.

import { SMALL_BYTES, SMALL_PATH } from '../origin/content.ts';
import { LOAD_COLUMNS, type Scenario } from '../scenario.ts';
import { bareGet } from './shapes.ts';

export const tcpSmall: Scenario = {
  name: 'tcp-small',
  title: 'layer 4, 129-byte reply on connections that stay open, 64 connections',
  setup: 'tcp',
  load: { kind: 'http', connections: 64, requests: [bareGet(SMALL_PATH, SMALL_BYTES)], closing: false },
  procedure: 'load',
  peers: ['millrace', 'haproxy', 'nginx'],
  headline: 'cpuMicros',
  columns: LOAD_COLUMNS,
  targets: [{ figure: 'cpuMicros', peer: 'haproxy', atMost: 1.25 }],
  unbuilt: null,
};
