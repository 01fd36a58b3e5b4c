// Layer 7 with weight the other way: POSTs of 1 MiB that the origin reads whole before it answers in a few bytes, 8
// connections. Upload is its own code path in every proxy: nginx gathers the body first unless told not to, so it takes
// part both ways.

import type { Scenario } from '../scenario.ts';

export const httpPost1m: Scenario = {
  name: 'http-post-1m',
  title: 'layer 7, keep-alive, 1 MiB POST, 8 connections',
  protocol: 'http',
  load: { script: 'post-1m', path: '/sink', connections: 8 },
  replyBytes: 7,
  requestBytes: 1_048_576,
  peers: ['millrace', 'nginx', 'nginx-streaming', 'haproxy'],
  targets: [{ peer: 'nginx', atMost: 1 }],
};
