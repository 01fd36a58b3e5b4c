// All scenarios and all peers, in the order in which they run and are listed. A new one is a file in scenarios/ or a
// folder in peers/, and a line here.

import type { Peer } from './peer.ts';
import { fastProxy } from './peers/fast-proxy/peer.ts';
import { haproxy } from './peers/haproxy/peer.ts';
import { httpProxy, httpProxyDefault } from './peers/http-proxy/peer.ts';
import { millrace } from './peers/millrace/peer.ts';
import { nginx, nginxStreaming } from './peers/nginx/peer.ts';
import type { Scenario } from './scenario.ts';
import { http1m } from './scenarios/http-1m.ts';
import { httpConnectionPerRequest } from './scenarios/http-connection-per-request.ts';
import { httpPost1m } from './scenarios/http-post-1m.ts';
import { httpSmall } from './scenarios/http-small.ts';
import { tcp1m } from './scenarios/tcp-1m.ts';
import { tcpSmall } from './scenarios/tcp-small.ts';

export const SCENARIOS: readonly Scenario[] = [
  httpSmall,
  http1m,
  httpPost1m,
  tcpSmall,
  tcp1m,
  httpConnectionPerRequest,
];

export const PEERS: readonly Peer[] = [
  millrace,
  nginx,
  nginxStreaming,
  haproxy,
  httpProxy,
  httpProxyDefault,
  fastProxy,
];
