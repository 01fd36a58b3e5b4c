// Layer 7 with weight the other way: POSTs of 1 MiB that the origin reads whole before it answers in a few bytes, 8
// connections. Upload is its own code path in every proxy: nginx gathers the body first unless told not to, so it takes
// part both ways.

import { SINK_PATH, SINK_REPLY } from '../origin/content.ts';
import { LOAD_COLUMNS, type Scenario } from '../scenario.ts';
import { barePost } from './shapes.ts';

export const httpPost1m: Scenario = {
  name: 'http-post-1m',
  title: 'layer 7, keep-alive, 1 MiB POST, 8 connections',
  setup: 'http',
  load: {
    kind: 'http',
    connections: 8,
    requests: [barePost(SINK_PATH, { bodyBytes: 1_048_576, chunkBytes: 0, replyBytes: SINK_REPLY.length })],
    closing: false,
  },
  procedure: 'load',
  peers: ['millrace', 'nginx', 'nginx-streaming', 'haproxy'],
  headline: 'cpuMicros',
  columns: LOAD_COLUMNS,
  targets: [{ figure: 'cpuMicros', peer: 'nginx', atMost: 1 }],
  unbuilt: null,
};
