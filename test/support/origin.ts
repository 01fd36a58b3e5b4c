// An origin that a test scripts byte by byte.

import { createServer, type Server } from 'node:net';
import type { TestContext } from 'node:test';
import { Peer } from './peer.ts';

export interface Origin {
  readonly port: number;
  /** `127.0.0.1:PORT`, as an endpoint is written. */
  readonly address: string;
  readonly server: Server;
  /** Connections in the order in which they came. */
  readonly peers: Peer[];
  /** Resolves to the connection with this number, from 0, once it has come. */
  peer(number: number): Promise<Peer>;
}

/**
 * Listens on a free port of this machine (or a unix socket path) and calls `script` for every connection; everything
 * is closed when the test ends.
 */
export async function startOrigin(
  t: TestContext,
  script: (peer: Peer, number: number) => void = () => {},
  path?: string,
): Promise<Origin> {
  const peers: Peer[] = [];
  const waiting: { number: number; resolve: (peer: Peer) => void }[] = [];
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    const peer = new Peer(socket);
    peers.push(peer);
    for (const { number, resolve } of waiting) if (number === peers.length - 1) resolve(peer);
    script(peer, peers.length - 1);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    if (path === undefined) server.listen(0, '127.0.0.1', resolve);
    else server.listen(path, resolve);
  });
  t.after(() => {
    for (const { socket } of peers) socket.destroy();
    server.close();
  });
  const bound = server.address();
  const port = typeof bound === 'object' && bound !== null ? bound.port : 0;
  return {
    port,
    address: path === undefined ? `127.0.0.1:${port}` : `unix:${path}`,
    server,
    peers,
    peer: (number) =>
      number < peers.length
        ? Promise.resolve(peers[number]!)
        : new Promise((resolve) => {
            waiting.push({ number, resolve });
          }),
  };
}

/** A script that answers every request head (and ignores bodies) with these bytes. */
export function answering(reply: string): (peer: Peer) => void {
  return (peer) => {
    let answered = 0;
    peer.socket.on('data', () => {
      const heads = peer.text.split('\r\n\r\n').length - 1;
      for (; answered < heads; answered++) peer.send(reply);
    });
  };
}
