// Layer 4 with weight: 1 MiB at a time from the origin to the client, 8 connections. Measures the relay's throughput per
// core: the size of its reads and the copies it makes.

import type { Scenario } from '../scenario.ts';

export const tcp1m: Scenario = {
  name: 'tcp-1m',
  title: 'layer 4, 1 MiB reply on connections that stay open, 8 connections',
  protocol: 'tcp',
  load: { script: 'keep-alive', path: '/1m', connections: 8 },
  replyBytes: 1_048_576,
  requestBytes: 0,
  peers: ['millrace', 'haproxy', 'nginx'],
  targets: [{ peer: 'haproxy', atMost: 1.1 }],
};
