// Steady load over raw sockets that counts every failure: clients that keep their connection, and clients that make one for
// each request. What became of a connection is known to the byte, so nothing is repeated behind the test's back.

import { connect, type NetConnectOpts, type Socket } from 'node:net';
import type { TestContext } from 'node:test';
import { eventually, glance, PATIENCE_MS, pause } from './wait.ts';

export interface LoadOptions {
  /** Where: a port of this machine, or the path of a unix socket. */
  readonly to: number | string;
  /** Clients that keep their connection as long as it is left to them. */
  readonly kept?: number;
  /** Clients that close theirs after each reply. */
  readonly fresh?: number;
  /** Path of the i-th request. */
  readonly path?: (i: number) => string;
  /** What a client waits between requests; tests run beside each other. */
  readonly pauseMs?: number;
}

export class Load {
  /** Requests that were answered with 200, by the body of the reply. */
  readonly answers = new Map<string, number>();
  /** Paths that were asked for. */
  readonly sent = new Set<string>();
  /** What went wrong, in words. */
  readonly faults: string[] = [];
  asked = 0;
  answered = 0;
  /** Replies that said that they are the last of their connection. */
  closing = 0;
  /** Connections that kept clients have had. */
  connections = 0;
  /** Kept clients that have had more than one. */
  interrupted = 0;
  /** The proxy is on its way out: connections that are refused, or closed before a byte of a reply, are no faults. */
  ending = false;
  readonly #options: LoadOptions;
  readonly #running: Promise<unknown>;
  /** By client: how many of its requests have been asked and answered. */
  readonly #clients: { asked: number; answeredTo: number }[] = [];
  readonly #open = new Set<Socket>();
  #stopped = false;

  /** Ends with the test, if not before. */
  constructor(t: TestContext, options: LoadOptions) {
    this.#options = options;
    t.after(() => this.#breakOff());
    const { kept = 0, fresh = 0 } = options;
    this.#running = Promise.all([
      ...Array.from({ length: kept }, () => this.#client(true)),
      ...Array.from({ length: fresh }, () => this.#client(false)),
    ]);
  }

  /** Lets requests under way finish; resolves once all clients have. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running;
  }

  /** Resolves once `count` more requests have been answered. */
  async further(count: number): Promise<void> {
    const wanted = this.answered + count;
    const deadline = performance.now() + PATIENCE_MS;
    while (this.answered < wanted) {
      if (performance.now() > deadline)
        throw new Error(`no ${count} answers in time; faults: ${this.faults.join(', ')}`);
      await pause(2);
    }
  }

  /** Resolves once every client has been answered what it has asked from now on: what it lost before has been counted. */
  async round(): Promise<void> {
    const before = this.#clients.map(({ asked }) => asked);
    await eventually(
      () => this.#clients.every(({ answeredTo }, place) => answeredTo > before[place]!),
      'an answer for every client',
    );
  }

  #breakOff(): void {
    this.#stopped = true;
    for (const socket of this.#open) socket.destroy();
  }

  async #client(kept: boolean): Promise<void> {
    const client = { asked: 0, answeredTo: 0 };
    this.#clients.push(client);
    for (let connections = 0; !this.#stopped; connections++) {
      if (kept) this.connections++;
      if (kept && connections === 1) this.interrupted++;
      if (!(await this.#connection(kept, client))) return;
    }
  }

  /** One connection; false when none can be made any more. */
  #connection(kept: boolean, client: { asked: number; answeredTo: number }): Promise<boolean> {
    const { to, path = () => '/', pauseMs = 3 } = this.#options;
    const where: NetConnectOpts =
      typeof to === 'number' ? { host: '127.0.0.1', port: to, noDelay: true } : { path: to };
    return new Promise((resolve) => {
      const socket = connect(where);
      this.#open.add(socket);
      let text = '';
      let asking = '';
      let refused = false;
      let broken = '';
      let stage = 'connecting';
      let timer: NodeJS.Timeout | undefined;
      const fault = (words: string): void => void this.faults.push(`${kept ? 'kept' : 'fresh'} ${asking}: ${words}`);
      const ask = (): void => {
        if (this.#stopped) return void socket.end();
        asking = path(this.asked++);
        this.sent.add(asking);
        client.asked++;
        stage = 'asked';
        text = '';
        socket.write(`GET ${asking} HTTP/1.1\r\nHost: load.test\r\n${kept ? '' : 'Connection: close\r\n'}\r\n`);
        timer = setTimeout(() => {
          fault('no answer in time');
          socket.destroy();
        }, PATIENCE_MS);
      };
      // A connection that has been idle for long may have been closed meanwhile, and who sends a request then loses it: so
      // what has come is looked at first, however late this is.
      const askAgain = async (): Promise<void> => {
        await glance();
        if (socket.writable) ask();
      };
      socket.setEncoding('latin1');
      socket.on('connect', ask);
      socket.on('data', (piece) => {
        text += piece;
        const end = text.indexOf('\r\n\r\n');
        if (end < 0) return;
        const head = text.slice(0, end);
        const length = Number(/\r\ncontent-length: (\d+)/i.exec(head)?.[1] ?? Number.NaN);
        if (text.length < end + 4 + length) return;
        clearTimeout(timer);
        const body = text.slice(end + 4);
        const closing = /\r\nconnection: close/i.test(head);
        if (!head.startsWith('HTTP/1.1 200 ') || body.length !== length) fault(text);
        else {
          this.answered++;
          client.answeredTo = client.asked;
          this.answers.set(body, (this.answers.get(body) ?? 0) + 1);
        }
        text = '';
        asking = '';
        stage = 'answered';
        if (closing) this.closing++;
        if (closing || !kept) socket.end();
        else setTimeout(askAgain, pauseMs);
      });
      socket.on('error', (error: NodeJS.ErrnoException) => {
        refused = error.code === 'ECONNREFUSED' || error.code === 'ENOENT';
        broken = `${stage}: ${error.code ?? error.message}`;
      });
      socket.on('close', () => {
        this.#open.delete(socket);
        clearTimeout(timer);
        if (text !== '') fault(`cut off: ${text}`);
        else if (broken !== '' && !this.ending) fault(broken);
        else if (asking !== '' && !this.ending) fault('closed without an answer');
        if (refused && this.ending) resolve(false);
        else setTimeout(resolve, kept ? 0 : pauseMs, true);
      });
    });
  }
}
