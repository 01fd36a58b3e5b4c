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

export interface Recording {
  readonly port: number;
  /** Paths that it was asked for. */
  readonly seen: Set<string>;
  /** Answers what waits at `/held`, and from now on at once. */
  release(): void;
}

/** Answers with the path that it was asked for; those that begin with `/held` wait. */
export async function startRecording(t: TestContext, delayMs: number): Promise<Recording> {
  const seen = new Set<string>();
  const held: (() => void)[] = [];
  let released = false;
  const port = await startHttp(t, ({ url = '' }, response) => {
    seen.add(url);
    const answer = (): void => void response.end(url);
    if (url.startsWith('/held') && !released) held.push(answer);
    else if (delayMs > 0) setTimeout(answer, delayMs);
    else answer();
  });
  const release = (): void => {
    released = true;
    for (const answer of held.splice(0)) answer();
  };
  return { port, seen, release };
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
