// Servers behind the proxy that do one thing each. Those that a test scripts byte by byte: origin.ts.

import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import { type AddressInfo, createServer as createTcpServer, type Server } from 'node:net';
import type { TestContext } from 'node:test';
import { WebSocketServer } from 'ws';

/** Of HTTP/1.1; text is what it answers with. Resolves to its port. */
export async function startHttp(t: TestContext, handle: RequestListener | string): Promise<number> {
  const server = createServer((request, response) => {
    request.resume();
    if (typeof handle === 'string') response.end(handle);
    else handle(request, response);
  });
  server.keepAliveTimeout = 10 * 60_000;
  t.after(() => server.close().closeAllConnections());
  return listen(server);
}

/** Sends back what it gets. */
export async function startEcho(t: TestContext): Promise<number> {
  const server = createTcpServer((socket) => {
    socket.on('error', () => {});
    t.after(() => socket.destroy());
    socket.pipe(socket);
  });
  t.after(() => server.close());
  return listen(server);
}

/** Sends messages back. */
export async function startWebSockets(t: TestContext): Promise<number> {
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0 });
  server.on('connection', (socket) => {
    socket.on('error', () => {});
    socket.on('message', (message) => socket.send(message.toString()));
  });
  await once(server, 'listening');
  t.after(() => {
    for (const socket of server.clients) socket.terminate();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

async function listen(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}
