// Layer 7 with replies as the web has them: 64 sizes that stand for a log-normal distribution with a median of 8 KiB, from
// a few dozen bytes to nearly 1 MiB, 32 connections. Small replies alone and large ones alone are each a path of their
// own; here they meet, so that a proxy which is good at one and lets it cost the other shows it, in p99 first of all.

import { bytesPath, MIXED_BYTES } from '../origin/content.ts';
import { LOAD_COLUMNS, type Scenario } from '../scenario.ts';
import { bareGet, scatter } from './shapes.ts';

export const httpMixed: Scenario = {
  name: 'http-mixed',
  title: 'layer 7, keep-alive, replies of log-normal size around 8 KiB, 32 connections',
  setup: 'http',
  load: {
    kind: 'http',
    connections: 32,
    requests: scatter(MIXED_BYTES).map((bytes) => bareGet(bytesPath(bytes), bytes)),
    closing: false,
  },
  procedure: 'load',
  peers: ['millrace', 'nginx', 'haproxy'],
  headline: 'cpuMicros',
  columns: LOAD_COLUMNS,
  targets: [],
  unbuilt: null,
};
