// Layer 7 with weight: replies of 1 MiB, 8 connections. Measures the path of a body, from the upstream's socket to the
// client's: how large the reads are, whether bytes are copied on the way, and what backpressure costs.

import type { Scenario } from '../scenario.ts';

export const http1m: Scenario = {
  name: 'http-1m',
  title: 'layer 7, keep-alive, 1 MiB reply, 8 connections',
  protocol: 'http',
  load: { script: 'keep-alive', path: '/1m', connections: 8 },
  replyBytes: 1_048_576,
  requestBytes: 0,
  peers: ['millrace', 'nginx', 'nginx-streaming', 'haproxy'],
  targets: [{ peer: 'nginx', atMost: 0.95 }],
};
