// All scenarios and all peers, in the order in which they run and are listed. A new one is a file in scenarios/ or a
// folder in peers/, and a line here.

import { caddy } from './peers/caddy/peer.ts';
import { fastProxy } from './peers/fast-proxy/peer.ts';
import { fastifyHttpProxy } from './peers/fastify-http-proxy/peer.ts';
import { haproxy } from './peers/haproxy/peer.ts';
import { httpProxy, httpProxyDefault } from './peers/http-proxy/peer.ts';
import { httpxy } from './peers/httpxy/peer.ts';
import { millrace, millraceBinary, millraceOneRoute } from './peers/millrace/peer.ts';
import { nginx, nginxStreaming } from './peers/nginx/peer.ts';
import type { Peer } from './peers/peer.ts';
import { varnish } from './peers/varnish/peer.ts';
import type { Scenario } from './scenario.ts';
import { h2Small } from './scenarios/h2-small.ts';
import { http1m } from './scenarios/http-1m.ts';
import { httpChunked } from './scenarios/http-chunked.ts';
import { httpConnectionPerRequest } from './scenarios/http-connection-per-request.ts';
import { httpHeaders } from './scenarios/http-headers.ts';
import { httpMixed } from './scenarios/http-mixed.ts';
import { httpPost1m } from './scenarios/http-post-1m.ts';
import { httpRoutes1000 } from './scenarios/http-routes-1000.ts';
import { httpSmall } from './scenarios/http-small.ts';
import { idleConnections } from './scenarios/idle-connections.ts';
import { idleConnectionsTls } from './scenarios/idle-connections-tls.ts';
import { overload } from './scenarios/overload.ts';
import { slowClients } from './scenarios/slow-clients.ts';
import { startUp } from './scenarios/start-up.ts';
import { tcpBulk } from './scenarios/tcp-bulk.ts';
import { tcpConnectionRate } from './scenarios/tcp-connection-rate.ts';
import { tcpSmall } from './scenarios/tcp-small.ts';
import { tlsBulk } from './scenarios/tls-bulk.ts';
import { tlsHandshakes } from './scenarios/tls-handshakes.ts';
import { tlsResumption } from './scenarios/tls-resumption.ts';
import { tlsSmall } from './scenarios/tls-small.ts';
import { twoWorkers } from './scenarios/two-workers.ts';
import { websocketEcho } from './scenarios/websocket-echo.ts';

export const SCENARIOS: readonly Scenario[] = [
  ...[httpSmall, httpHeaders, http1m, httpPost1m, httpChunked],
  ...[httpConnectionPerRequest, httpRoutes1000, httpMixed],
  ...[tcpSmall, tcpBulk, tcpConnectionRate],
  websocketEcho,
  ...[tlsSmall, tlsHandshakes, tlsResumption, tlsBulk],
  h2Small,
  ...[idleConnections, idleConnectionsTls, slowClients, overload],
  ...[startUp, twoWorkers],
];

export const PEERS: readonly Peer[] = [
  ...[millrace, millraceBinary, millraceOneRoute],
  ...[nginx, nginxStreaming, haproxy, caddy, varnish],
  ...[httpProxy, httpProxyDefault, httpxy, fastifyHttpProxy, fastProxy],
];
