// WebSocket messages of 128 bytes there and back, one at a time on each of 64 connections, which were upgraded once at the
// start. Whether a proxy that understood the handshake gets out of the way afterwards: nothing is left to understand, so
// it should cost what layer 4 does. Always with our own origin, since nginx cannot answer WebSocket.

import { LOAD_COLUMNS, type Scenario } from '../scenario.ts';

export const websocketEcho: Scenario = {
  name: 'websocket-echo',
  title: 'layer 7, upgraded once, 128-byte messages echoed, 64 connections',
  setup: 'websocket',
  load: { kind: 'websocket', connections: 64, messageBytes: 128 },
  procedure: 'load',
  peers: ['millrace', 'nginx', 'haproxy', 'http-proxy'],
  headline: 'cpuMicros',
  columns: LOAD_COLUMNS,
  targets: [{ figure: 'cpuMicros', peer: 'nginx', atMost: 1 }],
  unbuilt: null,
};
