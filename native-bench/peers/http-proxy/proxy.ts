// A reverse proxy with http-proxy as its documentation shows it, adding the forwarding headers that Millrace adds by
// default. Arguments: PORT ORIGIN_PORT keep-alive|default, the last saying whether upstream connections are kept.

import { randomUUID } from 'node:crypto';
import { Agent, type ClientRequest, createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createRequire } from 'node:module';

/** As much as is used here of a package without types. */
interface HttpProxy {
  web(request: IncomingMessage, response: ServerResponse): void;
  on(event: 'proxyReq', listener: (upstream: ClientRequest) => void): void;
  on(event: 'error', listener: (error: Error, request: IncomingMessage, response: ServerResponse) => void): void;
}
interface HttpProxyModule {
  createProxyServer(options: { target: string; xfwd: boolean; agent?: Agent }): HttpProxy;
}

const [port, originPort, agent] = process.argv.slice(2);
const { createProxyServer } = createRequire(import.meta.url)('http-proxy') as HttpProxyModule;

const proxy = createProxyServer({
  target: `http://127.0.0.1:${originPort}`,
  xfwd: true, // X-Forwarded-For, -Proto, -Host (and -Port, which the others do not add)
  ...(agent === 'keep-alive' && { agent: new Agent({ keepAlive: true, maxFreeSockets: 128 }) }),
});
proxy.on('proxyReq', (upstream) => {
  upstream.setHeader('X-Request-Id', randomUUID());
  upstream.setHeader('Via', '1.1 http-proxy');
});
proxy.on('error', (_error, _request, response) => {
  response.writeHead(502).end();
});

createServer((request, response) => proxy.web(request, response)).listen(Number(port), '127.0.0.1', 1024);
