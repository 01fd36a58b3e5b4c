// Connecting to an address, with sockets that read into our slabs. Of a name all addresses are tried, the first that answers
// is taken. Whom to dial and what to do when it fails is left to the caller.

import { connect, isIP, Socket } from 'node:net';
import type { Address } from '../base/address.ts';
import { Connection, type Receiver } from './connection.ts';
import { race } from './race.ts';
import { onread, type ReadingSocket, WRITABLE_BYTES } from './receive.ts';

/** Who waits for a dial. After `connected` it is an ordinary receiver; a failure comes as `closed`. */
export interface Dialer extends Receiver {
  connected(): void;
}

export interface DialOptions {
  /** Our own address, '' for the one that the kernel chooses. */
  readonly source: string;
  /** Silence after which the kernel asks whether the peer is still there, in ms; 0: never. */
  readonly keepAliveMs: number;
}

const PLAIN: DialOptions = { source: '', keepAliveMs: 0 };

/**
 * Begins to connect. The time limit is the caller's: arm the connection's deadline. `fd` addresses cannot be dialed
 * and fail like unreachable ones.
 */
export function dial(address: Address, dialer: Dialer, options: DialOptions = PLAIN): Connection {
  const host = address.host === '' ? 'localhost' : address.host;
  if (address.kind === 'tcp' && isIP(host) === 0) return dialName(host, address.port, dialer, options);
  const socket = address.kind === 'unix' ? open({ path: address.path }) : open(reach(host, address.port, options));
  const connection = new Connection(socket, dialer);
  socket.once('connect', onConnect);
  return connection;
}

/** The connection has a socket that leads nowhere until one of the name's addresses has answered. */
function dialName(host: string, port: number, dialer: Dialer, options: DialOptions): Connection {
  const nowhere = new Socket() as ReadingSocket;
  const connection = new Connection(nowhere, dialer);
  const giveUp = race({
    host,
    family: isIP(options.source) as 0 | 4 | 6,
    open: (ip) => open(reach(ip, port, options)),
    won: (socket) => {
      if (connection.gone) return void socket.destroy();
      connection.adopt(socket as ReadingSocket);
      connection.onConnected();
    },
    lost: (error) => nowhere.destroy(error),
  });
  nowhere.once('close', giveUp);
  return connection;
}

function reach(host: string, port: number, { source, keepAliveMs }: DialOptions): object {
  return {
    host,
    port,
    noDelay: true,
    ...(source !== '' && { localAddress: source }),
    ...(keepAliveMs > 0 && { keepAlive: true, keepAliveInitialDelay: keepAliveMs }),
  };
}

function open(target: object): ReadingSocket {
  return connect({
    ...target,
    onread,
    allowHalfOpen: true,
    writableHighWaterMark: WRITABLE_BYTES,
  } as never) as ReadingSocket;
}

function onConnect(this: Socket): void {
  const connection = (this as ReadingSocket).reader as Connection;
  if (connection.gone) return;
  connection.onConnected();
}
