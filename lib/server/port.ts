// One bound address: who gets the connections that arrive there, and how it is let go without losing any. Ports outlive
// snapshots: a listener that is replaced hands its ports to the one that follows.

import { fstatSync, unlinkSync } from 'node:fs';
import { chmod, rename, stat, unlink } from 'node:fs/promises';
import { connect, createServer, type ListenOptions, type Server as NetServer, type Socket } from 'node:net';
import { dirname } from 'node:path';
import { setImmediate as immediate } from 'node:timers/promises';
import { type Address, formatAddress } from '../base/address.ts';
import { acceptFrom, copyFrom, descriptorOf, type ReadingSocket } from '../io/receive.ts';
import { whereListens } from './stranger.ts';

/** Connections that the kernel keeps for us while we are busy; it lowers this to net.core.somaxconn. */
const BACKLOG = 4096;
/** Turns of the loop in which connections are still accepted once a port is let go. */
const LAST_TURNS = 50;
/** Connections that are kept for a port whose listener has yet to begin: all that the kernel may have kept, and some. */
const MOST_HELD = 2 * BACKLOG;
/** Longest path of a unix socket (unix(7)), without its end. */
const LONGEST_PATH = 107;

/** Who takes what a port accepts. */
export interface Accepting {
  /** `local`: the peer came over a unix socket. */
  accept(socket: ReadingSocket, local: boolean): void;
  /** A connection could not be accepted. */
  acceptFailed(error: NodeJS.ErrnoException): void;
}

export interface PortOptions {
  /** Other event loops bind the same address, and the kernel shares its connections out (SO_REUSEPORT). */
  readonly shared: boolean;
  /** A listening socket that somebody has opened for us, -1 for none. Ours to close from here on. */
  readonly descriptor: number;
  /** Permissions of a unix socket; without it those of the one that it takes the place of, or what the umask says. */
  readonly mode?: number;
}

/** Listening sockets of one address that a predecessor hands over, and goes on accepting from until we serve. */
export interface InheritedSockets {
  /** As bound. */
  readonly bound: Address;
  readonly descriptors: readonly number[];
}

export class Port {
  /** As asked for, which for port 0 is not what it got. */
  readonly asked: Address;
  readonly #server: NetServer;
  /** It is a unix socket: also one that was handed over, which the address does not tell. Node knows no address of those. */
  #local = false;
  /** Somebody else's, not accepted from yet; -1 for none. */
  #waiting: number;
  #bound: Address;
  #owner: Accepting | null = null;
  /** Accepted before there was an owner, and not read. */
  readonly #held: Socket[] = [];
  #accepted = 0;
  #handedOver = false;

  private constructor(asked: Address, server: NetServer, waiting: number, bound: Address) {
    this.asked = asked;
    this.#server = server;
    this.#waiting = waiting;
    this.#bound = bound;
    server.on('connection', this.#hold);
    server.on('error', (error: NodeJS.ErrnoException) => this.#owner?.acceptFailed(error));
    if (waiting < 0) this.#look();
  }

  /**
   * Binds an address; answers why not in words. What comes before it has an owner waits for one. A descriptor that listens
   * already is not touched before: whoever gives up leaves it as it was.
   */
  static async bind(address: Address, options: PortOptions): Promise<Port | { readonly fault: string }> {
    if (address.kind === 'fd' && options.descriptor < 0) {
      const there = await whereListens(address.fd, address);
      if (there !== null) return new Port(address, newServer(), address.fd, there);
    }
    const server = newServer();
    const fault = await listen(server, address, options);
    if (fault !== '') return { fault: `${formatAddress(address)}: ${fault}` };
    return new Port(address, server, -1, address);
  }

  /**
   * Takes over a listening socket, ours to close from here on. Nothing is accepted there before it has an owner: what comes
   * waits in the kernel, where whoever else has the socket may take it, also if there never is an owner.
   */
  static inherit(address: Address, descriptor: number, bound: Address): Port | { readonly fault: string } {
    const fault = whyNoSocket(descriptor);
    if (fault !== '') return { fault: `${formatAddress(address)}: ${fault}` };
    return new Port(address, newServer(), descriptor, bound);
  }

  /** As bound, as text. */
  get address(): string {
    return formatAddress(this.bound);
  }

  /** As bound. */
  get bound(): Address {
    return this.#bound;
  }

  /** The number of its listening socket, for a process that is to have it as well; -1 once it is closed. */
  get descriptor(): number {
    return this.#waiting >= 0 ? this.#waiting : descriptorOf(this.#server as never);
  }

  /** From now on its connections are this one's. */
  give(owner: Accepting): void {
    const first = this.#owner === null;
    this.#owner = owner;
    if (!first) return;
    this.#begin();
    this.#server.off('connection', this.#hold);
    acceptFrom(this.#server, (socket) => this.#accept(socket));
    for (const socket of this.#held.splice(0)) this.#accept(copyFrom(socket));
  }

  /** Another process has the socket too: closing ours loses nothing, and its path is not ours to remove. */
  handOver(): void {
    this.#handedOver = true;
  }

  /** Accepts what the kernel has accepted already, and closes. */
  async release(): Promise<void> {
    if (this.#owner !== null && !this.#handedOver) await this.#acceptLast();
    this.close();
  }

  /** Closes at once. */
  close(): void {
    for (const socket of this.#held.splice(0)) socket.destroy();
    if (this.#waiting >= 0 && this.asked.kind === 'fd') {
      this.#waiting = -1;
      return;
    }
    // Where we never accepted the predecessor still does, and its path is not ours.
    const mine = this.#waiting < 0 && !this.#handedOver;
    // Only a server can close it, and this one accepts nothing before the loop turns.
    this.#begin();
    if (!this.#server.listening) return;
    this.#server.close();
    if (mine) removePath(this.asked);
  }

  /** Listens at what a predecessor has handed over. Node does so before it returns. */
  #begin(): void {
    if (this.#waiting < 0) return;
    this.#server.listen({ fd: this.#waiting }, BACKLOG);
    this.#waiting = -1;
    this.#look();
  }

  #look(): void {
    const bound = this.#server.address();
    this.#local = bound === null || typeof bound === 'string';
    if (bound === null || typeof bound === 'string' || this.asked.kind === 'unix') return;
    this.#bound = { kind: 'tcp', host: bound.address, port: bound.port, path: '', fd: -1 };
  }

  #accept(socket: ReadingSocket): void {
    this.#accepted++;
    this.#owner!.accept(socket, this.#local);
  }

  readonly #hold = (socket: Socket): void => {
    if (this.#held.length < MOST_HELD) this.#held.push(socket);
    else socket.destroy();
  };

  /** Closing a listening socket resets what waits in its queue: turns of the loop go by until one brings nothing. */
  async #acceptLast(): Promise<void> {
    for (let turn = 0; turn < LAST_TURNS; turn++) {
      const before = this.#accepted;
      // The first brings us to the end of this turn, the second through the next one's accepting.
      await immediate();
      await immediate();
      if (this.#accepted === before) return;
    }
  }
}

function newServer(): NetServer {
  return createServer({ allowHalfOpen: true, pauseOnConnect: true, noDelay: true });
}

/** '' for the descriptor of a socket, or what is wrong with it, in words. */
export function whyNoSocket(descriptor: number): string {
  try {
    return fstatSync(descriptor).isSocket() ? '' : FAULTS['ENOTSOCK']!;
  } catch {
    return FAULTS['EBADF']!;
  }
}

/** Starts any server; answers '' or why not, in words. */
export async function listen(server: NetServer, address: Address, options: PortOptions): Promise<string> {
  let fault = await tryListen(server, address, options);
  // `:PORT` means both families; a machine without IPv6 has only the one.
  if ((fault === 'EAFNOSUPPORT' || fault === 'EADDRNOTAVAIL') && address.kind === 'tcp' && address.host === '') {
    fault = await tryListen(server, { ...address, host: '0.0.0.0' }, options);
  }
  // libuv says EACCES for a missing folder too.
  if (fault === 'EACCES' && address.kind === 'unix') {
    fault = (await stat(dirname(address.path)).catch(() => null)) === null ? 'ENOENT' : 'EPERM';
  }
  return FAULTS[fault] ?? fault;
}

/** What a server leaves behind at the address that it listened at: the path of a unix socket. */
export function removePath(address: Address): void {
  if (address.kind !== 'unix') return;
  try {
    // At once: a thread that ends now takes with it what it has left to do.
    unlinkSync(address.path);
  } catch {
    // Somebody else has removed it.
  }
}

const FAULTS: Readonly<Record<string, string>> = {
  EADDRINUSE: 'the address is in use',
  EACCES: 'permission denied; ports below 1024 need the right to bind them',
  EPERM: 'permission denied',
  EADDRNOTAVAIL: 'this machine does not have the address',
  ENOENT: 'the folder does not exist',
  ENOTFOUND: 'the name is not known',
  EBADF: 'there is no such descriptor; a socket unit of systemd hands it over',
  EINVAL: 'the descriptor is no listening socket; a socket unit of systemd hands one over',
  ENOTSOCK: 'the descriptor is no socket',
};

async function tryListen(
  server: NetServer,
  address: Address,
  { shared, descriptor, mode }: PortOptions,
): Promise<string> {
  if (descriptor >= 0) return listenAt(server, { fd: descriptor });
  if (address.kind === 'fd') return listenAt(server, { fd: address.fd });
  if (address.kind === 'unix') return listenAtPath(server, address.path, mode);
  return listenAt(server, {
    host: address.host === '' ? '::' : address.host,
    port: address.port,
    ...(shared && { reusePort: true }),
  });
}

/**
 * A unix socket is bound beside its path and then moved there: so it takes the place of one that was left over without a
 * moment in which there is none, and libuv, which removes what it has bound, does not remove what another process took over.
 */
async function listenAtPath(server: NetServer, path: string, mode: number | undefined): Promise<string> {
  const found = await stat(path).catch(() => null);
  if (found !== null && !(found.isSocket() && (await isAbandoned(path)))) return 'EADDRINUSE';
  const beside = `${path}.${process.pid}`;
  if (Buffer.byteLength(beside) > LONGEST_PATH) {
    if (found !== null) await unlink(path).catch(() => {});
    const fault = await listenAt(server, { path });
    if (fault === '' && mode !== undefined) await chmod(path, mode);
    return fault;
  }
  await unlink(beside).catch(() => {});
  const fault = await listenAt(server, { path: beside });
  if (fault !== '') return fault;
  try {
    const wanted = mode ?? (found === null ? undefined : found.mode & 0o777);
    if (wanted !== undefined) await chmod(beside, wanted);
    await rename(beside, path);
    return '';
  } catch (error) {
    server.close();
    return (error as NodeJS.ErrnoException).code ?? 'EPERM';
  }
}

function listenAt(server: NetServer, where: ListenOptions & { readonly fd?: number }): Promise<string> {
  return new Promise((resolve) => {
    const failed = (error: NodeJS.ErrnoException): void => resolve(error.code ?? error.message);
    server.once('error', failed);
    const done = (): void => {
      server.off('error', failed);
      resolve('');
    };
    try {
      // For a descriptor Node takes no notice of a backlog among the options.
      if (where.fd === undefined) server.listen({ ...where, backlog: BACKLOG }, done);
      else server.listen({ fd: where.fd }, BACKLOG, done);
    } catch (error) {
      failed(error as NodeJS.ErrnoException);
    }
  });
}

/** Whether a unix socket is left over from a process that is gone: nobody answers there. */
async function isAbandoned(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ path });
    socket.on('connect', () => {
      socket.destroy();
      resolve(false);
    });
    socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code === 'ECONNREFUSED'));
  });
}
