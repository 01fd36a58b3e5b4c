// The admin listener: JSON over HTTP for whoever operates the proxy. Never on the way of anybody's requests, so it is
// Node's own server, with small limits.

import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { type Address, formatAddress, isLocal, isLoopback } from '../base/address.ts';
import type { Log } from '../base/log.ts';
import type { AdminOptions } from '../config/configuration.ts';
import { descriptorOf } from '../io/receive.ts';
import { type InheritedSockets, listen, removePath, whyNoSocket } from '../server/port.ts';
import { Access } from './access.ts';
import { type Api, type Reply, refused } from './api.ts';

const MOST_BODY_BYTES = 64 * 1024;
const MOST_CONNECTIONS = 64;
/** Accepted beyond that in one turn of the loop: idle ones make room for them before it ends. */
const RESERVE = 256;
const SLOWEST_MS = 10_000;
/** Longest wait for the head of a request: nobody has shown a token until then. */
const HEAD_MS = 2000;
/** Longest wait for the next one. */
const IDLE_MS = 5000;
/** Looks for connections that have waited too long are so far apart. */
const LOOK_MS = 500;

export class AdminServer {
  /** As asked for. */
  readonly bind: Address;
  readonly #server: Server;
  readonly #log: Log;
  /** A listening socket that somebody has opened for us, not accepted from yet; -1 for none. */
  #waiting = -1;
  #bound: Address;
  #access: Access | null = null;
  /** Requests that came before anybody may be answered. */
  #early: (() => void)[] = [];
  #handedOver = false;
  #stopped = false;
  #open = 0;
  /** Connections with no request that is being answered, those that have waited longest first. */
  readonly #idle = new Set<Socket>();
  /** Under way, also while their requests have yet to arrive completely. */
  readonly #replies = new Set<ServerResponse>();

  private constructor(server: Server, options: AdminOptions, api: Api, log: Log) {
    this.#server = server;
    this.#log = log;
    this.bind = options.bind;
    this.#bound = options.bind;
    server.on('error', (error) => log.limited('admin', 1000).error('admin listener failed', { error }));
    server.on('connection', (socket) => this.#welcome(socket));
    server.on('request', (request, response) => {
      const { socket } = request;
      this.#idle.delete(socket);
      this.#replies.add(response);
      if (this.#stopped) response.setHeader('Connection', 'close');
      response.on('close', () => {
        this.#replies.delete(response);
        if (!socket.destroyed) this.#idle.add(socket);
      });
      const act = (): void => void answer(this.#access!, api, request, response, log);
      if (this.#access === null) this.#early.push(act);
      else act();
    });
  }

  /**
   * Binds, or takes over the listening socket `inherited`, or says why that cannot be. Answers by `api` once somebody is
   * admitted: until then whoever has the socket that is taken over does.
   */
  static async start(
    options: AdminOptions,
    api: Api,
    log: Log,
    inherited: InheritedSockets | null = null,
  ): Promise<AdminServer | { fault: string }> {
    const server = createServer({
      headersTimeout: HEAD_MS,
      requestTimeout: SLOWEST_MS,
      keepAliveTimeout: IDLE_MS,
      connectionsCheckingInterval: LOOK_MS,
      maxHeaderSize: 8192,
    });
    server.maxConnections = MOST_CONNECTIONS + RESERVE;
    const { bind } = options;
    const there = inherited?.descriptors[0] ?? (bind.kind === 'fd' ? bind.fd : -1);
    const fault =
      there >= 0 ? whyNoSocket(there) : await listen(server, bind, { shared: false, descriptor: -1, mode: 0o600 });
    if (fault !== '') return { fault: `admin: ${formatAddress(bind)}: ${fault}` };
    if (inherited !== null && !isAt(inherited.bound, bind)) return { fault: `admin: ${ELSEWHERE}` };
    const started = new AdminServer(server, options, api, log);
    started.#waiting = there;
    started.#handedOver = there >= 0;
    if (there < 0) started.#look();
    else if (inherited !== null) started.#bound = inherited.bound;
    return started;
  }

  /** As bound; a socket that was named by its number tells where it is once somebody is admitted. */
  get bound(): Address {
    return this.#bound;
  }

  /** The number of its listening socket, for a process that is to have it as well. */
  get descriptor(): number {
    return this.#waiting >= 0 ? this.#waiting : descriptorOf(this.#server as never);
  }

  /** These may call from now on. */
  admit(options: AdminOptions): void {
    if (this.#access === null) this.#handedOver = false;
    this.#access = new Access(options);
    this.#begin();
    for (const act of this.#early.splice(0)) act();
  }

  /** Listens at what was opened by somebody else. Node does so before it returns. */
  #begin(): void {
    if (this.#waiting < 0) return;
    this.#server.listen({ fd: this.#waiting });
    this.#waiting = -1;
    this.#look();
    // Who is let in is decided by the address: one that was handed over must be what was asked for.
    if (!this.#server.listening || isAt(this.#bound, this.bind)) return;
    this.#log.error('admin listener failed', { fault: ELSEWHERE });
    this.#server.close();
  }

  #look(): void {
    const bound = this.#server.address();
    // Node knows no path of a unix socket that was handed over.
    if (bound !== null && typeof bound === 'object')
      this.#bound = { kind: 'tcp', host: bound.address, port: bound.port, path: '', fd: -1 };
  }

  /** Whoever connects and says nothing must not keep others out. */
  #welcome(socket: Socket): void {
    this.#open++;
    this.#idle.add(socket);
    socket.once('close', () => {
      this.#open--;
      this.#idle.delete(socket);
    });
    if (this.#open <= MOST_CONNECTIONS) return;
    const [oldest] = this.#idle;
    oldest?.destroy();
  }

  /** Another process has the socket too: its path is not ours to remove. */
  handOver(): void {
    this.#handedOver = true;
  }

  /** Accepts nothing more; what is being answered is, and then its connection is closed: who may call is not known here any more. */
  stop(): void {
    this.#stopped = true;
    // From here on Node looks after nobody who is slow.
    this.#server.close();
    for (const response of this.#replies) if (!response.headersSent) response.setHeader('Connection', 'close');
    if (this.#access === null) this.#server.closeAllConnections();
    else if (this.#handedOver) {
      // Who has just connected would be let in by the successor too, and can no longer reach it by this connection.
      setTimeout(() => this.#breakOff(), HEAD_MS).unref();
    } else this.#breakOff();
    if (!this.#handedOver) removePath(this.bind);
  }

  /** Connections end on which no whole request is there to be answered; what comes on the others is refused. */
  #breakOff(): void {
    this.#access = new Access({ bind: this.bind, token: randomUUID() });
    for (const socket of this.#idle) socket.destroy();
    for (const { req } of this.#replies) if (!req.complete) req.socket.destroy();
  }
}

const ELSEWHERE = 'the socket that was handed over is bound elsewhere';

/** Whether a server that is bound to `bound` is where `bind` says, and reached by nobody else. */
export function isAt(bound: Address, bind: Address): boolean {
  if (bind.kind === 'fd') return true;
  if (bind.kind === 'unix' || bound.kind !== 'tcp') return bound.kind === bind.kind;
  return (bind.port === 0 || bind.port === bound.port) && (!isLocal(bind) || isLoopback(bound.host));
}

async function answer(
  access: Access,
  api: Api,
  request: IncomingMessage,
  response: ServerResponse,
  log: Log,
): Promise<void> {
  let reply: Reply;
  try {
    reply = await judge(access, api, request);
  } catch (error) {
    log.limited('admin request', 1000).error('admin request failed', { error });
    reply = refused(500, 'this is a fault of ours; the log has it');
  }
  const method = request.method ?? '';
  if (method !== 'GET' && method !== 'HEAD') {
    log.info('admin request', { method, path: request.url, status: reply.status });
  }
  const body = `${JSON.stringify(reply.body)}\n`;
  response.writeHead(reply.status, {
    'Content-Type': 'application/json',
    'Content-Length': Buffer.byteLength(body),
    'Cache-Control': 'no-store',
    'X-Content-Type-Options': 'nosniff',
    ...(reply.status === 401 && { 'WWW-Authenticate': 'Bearer' }),
    // What was not read must not be taken for the next request.
    ...((!request.complete || reply.status === 401) && { Connection: 'close' }),
  });
  response.end(body);
}

async function judge(access: Access, api: Api, request: IncomingMessage): Promise<Reply> {
  const denial = access.judge(request);
  if (denial !== null) return refused(denial.status, denial.fault);
  const text = await readBody(request);
  if (text === null) return refused(413, `the body is longer than ${MOST_BODY_BYTES} bytes`);
  let body: unknown;
  try {
    body = text === '' ? undefined : JSON.parse(text);
  } catch {
    return refused(400, 'the body is not JSON');
  }
  const [path = '/'] = (request.url ?? '/').split('?', 1);
  return api.answer(request.method ?? 'GET', path, body);
}

async function readBody(request: IncomingMessage): Promise<string | null> {
  const pieces: Buffer[] = [];
  let length = 0;
  for await (const piece of request as AsyncIterable<Buffer>) {
    length += piece.length;
    if (length > MOST_BODY_BYTES) return null;
    pieces.push(piece);
  }
  return Buffer.concat(pieces).toString('utf8');
}
