// Whether a second core is worth its price: the load of http-small on a proxy with two workers, and with one. Origin and load
// generator share the cores with it, which is why CPU time is compared and not throughput.

import { SMALL_BYTES, SMALL_PATH } from '../origin/content.ts';
import type { Scenario } from '../scenario.ts';
import { bareGet } from './shapes.ts';

export const twoWorkers: Scenario = {
  name: 'two-workers',
  title: 'layer 7 as in http-small: two workers beside one, CPU time per request',
  setup: 'http',
  load: { kind: 'http', connections: 64, requests: [bareGet(SMALL_PATH, SMALL_BYTES)], closing: false },
  procedure: 'workers',
  peers: ['millrace', 'nginx', 'haproxy'],
  headline: 'workersCost',
  columns: ['workersCost', 'cpuMicros', 'oneWorkerMicros', 'requestsPerSecond', 'p99Micros', 'residentBytes'],
  targets: [{ figure: 'workersCost', peer: null, atMost: 1.1 }],
  unbuilt: null,
};
