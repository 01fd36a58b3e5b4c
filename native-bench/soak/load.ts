// The mixture that a proxy meets in a day, in minutes: each kind of client is a loop that does one thing, checks what it
// got, and begins again. What is wrong is counted by kind, with the first example kept.

import { randomBytes, randomInt } from 'node:crypto';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { WebSocket } from 'ws';

/** Done and wrong so far, of one kind. */
export interface Tally {
  done: number;
  wrong: number;
  example: string;
}

export interface Ports {
  readonly web: number;
  readonly raw: number;
  readonly all: number;
}

/** Kinds of clients: how many loops of each, and one turn of it. A turn that throws was wrong. */
const KINDS: Readonly<Record<string, readonly [loops: number, turn: (ports: Ports) => Promise<void>]>> = {
  'keep-alive': [12, keepAlive],
  'connection each': [4, connectionEach],
  'slow reader': [4, slowReader],
  upload: [3, upload],
  'leaves half-way': [4, leaveHalfWay],
  websocket: [4, webSocket],
  tunnel: [4, tunnel],
  malformed: [2, malformed],
  'origin breaks': [3, originBreaks],
  silent: [2, silent],
};

export class Load {
  readonly tallies = new Map<string, Tally>();
  readonly #ports: Ports;
  #going = false;
  #loops: Promise<void>[] = [];

  constructor(ports: Ports) {
    this.#ports = ports;
    for (const name of Object.keys(KINDS)) this.tallies.set(name, { done: 0, wrong: 0, example: '' });
  }

  start(): void {
    this.#going = true;
    this.#loops = Object.entries(KINDS).flatMap(([name, [loops, turn]]) =>
      Array.from({ length: loops }, () => this.#loop(this.tallies.get(name)!, turn)),
    );
  }

  /** Resolves when every client has finished what it was doing. */
  async stop(): Promise<void> {
    this.#going = false;
    await Promise.all(this.#loops);
  }

  async #loop(tally: Tally, turn: (ports: Ports) => Promise<void>): Promise<void> {
    while (this.#going) {
      try {
        await turn(this.#ports);
        tally.done++;
      } catch (error) {
        tally.wrong++;
        if (tally.example === '') tally.example = error instanceof Error ? error.message : String(error);
        await pause(50);
      }
    }
  }
}

/** No answer takes longer, however busy the machine. */
const PATIENCE_MS = 30_000;

/** A connection whose replies are read one after the other; bodies are only counted. */
class Client {
  readonly socket: Socket;
  /** Bytes that have arrived and not been taken. */
  #waiting: Buffer[] = [];
  #ended = false;
  #error = '';
  #wake: (() => void) | null = null;

  constructor(port: number) {
    this.socket = connect({ host: '127.0.0.1', port, noDelay: true, allowHalfOpen: true });
    this.socket.setTimeout(PATIENCE_MS, () => this.socket.destroy(new Error('no progress')));
    this.socket.on('data', (piece) => {
      this.#waiting.push(piece);
      this.#tell();
    });
    this.socket.on('end', () => this.#finish(''));
    this.socket.on('error', (error: NodeJS.ErrnoException) => this.#finish(error.code ?? error.message));
    this.socket.on('close', () => this.#finish(''));
  }

  send(data: string | Uint8Array): void {
    this.socket.write(data);
  }

  /** The next bytes; null at the end. A broken connection ends too: see `error`. */
  async take(): Promise<Buffer | null> {
    while (this.#waiting.length === 0) {
      if (this.#ended) return null;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    const bytes = Buffer.concat(this.#waiting);
    this.#waiting = [];
    return bytes;
  }

  get error(): string {
    return this.#error;
  }

  /** Reads one reply; `every` is called before each further piece of its body. Whole when it is as long as it said. */
  async reply(every: () => Promise<void> | undefined = () => undefined): Promise<Reply> {
    let text = '';
    let rest = Buffer.alloc(0);
    for (let end = -1; end < 0; ) {
      const bytes = await this.take();
      if (bytes === null) return { status: 0, head: text, bodyBytes: 0, whole: false };
      rest = Buffer.concat([rest, bytes]);
      end = rest.indexOf('\r\n\r\n');
      if (end >= 0) {
        text = rest.toString('latin1', 0, end + 4);
        rest = rest.subarray(end + 4);
      }
    }
    const status = Number(text.slice(9, 12));
    const length = Number(/\r\ncontent-length: (\d+)\r\n/i.exec(text)?.[1] ?? -1);
    let bodyBytes = rest.length;
    let tail = rest.subarray(-5);
    while (length >= 0 ? bodyBytes < length : tail.toString('latin1') !== '0\r\n\r\n') {
      await every();
      const bytes = await this.take();
      if (bytes === null) return { status, head: text, bodyBytes, whole: false };
      bodyBytes += bytes.length;
      tail = Buffer.concat([tail, bytes.subarray(-5)]).subarray(-5);
    }
    return { status, head: text, bodyBytes, whole: length < 0 || bodyBytes === length };
  }

  #finish(error: string): void {
    this.#ended = true;
    if (this.#error === '') this.#error = error;
    this.#tell();
  }

  #tell(): void {
    const wake = this.#wake;
    this.#wake = null;
    wake?.();
  }
}

interface Reply {
  /** 0 when the connection ended before there was a head. */
  readonly status: number;
  readonly head: string;
  readonly bodyBytes: number;
  readonly whole: boolean;
}

async function keepAlive({ web }: Ports): Promise<void> {
  const client = new Client(web);
  for (let number = randomInt(1, 400); number > 0; number--) {
    const bytes = randomInt(10) === 0 ? randomInt(200_000) : randomInt(2000);
    const chunked = randomInt(4) === 0;
    client.send(`GET /bytes?bytes=${bytes}${chunked ? '&chunked' : ''} HTTP/1.1\r\nHost: soak\r\n\r\n`);
    const reply = await client.reply();
    if (reply.status !== 200 || !reply.whole || (!chunked && reply.bodyBytes !== bytes)) fail(client, reply);
    await pause(2);
  }
  client.socket.destroy();
}

async function connectionEach({ web }: Ports): Promise<void> {
  const client = new Client(web);
  client.send('GET /bytes?bytes=129 HTTP/1.1\r\nHost: soak\r\nConnection: close\r\n\r\n');
  const reply = await client.reply();
  if (reply.status !== 200 || reply.bodyBytes !== 129) fail(client, reply);
  client.socket.end();
  if ((await client.take()) !== null) throw new Error('bytes behind the last reply');
  await pause(2);
}

async function slowReader({ web }: Ports): Promise<void> {
  const client = new Client(web);
  const bytes = 16 * 1024 * 1024;
  client.send(`GET /bytes?bytes=${bytes}${randomInt(2) === 0 ? '&chunked' : ''} HTTP/1.1\r\nHost: soak\r\n\r\n`);
  let turn = 0;
  const reply = await client.reply(() => {
    if (++turn % 8 !== 0) return undefined;
    client.socket.pause();
    return pause(20).then(() => void client.socket.resume());
  });
  if (reply.status !== 200 || !reply.whole || reply.bodyBytes < bytes) fail(client, reply);
  client.socket.destroy();
}

const PIECE = Buffer.alloc(50_000, 'upload');

async function upload({ web }: Ports): Promise<void> {
  const client = new Client(web);
  const pieces = randomInt(1, 160);
  const chunked = randomInt(2) === 0;
  const framing = chunked ? 'Transfer-Encoding: chunked' : `Content-Length: ${pieces * PIECE.length}`;
  client.send(`POST /upload HTTP/1.1\r\nHost: soak\r\n${framing}\r\n\r\n`);
  for (let piece = 0; piece < pieces; piece++) {
    if (chunked) client.send(`${PIECE.length.toString(16)}\r\n`);
    if (!client.socket.write(PIECE)) await Promise.race([once(client.socket, 'drain'), once(client.socket, 'close')]);
    if (chunked) client.send('\r\n');
  }
  if (chunked) client.send('0\r\n\r\n');
  const reply = await client.reply();
  if (reply.status !== 200 || reply.bodyBytes !== String(pieces * PIECE.length).length) fail(client, reply);
  client.socket.destroy();
}

async function leaveHalfWay({ web }: Ports): Promise<void> {
  const client = new Client(web);
  const uploading = randomInt(2) === 0;
  if (uploading) {
    client.send('POST /upload HTTP/1.1\r\nHost: soak\r\nContent-Length: 10000000\r\n\r\n');
    for (let piece = randomInt(8); piece > 0; piece--) client.send(PIECE);
  } else client.send(`GET /bytes?bytes=8000000 HTTP/1.1\r\nHost: soak\r\n\r\n`);
  if (!uploading) await client.take();
  await pause(randomInt(30));
  if (randomInt(2) === 0) client.socket.resetAndDestroy();
  else client.socket.destroy();
}

async function webSocket({ web }: Ports): Promise<void> {
  const socket = new WebSocket(`ws://127.0.0.1:${web}/`);
  await once(socket, 'open');
  for (let number = 0; number < 40; number++) {
    const message = Buffer.alloc(randomInt(number % 10 === 0 ? 200_000 : 500), number);
    socket.send(message);
    const [echo] = await once(socket, 'message', { signal: AbortSignal.timeout(PATIENCE_MS) });
    if (!message.equals(echo)) throw new Error('another message came back');
    await pause(2);
  }
  const closed = once(socket, 'close');
  if (randomInt(2) === 0) socket.close(1000);
  else socket.terminate();
  await closed;
}

const CARGO = randomBytes(2_000_000);

async function tunnel({ raw }: Ports): Promise<void> {
  const client = new Client(raw);
  const total = randomInt(1, CARGO.length);
  const bytes = CARGO.subarray(0, total);
  client.send(bytes);
  const halfClosing = randomInt(2) === 0;
  if (halfClosing) client.socket.end();
  let read = 0;
  while (read < total) {
    const piece = await client.take();
    if (piece === null) throw new Error(`tunnel ended after ${read} of ${total} bytes ${client.error}`);
    if (!piece.equals(bytes.subarray(read, read + piece.length))) throw new Error('other bytes came back');
    read += piece.length;
  }
  if (halfClosing && (await client.take()) !== null) throw new Error('bytes behind the end');
  client.socket.destroy();
  await pause(5);
}

const NONSENSE = [
  'GET / HTTP/1.1\r\n\r\n',
  'GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n',
  'GET / HTTP/9.9\r\nHost: a\r\n\r\n',
  'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n',
  'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nnot a size\r\n',
  `GET / HTTP/1.1\r\nHost: a\r\nLong: ${'x'.repeat(40_000)}\r\n\r\n`,
  'CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n',
  '\x16\x03\x01\x00\x05hello',
];

async function malformed({ web }: Ports): Promise<void> {
  const client = new Client(web);
  client.send(NONSENSE[randomInt(NONSENSE.length)]!);
  const reply = await client.reply();
  // Bytes of a refused request that nobody has read may turn the close into a reset.
  if (reply.status !== 0 && reply.status < 400) fail(client, reply);
  client.socket.destroy();
  await pause(10);
}

async function originBreaks({ web }: Ports): Promise<void> {
  const client = new Client(web);
  const path = ['/reset', '/cut', '/nonsense'][randomInt(3)]!;
  client.send(`GET ${path} HTTP/1.1\r\nHost: soak\r\n\r\n`);
  const reply = await client.reply();
  const right = path === '/cut' ? !reply.whole : reply.status === 502;
  if (!right) fail(client, reply);
  client.socket.destroy();
  await pause(10);
}

/** Says nothing, or half of something, until it is closed or spoken to. */
async function silent({ web, all }: Ports): Promise<void> {
  const auto = randomInt(2) === 0;
  const client = new Client(auto ? all : web);
  if (auto) {
    await pause(400);
    client.send('anybody?');
    if ((await client.take())?.toString() !== 'anybody?') throw new Error(`no fallback ${client.error}`);
  } else {
    if (randomInt(2) === 0) client.send('GET / HTTP/1.1\r\nHo');
    while ((await client.take()) !== null);
  }
  client.socket.destroy();
}

function fail(client: Client, reply: Reply): never {
  throw new Error(
    `status ${reply.status}, ${reply.bodyBytes} bytes${reply.whole ? '' : ', cut'} ${client.error} ${reply.head.slice(0, 200)}`,
  );
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
