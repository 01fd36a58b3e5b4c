// More than the proxy can do: first its peak in a closed loop, then half as much again at a constant rate that waits for
// nobody. No server can answer all of that; a good one goes on answering what it can, and does not spend its time on
// requests whose clients have given up. Goodput is what came in time, as a share of the peak.

import { SMALL_BYTES, SMALL_PATH } from '../origin/content.ts';
import type { Scenario } from '../scenario.ts';
import { bareGet } from './shapes.ts';

export const overload: Scenario = {
  name: 'overload',
  title: 'layer 7, half as many requests again as it can answer, 129-byte reply, up to 1,024 connections',
  setup: 'http',
  load: { kind: 'http', connections: 128, requests: [bareGet(SMALL_PATH, SMALL_BYTES)], closing: false },
  procedure: 'overload',
  peers: ['millrace', 'nginx', 'haproxy'],
  headline: 'goodputShare',
  columns: [
    ...(['goodputShare', 'peakPerSecond', 'offeredPerSecond', 'requestsPerSecond'] as const),
    ...(['p50Micros', 'p99Micros', 'residentBytes'] as const),
  ],
  targets: [{ figure: 'goodputShare', peer: null, atLeast: 0.9 }],
  unbuilt: null,
};
