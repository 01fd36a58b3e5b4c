// A bound listener: accepts connections, counts them, refuses what is too many, and drains. What a connection speaks is
// dispatch's business.

import { stat, unlink } from 'node:fs/promises';
import { connect, createServer, type Server as NetServer, type Socket } from 'node:net';
import { dirname } from 'node:path';
import { setImmediate as immediate } from 'node:timers/promises';
import { type Address, AddressBlocks, formatAddress, parseBlocks } from '../base/address.ts';
import type { Log } from '../base/log.ts';
import type { Drainable, HttpListener } from '../http/listener.ts';
import { Connection, NOBODY } from '../io/connection.ts';
import { acceptFrom, descriptorOf, type ReadingSocket } from '../io/receive.ts';
import { scarceFrom } from './descriptors.ts';
import { type Dispatcher, Session } from './dispatch.ts';
import type { ListenerPlan } from './snapshot.ts';

/** Connections that the kernel keeps for us while we are busy; it lowers this to net.core.somaxconn. */
const BACKLOG = 4096;
/** Idle connections that are closed when descriptors have run out. */
const SHED = 64;

/** Turns of the loop in which connections are still accepted once draining has begun. */
const LAST_TURNS = 50;

const BUSY = Buffer.from(
  'HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 40\r\n' +
    'Retry-After: 1\r\nConnection: close\r\n\r\nToo many connections; try again later.\r\n',
  'latin1',
);

/** Why a connection ends that outlasts a drain. */
const CUT = Object.assign(new Error('cut off'), { code: 'ECANCELED' });

export class Listener implements Dispatcher {
  readonly plan: ListenerPlan;
  readonly http: HttpListener & { draining: boolean };
  /** The same for requests over TLS. */
  readonly https: HttpListener & { draining: boolean };
  readonly stats = { accepted: 0, refused: 0, acceptErrors: 0 };
  readonly #log: Log;
  readonly #trusted: AddressBlocks;
  readonly #servers: NetServer[] = [];
  readonly #sessions = new Set<Session>();
  readonly #shed: () => void;
  #emptied: (() => void) | null = null;

  /** `shed` is asked to free descriptors when there are none left. */
  constructor(plan: ListenerPlan, log: Log, shed: () => void) {
    const { options, routes } = plan;
    this.plan = plan;
    this.#log = log;
    this.#shed = shed;
    const trusted = parseBlocks(options.trustedProxies);
    // Checked with the configuration; what is not an address is trusted in no case.
    this.#trusted = trusted instanceof AddressBlocks ? trusted : new AddressBlocks();
    this.http = {
      routes,
      limits: options.limits,
      timeouts: options.timeouts,
      draining: false,
      log,
      stats: { exchanges: 0, refused: 0 },
    };
    this.https = { ...this.http, routes: plan.securedRoutes };
  }

  /** Addresses as bound. */
  get addresses(): string[] {
    return this.#servers.map((server) => describe(server));
  }

  /** Connections open now. */
  get open(): number {
    return this.#sessions.size;
  }

  trusts(address: string): boolean {
    return this.#trusted.has(address);
  }

  /** Binds one address. Answers '' or why not, in words. */
  async bind(address: Address): Promise<string> {
    const server = createServer({ allowHalfOpen: true, pauseOnConnect: true, noDelay: true });
    const fault = await listen(server, address);
    if (fault !== '') return `listener ${this.plan.name}: ${formatAddress(address)}: ${fault}`;
    acceptFrom(server, (socket) => this.#accept(socket, address.kind === 'unix'));
    server.on('error', (error: NodeJS.ErrnoException) => this.#acceptFailed(error));
    this.#servers.push(server);
    return '';
  }

  /** Accepts nothing more; what is open goes on. */
  stop(): void {
    for (const server of this.#servers.splice(0)) server.close();
  }

  /**
   * Accepts what the kernel has accepted already and nothing more, closes what is idle, and lets the rest finish.
   * Resolves when nothing is open.
   */
  async drain(): Promise<void> {
    this.http.draining = true;
    this.https.draining = true;
    await this.#acceptLast();
    this.stop();
    for (const session of this.#sessions) session.http?.drain();
    if (this.#sessions.size === 0) return;
    return new Promise((resolve) => {
      this.#emptied = resolve;
    });
  }

  /** Closing a listening socket resets what waits in its queue: turns of the loop go by until one brings nothing. */
  async #acceptLast(): Promise<void> {
    for (let turn = 0; turn < LAST_TURNS; turn++) {
      const before = this.stats.accepted;
      // The first brings us to the end of this turn, the second through the next one's accepting.
      await immediate();
      await immediate();
      if (this.stats.accepted === before) return;
    }
  }

  /** Breaks off what is open; answers how many that were. */
  cut(): number {
    const cut = this.#sessions.size;
    for (const { connection } of this.#sessions) {
      // Whoever serves it is told, so that nothing is left open upstream.
      connection.abort(CUT);
      // One that is closing already has nobody to tell, but may wait for its client for long.
      connection.breakOff();
    }
    return cut;
  }

  /** Closes some connections that wait for a request, the oldest first; those that never sent one only for want of others. */
  shedIdle(): void {
    if (this.#shedSome((http) => http.drain()) === 0) this.#shedSome((http) => http.shed());
  }

  #shedSome(close: (http: Drainable) => boolean): number {
    let closed = 0;
    for (const { http } of this.#sessions) {
      if (closed === SHED) break;
      if (http !== null && close(http)) closed++;
    }
    return closed;
  }

  #accept(socket: ReadingSocket, local: boolean): void {
    const { connections } = this.plan.options.limits;
    this.stats.accepted++;
    if (connections > 0 && this.#sessions.size >= connections) return this.#refuse(socket);
    if (!local && socket.remoteAddress === undefined) {
      // Reset before it was accepted, though its bytes may still be readable: nobody can say any more who sent them.
      socket.destroy();
      return;
    }
    if (descriptorOf(socket) >= scarceFrom) this.#runShort();
    const connection = new Connection(socket, NOBODY);
    const session = new Session(connection, this, local);
    this.#sessions.add(session);
    connection.onGone = () => this.#forget(session);
    session.begin();
  }

  #forget(session: Session): void {
    this.#sessions.delete(session);
    if (this.#sessions.size === 0) this.#emptied?.();
  }

  #refuse(socket: Socket): void {
    this.stats.refused++;
    this.#log.limited(`full ${this.plan.name}`, 1000).warn('too many connections', {
      listener: this.plan.name,
      limit: this.plan.options.limits.connections,
    });
    socket.on('error', () => {});
    // Whoever comes to an `auto` listener may speak anything.
    if (this.plan.options.protocol !== 'http' || this.plan.tls !== null) socket.destroy();
    else socket.end(BUSY, () => socket.destroy());
  }

  #runShort(): void {
    this.#log.limited('descriptors', 1000).warn('descriptors are running out', { listener: this.plan.name });
    this.#shed();
  }

  #acceptFailed(error: NodeJS.ErrnoException): void {
    this.stats.acceptErrors++;
    this.#log.limited('accept', 1000).error('cannot accept', { listener: this.plan.name, cause: error.code });
    this.#shed();
  }
}

/** Starts a server; answers '' or why not. */
async function listen(server: NetServer, address: Address): Promise<string> {
  let fault = await tryListen(server, address);
  // `:PORT` means both families; a machine without IPv6 has only the one.
  if ((fault === 'EAFNOSUPPORT' || fault === 'EADDRNOTAVAIL') && address.kind === 'tcp' && address.host === '') {
    fault = await tryListen(server, { ...address, host: '0.0.0.0' });
  }
  if (fault === 'EADDRINUSE' && address.kind === 'unix' && (await isAbandoned(address.path))) {
    await unlink(address.path).catch(() => {});
    fault = await tryListen(server, address);
  }
  // libuv says EACCES for a missing folder too.
  if (fault === 'EACCES' && address.kind === 'unix') {
    fault = (await stat(dirname(address.path)).catch(() => null)) === null ? 'ENOENT' : 'EPERM';
  }
  return FAULTS[fault] ?? fault;
}

const FAULTS: Readonly<Record<string, string>> = {
  EADDRINUSE: 'the address is in use',
  EACCES: 'permission denied; ports below 1024 need the right to bind them',
  EPERM: 'permission denied',
  EADDRNOTAVAIL: 'this machine does not have the address',
  ENOENT: 'the folder does not exist',
  ENOTFOUND: 'the name is not known',
};

function tryListen(server: NetServer, address: Address): Promise<string> {
  const where =
    address.kind === 'unix'
      ? { path: address.path }
      : { host: address.host === '' ? '::' : address.host, port: address.port };
  return new Promise((resolve) => {
    const failed = (error: NodeJS.ErrnoException): void => resolve(error.code ?? error.message);
    server.once('error', failed);
    server.listen({ ...where, backlog: BACKLOG }, () => {
      server.off('error', failed);
      resolve('');
    });
  });
}

/** Whether a unix socket is left over from a process that is gone: nobody answers there. */
async function isAbandoned(path: string): Promise<boolean> {
  // Any other kind of file refuses connections just the same, and is not ours to remove.
  const found = await stat(path).catch(() => null);
  if (found === null || !found.isSocket()) return false;
  return new Promise((resolve) => {
    const socket = connect({ path });
    socket.on('connect', () => {
      socket.destroy();
      resolve(false);
    });
    socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code === 'ECONNREFUSED'));
  });
}

function describe(server: NetServer): string {
  const bound = server.address();
  if (bound === null) return '';
  if (typeof bound === 'string') return `unix:${bound}`;
  return formatAddress({ kind: 'tcp', host: bound.address, port: bound.port, path: '', fd: -1 });
}
