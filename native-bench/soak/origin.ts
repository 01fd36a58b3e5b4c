// What stands behind the proxy under soak: an HTTP server that also resets, cuts off and upgrades, and a TCP echo.

import { once } from 'node:events';
import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { WebSocketServer } from 'ws';

export interface SoakOrigin {
  /** `HOST:PORT` of each. */
  readonly http: string;
  readonly echo: string;
  close(): void;
}

const PIECE = Buffer.alloc(64 * 1024, 'millrace');

export async function startSoakOrigin(): Promise<SoakOrigin> {
  const http = createHttpServer(answer);
  const echoing = new Set<Socket>();
  const echo = createServer({ allowHalfOpen: true }, (socket) => {
    echoing.add(socket);
    socket.on('close', () => echoing.delete(socket));
    socket.on('error', () => socket.destroy());
    socket.pipe(socket);
  });
  const sockets = new WebSocketServer({ server: http });
  sockets.on('connection', (socket) => {
    socket.on('error', () => {});
    socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
  });
  const addresses: string[] = [];
  for (const server of [http, echo]) {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    addresses.push(`127.0.0.1:${(server.address() as AddressInfo).port}`);
  }
  return {
    http: addresses[0]!,
    echo: addresses[1]!,
    close() {
      for (const socket of sockets.clients) socket.terminate();
      for (const socket of echoing) socket.destroy();
      sockets.close();
      http.close().closeAllConnections();
      echo.close();
    },
  };
}

function answer(request: IncomingMessage, response: ServerResponse): void {
  const { pathname, searchParams } = new URL(request.url ?? '/', 'http://origin');
  request.on('error', () => {});
  response.on('error', () => {});
  const bytes = Number(searchParams.get('bytes') ?? 0);
  switch (pathname) {
    case '/bytes':
      request.resume();
      if (!searchParams.has('chunked')) response.setHeader('content-length', bytes);
      send(response, bytes);
      return;
    case '/upload': {
      let length = 0;
      request.on('data', (piece) => (length += piece.length));
      request.on('end', () => response.end(String(length)));
      return;
    }
    case '/reset':
      request.socket.resetAndDestroy();
      return;
    case '/cut':
      response.setHeader('content-length', PIECE.length * 4);
      response.write(PIECE, () => request.socket.resetAndDestroy());
      return;
    case '/nonsense':
      request.socket.end('HTTP/1.1 2OO Almost\r\nContent-Length: 1, 2\r\n\r\n');
      return;
    default:
      response.writeHead(404).end();
  }
}

/** Sends as fast as it is read. */
function send(response: ServerResponse, bytes: number): void {
  let left = bytes;
  const more = (): void => {
    while (left > 0) {
      const piece = left < PIECE.length ? PIECE.subarray(0, left) : PIECE;
      left -= piece.length;
      if (!response.write(piece)) {
        response.once('drain', more);
        return;
      }
    }
    response.end();
  };
  more();
}
