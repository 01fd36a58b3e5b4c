// A reverse proxy with http-proxy as its documentation shows it, adding the forwarding headers that Millrace adds by
// default. Arguments: PORT ORIGIN_PORT keep-alive|default, the last saying whether upstream connections are kept.

import { randomUUID } from 'node:crypto';
import { Agent, type ClientRequest, createServer, type IncomingMessage, ServerResponse } from 'node:http';
import { createRequire } from 'node:module';
import type { Duplex } from 'node:stream';

/** As much as is used here of a package without types. */
interface HttpProxy {
  web(request: IncomingMessage, response: ServerResponse): void;
  ws(request: IncomingMessage, socket: Duplex, head: Buffer): void;
  on(event: 'proxyReq' | 'proxyReqWs', listener: (upstream: ClientRequest) => void): void;
  /** `response` is the socket where an upgrade failed. */
  on(
    event: 'error',
    listener: (error: Error, request: IncomingMessage, response: ServerResponse | Duplex) => void,
  ): void;
}
interface HttpProxyModule {
  createProxyServer(options: { target: string; xfwd: boolean; agent?: Agent }): HttpProxy;
}

const [port, originPort, agent] = process.argv.slice(2);
const { createProxyServer } = createRequire(import.meta.url)('http-proxy') as HttpProxyModule;

const proxy = createProxyServer({
  target: `http://127.0.0.1:${originPort}`,
  xfwd: true, // X-Forwarded-For, -Proto, -Host (and -Port, which the others do not add)
  ...(agent === 'keep-alive' && { agent: new Agent({ keepAlive: true, maxFreeSockets: 1024 }) }),
});
proxy.on('proxyReq', addFields);
proxy.on('proxyReqWs', addFields);
proxy.on('error', (_error, _request, response) => {
  if (response instanceof ServerResponse) response.writeHead(502).end();
  else response.destroy();
});

const server = createServer((request, response) => proxy.web(request, response));
server.on('upgrade', (request, socket, head) => proxy.ws(request, socket, head));
server.keepAliveTimeout = 300_000; // as the others: idle clients stay
server.listen(Number(port), '127.0.0.1', 1024);

function addFields(upstream: ClientRequest): void {
  upstream.setHeader('X-Request-Id', randomUUID());
  upstream.setHeader('Via', '1.1 http-proxy');
}
