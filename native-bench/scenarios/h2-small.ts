// Small replies over HTTP/2 behind TLS, ten requests at once on each connection: framing and header compression in place
// of text, and one write that carries the replies of many requests. The upstream side stays HTTP/1.1, as it mostly is.

import { SMALL_BYTES, SMALL_PATH } from '../origin/content.ts';
import { LOAD_COLUMNS, type Scenario } from '../scenario.ts';
import { bareGet } from './shapes.ts';

export const h2Small: Scenario = {
  name: 'h2-small',
  title: 'HTTP/2 behind TLS to the client, 129-byte reply, 16 connections of 10 streams',
  setup: 'h2',
  load: {
    kind: 'http',
    connections: 16,
    requests: [bareGet(SMALL_PATH, SMALL_BYTES)],
    closing: false,
    tls: 'full',
    streams: 10,
  },
  procedure: 'load',
  peers: ['millrace', 'nginx', 'haproxy'],
  headline: 'cpuMicros',
  columns: LOAD_COLUMNS,
  targets: [{ figure: 'cpuMicros', peer: 'nginx', atMost: 1.5 }],
  unbuilt: null,
};
