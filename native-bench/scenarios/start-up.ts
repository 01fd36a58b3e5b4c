// From the start of the program until a client gets through, which is how long a machine that was just booted, or a container
// that was just scheduled, serves nobody. And what the proxy weighs before anybody has come, and each further worker.

import { SMALL_BYTES, SMALL_PATH } from '../origin/content.ts';
import type { Scenario } from '../scenario.ts';
import { bareGet } from './shapes.ts';

export const startUp: Scenario = {
  name: 'start-up',
  title: 'from the start of the program to the first client, one worker',
  setup: 'http',
  load: { kind: 'http', connections: 1, requests: [bareGet(SMALL_PATH, SMALL_BYTES)], closing: false },
  procedure: 'start',
  peers: ['millrace', 'millrace-binary', 'nginx', 'haproxy', 'caddy', 'http-proxy'],
  headline: 'startMicros',
  columns: ['startMicros', 'residentBytes', 'workerBytes', 'programBytes'],
  targets: [],
  unbuilt: null,
};
