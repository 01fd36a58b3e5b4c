// A reverse proxy with httpxy as its documentation shows it, adding the forwarding headers that Millrace adds by default.
// Arguments: PORT ORIGIN_PORT.

import { randomUUID } from 'node:crypto';
import { type ClientRequest, createServer, type ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import { createProxyServer } from 'httpxy';

const [port, originPort] = process.argv.slice(2).map(Number);

const proxy = createProxyServer({
  target: `http://127.0.0.1:${originPort}`,
  xfwd: true, // X-Forwarded-For, -Proto, -Host (and -Port, which the others do not add)
});
proxy.on('proxyReq', addFields);
proxy.on('proxyReqWs', addFields);
proxy.on('error', (_error, _request, response) => {
  if (response instanceof Socket) response.destroy();
  else (response as ServerResponse).writeHead(502).end();
});

const server = createServer((request, response) => {
  // What goes wrong is told by the event too.
  proxy.web(request, response).catch(() => {});
});
server.on('upgrade', (request, socket, head) => {
  proxy.ws(request, socket as Socket, {}, head).catch(() => {});
});
server.keepAliveTimeout = 300_000; // as the others: idle clients stay
server.listen(port, '127.0.0.1', 1024);

function addFields(upstream: ClientRequest): void {
  upstream.setHeader('X-Request-Id', randomUUID());
  upstream.setHeader('Via', '1.1 httpxy');
}
