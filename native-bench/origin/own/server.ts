// One worker of the origin: accepts connections and answers their requests from replies that were built beforehand, on the
// same buffers and parser as the proxy. One request after the other, as every client of the harness sends them; one that
// pipelines is answered in order.

import { createServer } from 'node:net';
import { Connection, NOBODY, onCrash, type Receiver } from '../../../lib/io/connection.ts';
import { acceptFrom } from '../../../lib/io/receive.ts';
import { flush } from '../../../lib/io/send.ts';
import { memory, REQUEST } from '../../../lib/wire/http1/llhttp.ts';
import {
  leaseParser,
  type MessageReceiver,
  Outcome,
  type Parser,
  releaseParser,
  Verdict,
} from '../../../lib/wire/http1/parser.ts';
import { ECHO_PATH, INSPECT_PATH } from '../content.ts';
import { beginEcho } from './echo.ts';
import { BAD_REQUEST, inspected, type Reply, replyTo } from './replies.ts';

/** Listens on loopback `port`, which it shares with other threads when `shared`. Ends the process when it cannot. */
export function listen(port: number, shared: boolean): void {
  onCrash((error) => {
    throw error;
  });
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true, noDelay: true });
  server.on('error', (error: NodeJS.ErrnoException) => {
    process.stderr.write(`${error.message}\n`);
    // What one accept meets concerns one connection; without a port there is nothing to do.
    if (error.syscall === 'listen') process.exit(1);
  });
  server.listen({ host: '127.0.0.1', port, backlog: BACKLOG, reusePort: shared }, () => {
    acceptFrom(server, (socket) => {
      const connection = new Connection(socket, NOBODY);
      connection.receiver = new Client(connection);
    });
  });
}

const BACKLOG = 4096;
const LIMITS = { headBytes: 16_384, headers: 100 };

/** A connection between and in its requests. */
class Client implements Receiver, MessageReceiver {
  readonly #connection: Connection;
  #parser: Parser | null = null;
  /** Answers the request that is being read; null until its head is complete. */
  #reply: Reply | null = null;
  /** The key of a WebSocket handshake, '' when there is none. */
  #key = '';
  #persistent = true;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  received(start: number, end: number): void {
    let at = start;
    while (at < end && !this.#connection.gone) {
      const parser = (this.#parser ??= leaseParser(REQUEST, this, LIMITS));
      if (parser === null) return this.#connection.destroy();
      const outcome = parser.execute(at, end);
      if (outcome === Outcome.MORE) return;
      const fault = outcome === Outcome.FAULT;
      at = parser.position;
      this.#release();
      if (fault) return this.#refuse();
      if (this.#key !== '') return beginEcho(this.#connection, this.#key, at, end);
      this.#answer();
    }
  }

  onHead(parser: Parser): number {
    const path = memory.toString('latin1', parser.targetStart, parser.targetEnd);
    this.#persistent = parser.persistent;
    this.#key = '';
    if (path === ECHO_PATH) {
      const { fields } = parser;
      const field = fields.find(WEBSOCKET_KEY);
      // A proxy that does not pass the upgrade on gets an ordinary answer.
      if (field >= 0 && fields.find(UPGRADE) >= 0) this.#key = fields.value(field);
    }
    this.#reply = path.endsWith(INSPECT_PATH) ? inspected(parser.fields) : replyTo(path);
    return Verdict.GO_ON;
  }

  onBody(): void {
    // Read and dropped.
  }

  finished(): void {
    this.#connection.close();
  }
  drained(): void {
    this.#connection.resume();
  }
  closed(): void {
    this.#release();
  }
  expired(): void {}
  crashed(error: unknown): void {
    throw error;
  }

  #answer(): void {
    const reply = this.#reply!;
    this.#reply = null;
    const connection = this.#connection;
    const { head, body } = this.#persistent ? reply.kept : reply.closing;
    let taken = connection.send(head, 0, head.length);
    if (body !== null) taken = this.#sendLarge(body);
    if (!this.#persistent) connection.close();
    else if (!taken) connection.pause();
  }

  /** From where it lies, in as few system calls as the kernel allows. */
  #sendLarge(body: Buffer): boolean {
    const { socket } = this.#connection;
    flush();
    socket.write(body);
    if (socket.writableLength === 0) return true;
    // Behind the body: its callback comes when the kernel has taken all of it.
    socket.write(NOTHING, () => this.#connection.resume());
    return false;
  }

  #refuse(): void {
    this.#connection.send(BAD_REQUEST, 0, BAD_REQUEST.length);
    this.#connection.close();
  }

  #release(): void {
    if (this.#parser !== null) releaseParser(this.#parser);
    this.#parser = null;
  }
}

const NOTHING = Buffer.alloc(0);
const UPGRADE = Buffer.from('upgrade', 'latin1');
const WEBSOCKET_KEY = Buffer.from('sec-websocket-key', 'latin1');
