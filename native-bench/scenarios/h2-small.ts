// Small replies over HTTP/2, many streams on each connection: framing and header compression in place of text, and one
// write that carries the replies of many requests. The upstream side stays HTTP/1.1, as it mostly is.

import { SMALL_BYTES, SMALL_PATH } from '../origin/content.ts';
import { LOAD_COLUMNS, type Scenario } from '../scenario.ts';
import { bareGet } from './shapes.ts';

export const h2Small: Scenario = {
  name: 'h2-small',
  title: 'HTTP/2 to the client, 129-byte reply, 16 connections',
  setup: 'http',
  load: { kind: 'http', connections: 16, requests: [bareGet(SMALL_PATH, SMALL_BYTES)], closing: false },
  procedure: 'load',
  peers: ['millrace', 'nginx', 'haproxy'],
  headline: 'cpuMicros',
  columns: LOAD_COLUMNS,
  targets: [],
  unbuilt: 'HTTP/2 is not built yet',
};
