// Layer 7 without lengths: POSTs of 64 KiB in chunks of 4 KiB, answered by 64 KiB in chunks, 32 connections. What is
// generated on the fly, streamed or compressed travels like this. Chunk framing is the one thing that a proxy must read
// within a body, both ways, and that keeps it from passing bodies on unseen.

import { CHUNKED_BYTES, CHUNKED_PATH } from '../origin/content.ts';
import { LOAD_COLUMNS, type Scenario } from '../scenario.ts';
import { barePost } from './shapes.ts';

export const httpChunked: Scenario = {
  name: 'http-chunked',
  title: 'layer 7, keep-alive, 64 KiB there in chunks of 4 KiB and 64 KiB back in chunks, 32 connections',
  setup: 'http',
  load: {
    kind: 'http',
    connections: 32,
    requests: [barePost(CHUNKED_PATH, { bodyBytes: 65_536, chunkBytes: 4_096, replyBytes: CHUNKED_BYTES })],
    closing: false,
  },
  procedure: 'load',
  peers: ['millrace', 'nginx', 'nginx-streaming', 'haproxy'],
  headline: 'cpuMicros',
  columns: LOAD_COLUMNS,
  targets: [],
  unbuilt: null,
};
