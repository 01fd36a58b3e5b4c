// Layer 7 with a table of 1,000 routes, one for each of as many services, and requests that are spread over 64 of them
// from the first to the last. Measures what finding the route costs: nothing to speak of in a tree, a lot where rules are
// tried one after the other. So the peer that counts is Millrace itself, with one route, under the same requests.

import { SMALL_BYTES, SMALL_PATH } from '../origin/content.ts';
import { ROUTES } from '../peers/peer.ts';
import { LOAD_COLUMNS, type Scenario } from '../scenario.ts';
import { bareGet, scatter } from './shapes.ts';

const ASKED = 64;

const paths = Array.from({ length: ASKED }, (_, index) => {
  const route = Math.round((index * (ROUTES - 1)) / (ASKED - 1));
  return `/service-${route}${SMALL_PATH}`;
});

export const httpRoutes1000: Scenario = {
  name: 'http-routes-1000',
  title: 'layer 7, a table of 1,000 routes, keep-alive, 129-byte reply, 64 connections',
  setup: 'http-routes',
  load: {
    kind: 'http',
    connections: 64,
    requests: scatter(paths).map((path) => bareGet(path, SMALL_BYTES)),
    closing: false,
  },
  procedure: 'load',
  peers: ['millrace', 'millrace-one-route', 'nginx', 'haproxy'],
  headline: 'cpuMicros',
  columns: LOAD_COLUMNS,
  targets: [{ figure: 'cpuMicros', peer: 'millrace-one-route', atMost: 1.05 }],
  unbuilt: null,
};
