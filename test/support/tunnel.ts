// A relay made of the io room alone, and traffic through it that is compared byte by byte: for tests of the buffers.

import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import type { TestContext } from 'node:test';
import type { Address } from '../../lib/base/address.ts';
import { Connection, NOBODY, type Receiver } from '../../lib/io/connection.ts';
import { type Dialer, dial } from '../../lib/io/dial.ts';
import { acceptFrom, copyFrom, type ReadingSocket } from '../../lib/io/receive.ts';
import { relay } from '../../lib/io/relay.ts';

/** What all traffic is cut from: nothing repeats, so bytes from a wrong place or time are noticed. */
export const POOL_BYTES = 8 * 1024 * 1024;
export const pool = randomBytes(POOL_BYTES);

export interface Tunnel {
  readonly downstream: Connection;
  readonly upstream: Connection;
  /** Resolves to why the tunnel ended. */
  readonly ended: Promise<NodeJS.ErrnoException | null>;
  /** Resolves once both sockets are closed. */
  readonly gone: Promise<void>;
}

export interface Tunnels {
  readonly where: number | string;
  readonly all: Tunnel[];
  /** Resolves to the tunnel with this number, from 0, once it stands. */
  tunnel(number: number): Promise<Tunnel>;
  /** Resolves once every socket of every tunnel is closed. */
  gone(): Promise<void>;
}

export interface TunnelOptions {
  /** Silence limit of the relay. */
  readonly idleMs?: number;
  /** Accept the way without private interface. */
  readonly copied?: boolean;
  /** Listen on this unix socket. */
  readonly path?: string;
}

/** Accepts connections and relays each to `to`; closed when the test ends. */
export async function startTunnels(t: TestContext, to: Address, options: TunnelOptions = {}): Promise<Tunnels> {
  const all: Tunnel[] = [];
  const { where, connections } = await acceptConnections(t, options);
  const told = new Set<() => void>();
  connections((downstream) => {
    const gone = goneOf(downstream);
    downstream.pause();
    const upstream = dial(to, {
      ...quiet(),
      connected() {
        const ended = new Promise<NodeJS.ErrnoException | null>((resolve) =>
          relay(downstream, upstream, options.idleMs ?? 0, resolve),
        );
        all.push({ downstream, upstream, ended, gone: Promise.all([gone, goneUpstream]).then(() => {}) });
        for (const tell of told) tell();
      },
      closed() {
        downstream.reset();
      },
    });
    const goneUpstream = goneOf(upstream);
    t.after(() => upstream.destroy());
  });
  return {
    where,
    all,
    tunnel: (number) =>
      new Promise((resolve) => {
        const look = (): void => {
          const found = all[number];
          if (found === undefined) return;
          told.delete(look);
          resolve(found);
        };
        told.add(look);
        look();
      }),
    gone: async () => {
      await Promise.all(all.map((tunnel) => tunnel.gone));
    },
  };
}

/** Listens, and hands every accepted connection to whoever asks with `connections`. */
export async function acceptConnections(
  t: TestContext,
  options: TunnelOptions = {},
): Promise<{ where: number | string; server: Server; connections(handle: (connection: Connection) => void): void }> {
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true, noDelay: true });
  if (options.path === undefined) server.listen({ port: 0, host: '127.0.0.1', backlog: 4096 });
  else server.listen({ path: options.path, backlog: 4096 });
  await once(server, 'listening');
  let handle: (connection: Connection) => void = () => {};
  const accept = (socket: ReadingSocket): void => {
    const connection = new Connection(socket, NOBODY);
    t.after(() => connection.destroy());
    handle(connection);
  };
  if (options.copied) server.on('connection', (socket) => accept(copyFrom(socket)));
  else acceptFrom(server, accept);
  t.after(() => void server.close());
  const where = options.path ?? (server.address() as AddressInfo).port;
  return {
    where,
    server,
    connections(wanted) {
      handle = wanted;
    },
  };
}

/** One accepted connection and the client's end of it. */
export async function pair(
  t: TestContext,
  receiver: Receiver,
  options: TunnelOptions = {},
): Promise<{ connection: Connection; client: Socket }> {
  const { where, connections } = await acceptConnections(t, options);
  const accepted = new Promise<Connection>((resolve) =>
    connections((connection) => {
      connection.receiver = receiver;
      resolve(connection);
    }),
  );
  const client = open(t, where);
  return { connection: await accepted, client };
}

/** A plain client; its errors are left to whoever looks at them. */
export function open(t: TestContext, where: number | string): Socket {
  const target = typeof where === 'number' ? { port: where, host: '127.0.0.1' } : { path: where };
  const socket = connect({ ...target, allowHalfOpen: true });
  socket.on('error', () => {});
  t.after(() => socket.destroy());
  return socket;
}

/** A receiver that does nothing. */
export function quiet(): Dialer {
  return { ...NOBODY, connected() {} };
}

export function loopback(port: number): Address {
  return { kind: 'tcp', host: '127.0.0.1', port, path: '', fd: -1 };
}

export function unixPath(path: string): Address {
  return { kind: 'unix', host: '', port: 0, path, fd: -1 };
}

/** Sends `size` bytes of the pool from `offset` (it wraps round) as fast as they are taken, then ends its side. */
export async function pour(socket: Socket, offset: number, size: number): Promise<void> {
  for (let sent = 0; sent < size; ) {
    const from = (offset + sent) % POOL_BYTES;
    const bytes = Math.min(size - sent, POOL_BYTES - from, 256 * 1024);
    sent += bytes;
    if (!socket.write(pool.subarray(from, from + bytes))) await drained(socket);
    if (socket.destroyed) return;
  }
  socket.end();
}

/** Reads up to the end, pausing now and then as `pauses` (0: never) tells; answers what is wrong with it, or ''. */
export function check(socket: Socket, offset: number, size: number, pauses = 0): Promise<string> {
  return new Promise((resolve) => {
    let seen = 0;
    let chance = pauses;
    let fault = '';
    socket.on('data', (chunk: Buffer) => {
      if (fault === '') fault = compare(chunk, offset + seen);
      seen += chunk.length;
      if (pauses === 0) return;
      chance = (Math.imul(chance, 1103515245) + 12345) >>> 0;
      if ((chance >>> 16) % 3 !== 0) return;
      socket.pause();
      setTimeout(() => socket.resume(), (chance >>> 20) % 4);
    });
    socket.on('end', () => resolve(fault !== '' ? fault : seen === size ? '' : `${seen} bytes instead of ${size}`));
    socket.on('close', () => resolve(fault !== '' ? fault : `broken off after ${seen} of ${size} bytes`));
  });
}

/** Whether a chunk is what the pool has at `offset`: '' or where it differs. */
export function compare(chunk: Buffer, offset: number): string {
  for (let at = 0; at < chunk.length; ) {
    const from = (offset + at) % POOL_BYTES;
    const bytes = Math.min(chunk.length - at, POOL_BYTES - from);
    if (chunk.compare(pool, from, from + bytes, at, at + bytes) !== 0) return `wrong bytes at ${offset + at}`;
    at += bytes;
  }
  return '';
}

function drained(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    const over = (): void => {
      socket.off('drain', over);
      socket.off('close', over);
      resolve();
    };
    socket.on('drain', over);
    socket.on('close', over);
  });
}

function goneOf(connection: Connection): Promise<void> {
  return new Promise((resolve) => {
    connection.onGone = resolve;
  });
}
