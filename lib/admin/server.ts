// The admin listener: JSON over HTTP for whoever operates the proxy. Never on the way of anybody's requests, so it is
// Node's own server, with small limits.

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type Address, formatAddress, isLocal, isLoopback } from '../base/address.ts';
import type { Log } from '../base/log.ts';
import type { AdminOptions } from '../config/configuration.ts';
import { descriptorOf } from '../io/receive.ts';
import { listen, removePath } from '../server/port.ts';
import { Access } from './access.ts';
import { type Api, type Reply, refused } from './api.ts';

const MOST_BODY_BYTES = 64 * 1024;
const MOST_CONNECTIONS = 64;
const SLOWEST_MS = 10_000;

export class AdminServer {
  /** As asked for. */
  readonly bind: Address;
  readonly #server: Server;
  #access: Access | null = null;
  /** Requests that came before anybody may be answered. */
  #early: (() => void)[] = [];
  #handedOver = false;

  private constructor(server: Server, options: AdminOptions, api: Api, log: Log) {
    this.#server = server;
    this.bind = options.bind;
    server.on('error', (error) => log.limited('admin', 1000).error('admin listener failed', { error }));
    server.on('request', (request, response) => {
      const act = (): void => void answer(this.#access!, api, request, response, log);
      if (this.#access === null) this.#early.push(act);
      else act();
    });
  }

  /**
   * Binds, or takes over the listening socket `inherited` (-1 for none), or says why that cannot be. Answers by `api` once
   * somebody is admitted.
   */
  static async start(
    options: AdminOptions,
    api: Api,
    log: Log,
    inherited = -1,
  ): Promise<AdminServer | { fault: string }> {
    const server = createServer({
      headersTimeout: SLOWEST_MS,
      requestTimeout: SLOWEST_MS,
      keepAliveTimeout: SLOWEST_MS,
      maxHeaderSize: 8192,
    });
    server.maxConnections = MOST_CONNECTIONS;
    const { bind } = options;
    const fault = await listen(server, bind, { shared: false, descriptor: inherited, mode: 0o600 });
    if (fault !== '') return { fault: `admin: ${formatAddress(bind)}: ${fault}` };
    // Who is let in is decided by the address: one that was handed over must be what was asked for.
    if (!isAt(server.address(), bind)) {
      server.close();
      return { fault: `admin: ${formatAddress(bind)}: the socket that was handed over is bound elsewhere` };
    }
    return new AdminServer(server, options, api, log);
  }

  /** As bound. */
  get address(): string {
    const bound = this.#server.address();
    if (bound === null || typeof bound === 'string') return formatAddress(this.bind);
    return formatAddress({ kind: 'tcp', host: bound.address, port: bound.port, path: '', fd: -1 });
  }

  /** The number of its listening socket, for a process that is to have it as well. */
  get descriptor(): number {
    return descriptorOf(this.#server as never);
  }

  /** These may call from now on. */
  admit(options: AdminOptions): void {
    this.#access = new Access(options);
    for (const act of this.#early.splice(0)) act();
  }

  /** Another process has the socket too: its path is not ours to remove. */
  handOver(): void {
    this.#handedOver = true;
  }

  /** Accepts nothing more; what is being answered is. */
  stop(): void {
    this.#server.close();
    if (this.#access === null) this.#server.closeAllConnections();
    else this.#server.closeIdleConnections();
    if (!this.#handedOver) removePath(this.bind);
  }
}

/** Whether a server that is bound to `bound` is where `bind` says, and reached by nobody else. */
export function isAt(bound: AddressInfo | string | null, bind: Address): boolean {
  if (bind.kind === 'fd') return true;
  // Node knows no path of a unix socket that was handed over.
  if (bind.kind === 'unix') return bound === null || typeof bound === 'string';
  if (bound === null || typeof bound === 'string') return false;
  return (bind.port === 0 || bind.port === bound.port) && (!isLocal(bind) || isLoopback(bound.address));
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
    ...(!request.complete && { Connection: 'close' }),
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
