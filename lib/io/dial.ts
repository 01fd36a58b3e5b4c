// Connecting to an address, with sockets that read into our slabs. Of a name Node tries all addresses, of both families in
// turn, as RFC 8305 has it; but one that has not answered for 250 ms is given up for the next rather than raced with it.
// Whom to dial and what to do when it fails is left to the caller.

import { connect, type Socket } from 'node:net';
import type { Address } from '../base/address.ts';
import { Connection, type Receiver } from './connection.ts';
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
export function dial(address: Address, dialer: Dialer, { source, keepAliveMs }: DialOptions = PLAIN): Connection {
  const shared = { onread, allowHalfOpen: true, writableHighWaterMark: WRITABLE_BYTES };
  const tcp = {
    noDelay: true,
    ...(source !== '' && { localAddress: source }),
    ...(keepAliveMs > 0 && { keepAlive: true, keepAliveInitialDelay: keepAliveMs }),
  };
  const target =
    address.kind === 'unix'
      ? { path: address.path }
      : { host: address.host === '' ? 'localhost' : address.host, port: address.port, ...tcp };
  const socket = connect({ ...target, ...shared } as never) as ReadingSocket;
  const connection = new Connection(socket, dialer);
  socket.once('connect', onConnect);
  return connection;
}

function onConnect(this: Socket): void {
  const connection = (this as ReadingSocket).reader as Connection;
  if (connection.gone) return;
  connection.onConnected();
}
