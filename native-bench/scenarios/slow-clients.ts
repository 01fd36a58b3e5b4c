// Quick clients beside slow ones: 64 connections ask for small replies at an even pace, first alone, then while 2,000
// others drip their requests in byte by byte. Slow clients are what the open internet sends, by bad lines or bad will;
// with one event loop the question is whether those who wait their turn behind them notice. Measured as p99 with them
// divided by p99 without.

import { SMALL_BYTES, SMALL_PATH } from '../origin/content.ts';
import type { Scenario } from '../scenario.ts';
import { bareGet } from './shapes.ts';

export const slowClients: Scenario = {
  name: 'slow-clients',
  title: 'layer 7, 64 quick clients beside 2,000 slow ones, 129-byte reply',
  setup: 'http',
  load: { kind: 'http', connections: 64, requests: [bareGet(SMALL_PATH, SMALL_BYTES)], closing: false },
  procedure: 'slow-clients',
  peers: ['millrace', 'nginx', 'haproxy'],
  headline: 'slowdown',
  columns: ['slowdown', 'quietP99Micros', 'p99Micros', 'cpuMicros', 'residentBytes'],
  targets: [{ figure: 'slowdown', peer: null, atMost: 1.5 }],
  unbuilt: null,
};
