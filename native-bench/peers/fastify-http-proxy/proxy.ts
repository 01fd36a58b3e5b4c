// A reverse proxy with @fastify/http-proxy as its documentation shows it, adding the forwarding headers that Millrace adds
// by default. Arguments: PORT ORIGIN_PORT SETUP; with the setup `websocket`, upgrades are passed on as well.

import { randomUUID } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import proxy from '@fastify/http-proxy';
import fastify, { type FastifyRequest } from 'fastify';

const [port, originPort, setup] = process.argv.slice(2);

const server = fastify({ logger: false });
await server.register(proxy, {
  upstream: `http://127.0.0.1:${originPort}`,
  undici: { connections: 128, pipelining: 1, keepAliveTimeout: 60_000 }, // the defaults of its undici client
  disableRequestLogging: true,
  replyOptions: {
    rewriteRequestHeaders: (request, headers) => addFields(request as FastifyRequest, headers),
  },
  ...(setup === 'websocket' && { websocket: true }),
});
await server.listen({ host: '127.0.0.1', port: Number(port), backlog: 1024 });

/** Host it sets to the origin's. */
function addFields(request: FastifyRequest, headers: IncomingHttpHeaders): IncomingHttpHeaders {
  headers['x-forwarded-for'] = request.raw.socket.remoteAddress ?? '';
  headers['x-forwarded-proto'] = 'http';
  headers['x-forwarded-host'] = request.headers.host ?? '';
  headers['x-request-id'] = randomUUID();
  headers['via'] = '1.1 fastify-http-proxy';
  return headers;
}
