// HTTP/2 for tests: origins and clients of Node's own implementation, and raw frames for what no client would send.

import { once } from 'node:events';
import {
  type ClientHttp2Session,
  connect,
  createServer,
  type IncomingHttpHeaders,
  type ServerHttp2Stream,
} from 'node:http2';
import { type AddressInfo, connect as dial, type Socket } from 'node:net';
import type { TestContext } from 'node:test';

export interface Answer {
  readonly status: number;
  readonly fields: IncomingHttpHeaders;
  readonly body: Buffer;
  readonly trailers: IncomingHttpHeaders | null;
  /** Why the stream was broken off, 0 when it was not. */
  readonly reset: number;
}

/** A server of HTTP/2 without TLS; closed with all its sessions when the test ends. */
export async function startHttp2Origin(
  t: TestContext,
  handle: (stream: ServerHttp2Stream, fields: IncomingHttpHeaders) => void,
  settings = {},
): Promise<{ readonly port: number; sessions(): number }> {
  const sessions = new Set<{ destroy(): void }>();
  let opened = 0;
  const server = createServer({ settings });
  server.on('session', (session) => {
    opened++;
    sessions.add(session);
    session.on('close', () => sessions.delete(session));
    session.on('error', () => {});
  });
  server.on('stream', (stream, fields) => {
    stream.on('error', () => {});
    handle(stream, fields);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    for (const session of sessions) session.destroy();
    server.close();
  });
  return { port: (server.address() as AddressInfo).port, sessions: () => opened };
}

/** A client without TLS; closed when the test ends. */
export function http2Client(t: TestContext, port: number, options = {}): ClientHttp2Session {
  const client = connect(`http://127.0.0.1:${port}`, options);
  client.on('error', () => {});
  t.after(() => client.destroy());
  return client;
}

/** Sends one request and waits for the end of its stream. */
export function ask(
  client: ClientHttp2Session,
  fields: Record<string, string | string[]>,
  body?: Buffer | string,
): Promise<Answer> {
  return new Promise((resolve) => {
    const stream = client.request(fields, { endStream: body === undefined });
    let head: IncomingHttpHeaders = {};
    let trailers: IncomingHttpHeaders | null = null;
    const pieces: Buffer[] = [];
    stream.on('response', (got) => (head = got));
    stream.on('trailers', (got) => (trailers = got));
    stream.on('data', (piece) => pieces.push(piece));
    stream.on('error', () => {});
    stream.on('close', () =>
      resolve({
        status: Number(head[':status'] ?? 0),
        fields: head,
        body: Buffer.concat(pieces),
        trailers,
        reset: stream.rstCode ?? 0,
      }),
    );
    if (body !== undefined) stream.end(body);
  });
}

export interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly stream: number;
  readonly payload: Buffer;
}

/** One frame's bytes. */
export function frame(type: number, flags: number, stream: number, payload: Buffer | string = ''): Buffer {
  const bytes = typeof payload === 'string' ? Buffer.from(payload, 'hex') : payload;
  const head = Buffer.alloc(9);
  head.writeUIntBE(bytes.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, bytes]);
}

/** GET / of a.test, as a block without a table. */
export const GET_BLOCK = Buffer.concat([Buffer.from('8286840106', 'hex'), Buffer.from('a.test')]);
export const PREFACE = Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), frame(4, 0, 0)]);

/** A connection that sends what it is told, frame by frame, and keeps what comes. */
export class RawHttp2 {
  readonly socket: Socket;
  readonly frames: Frame[] = [];
  closed = false;
  #bytes = Buffer.alloc(0);

  constructor(t: TestContext, port: number) {
    this.socket = dial(port, '127.0.0.1');
    this.socket.on('error', () => {});
    this.socket.on('close', () => (this.closed = true));
    this.socket.on('data', (bytes) => {
      this.#bytes = Buffer.concat([this.#bytes, bytes]);
      while (this.#bytes.length >= 9 && this.#bytes.length >= 9 + this.#bytes.readUIntBE(0, 3)) {
        const length = this.#bytes.readUIntBE(0, 3);
        this.frames.push({
          type: this.#bytes[3]!,
          flags: this.#bytes[4]!,
          stream: this.#bytes.readUInt32BE(5),
          payload: this.#bytes.subarray(9, 9 + length),
        });
        this.#bytes = this.#bytes.subarray(9 + length);
      }
    });
    t.after(() => this.socket.destroy());
  }

  send(...frames: Buffer[]): void {
    this.socket.write(Buffer.concat(frames));
  }

  /** Waits until a frame fits; null when the connection ends before. */
  async until(fits: (frame: Frame) => boolean): Promise<Frame | null> {
    for (;;) {
      const found = this.frames.find(fits);
      if (found !== undefined) return found;
      if (this.closed) return null;
      await Promise.race([once(this.socket, 'data'), once(this.socket, 'close')]).catch(() => {});
    }
  }

  /** The reason of the GOAWAY that ends the connection; -1 when it ends without one. */
  async ended(): Promise<number> {
    const last = await this.until(({ type, payload }) => type === 7 && payload.readUInt32BE(4) !== 0);
    return last === null ? -1 : last.payload.readUInt32BE(4);
  }
}
