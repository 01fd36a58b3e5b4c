// A gibibyte each way through the command line's own process, compared byte by byte, and how little the proxy holds of
// it when somebody stops reading. Nothing is stored: the data is a pattern of prime length, repeated, so that no two
// pieces a multiple of any buffer size apart are alike and a shifted, repeated or overwritten piece shows.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { connectPeer } from '../support/peer.ts';
import { eventually, findProgram, type Millrace, pause, startMillrace, startProgram } from '../support/process.ts';

/** What is held is that of one event loop: threads, and the spare one that comes later, would weigh on the scales. */
const ALONE = ['--workers', '0'];
const GIBIBYTE = 1024 ** 3;
const MEBIBYTE = 1024 ** 2;
/** What the proxy may hold above idle. */
const HELD_BYTES = 16 * MEBIBYTE;

const curl = findProgram('curl', 'curl');
const withCurl = { skip: curl === null };

/** The largest prime below 2 ** 20. */
const PERIOD = 1_048_573;
const PIECE = 256 * 1024;
const pattern = makePattern();

for (const protocol of ['http', 'tcp']) {
  test(`a gibibyte comes down byte-identical through millrace ${protocol}`, withCurl, async (t) => {
    const origin = await startBulkOrigin(t);
    const proxy = startMillrace(t, [protocol, '127.0.0.1:0', origin.address, ...ALONE]);
    const client = startProgram(t, curl!, ['-sS', '-q', `http://${await proxy.address(protocol)}/`]);
    const check = new Check();
    for await (const piece of client.stream) check.data(piece);
    assert.equal(await client.ended, 0, client.err);
    check.complete();
  });

  test(
    `a gibibyte goes up byte-identical through millrace ${protocol}, with a length and chunked`,
    withCurl,
    async (t) => {
      const origin = await startBulkOrigin(t);
      const proxy = startMillrace(t, [protocol, '127.0.0.1:0', origin.address, ...ALONE]);
      // Half a gibibyte of each at layer 7; layer 4 does not know the difference.
      const framings =
        protocol === 'http' ? [`Content-Length: ${GIBIBYTE / 2}`, 'Transfer-Encoding: chunked'] : ['A: b'];
      for (const framing of framings) {
        const total = GIBIBYTE / framings.length;
        const args = ['-H', framing, ...(framing.startsWith('Content') ? ['-H', 'Transfer-Encoding:'] : [])];
        const url = `http://${await proxy.address(protocol)}/`;
        const client = startProgram(t, curl!, ['-sS', '-q', ...args, '-T', '-', url]);
        await pour(client.process.stdin!, total);
        client.process.stdin!.end();
        assert.equal(await client.ended, 0, client.err);
        assert.equal(client.out, `${total} whole`);
      }
    },
  );

  test(`a reader that stops makes millrace ${protocol} hold little of a gibibyte`, async (t) => {
    const origin = await startBulkOrigin(t);
    const proxy = startMillrace(t, [protocol, '127.0.0.1:0', origin.address, ...ALONE]);
    const port = await proxy.port(protocol);
    const idleBytes = await idle(t, proxy, port);
    const client = await connectPeer(t, port);
    client.socket.removeAllListeners('data');
    let read = 0;
    let goal = 0;
    client.socket.on('data', (piece) => {
      read += piece.length;
      if (read >= goal) client.socket.pause();
    });
    client.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    let heldBytes = 0;
    for (let stop = 1; stop <= 3; stop++) {
      // Some of it is read, then nothing for as long as anything still moves.
      goal = stop * 24 * MEBIBYTE;
      client.socket.resume();
      await eventually(() => read >= goal, 'the client to read');
      await standstill(() => origin.sent());
      assert.ok(origin.sent() < GIBIBYTE / 2, 'the origin must be held back');
      heldBytes = Math.max(heldBytes, proxy.residentBytes - idleBytes);
    }
    t.diagnostic(`held ${(heldBytes / MEBIBYTE).toFixed(1)} MiB above idle (${(idleBytes / MEBIBYTE).toFixed(1)} MiB)`);
    assert.ok(heldBytes < HELD_BYTES, `held ${heldBytes} bytes`);
  });

  test(`an origin that stops reading makes millrace ${protocol} hold little of a gibibyte`, async (t) => {
    const origin = await startBulkOrigin(t);
    const proxy = startMillrace(t, [protocol, '127.0.0.1:0', origin.address, ...ALONE]);
    const port = await proxy.port(protocol);
    const idleBytes = await idle(t, proxy, port);
    const client = await connectPeer(t, port);
    client.send(`POST /slow HTTP/1.1\r\nHost: a\r\nContent-Length: ${GIBIBYTE}\r\n\r\n`);
    let heldBytes = 0;
    let poured = 0;
    pour(client.socket, GIBIBYTE, (bytes) => (poured = bytes)).catch(() => {});
    for (let stop = 1; stop <= 3; stop++) {
      origin.allow(stop * 24 * MEBIBYTE);
      await eventually(() => origin.received() >= stop * 24 * MEBIBYTE, 'the origin to read');
      await standstill(() => poured);
      assert.ok(poured < GIBIBYTE / 2, 'the client must be held back');
      heldBytes = Math.max(heldBytes, proxy.residentBytes - idleBytes);
    }
    t.diagnostic(`held ${(heldBytes / MEBIBYTE).toFixed(1)} MiB above idle (${(idleBytes / MEBIBYTE).toFixed(1)} MiB)`);
    assert.ok(heldBytes < HELD_BYTES, `held ${heldBytes} bytes`);
  });
}

interface BulkOrigin {
  readonly address: string;
  /** Bytes of replies that have been handed to the kernel. */
  sent(): number;
  /** Bytes of bodies that have been read; `/slow` stops reading at what is allowed. */
  received(): number;
  allow(bytes: number): void;
}

/**
 * Speaks just enough HTTP on a raw socket: GET is answered with a gibibyte, and an upload with its length and whether it
 * was whole.
 */
async function startBulkOrigin(t: TestContext): Promise<BulkOrigin> {
  let sent = 0;
  let received = 0;
  let allowed = 0;
  let paused: Socket | null = null;
  const sockets = new Set<Socket>();
  const server = createServer({ noDelay: true }, (socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    let upload: Upload | null = null;
    socket.on('data', (bytes: Buffer) => {
      let body = bytes;
      if (upload === null) {
        // Heads are small and come in one piece here.
        const end = bytes.indexOf('\r\n\r\n') + 4;
        const head = bytes.toString('latin1', 0, end);
        body = bytes.subarray(end);
        if (head.startsWith('GET')) {
          socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${GIBIBYTE}\r\n\r\n`);
          pour(socket, GIBIBYTE, (total) => (sent = total)).catch(() => {});
          return;
        }
        upload = new Upload(head);
        if (/^expect:/im.test(head)) socket.write('HTTP/1.1 100 Continue\r\n\r\n');
      }
      upload.data(body);
      received = upload.check.position;
      if (upload.slow && received >= allowed) {
        paused = socket;
        socket.pause();
      }
      if (!upload.complete) return;
      const verdict = `${received} ${upload.check.fault === '' ? 'whole' : upload.check.fault}`;
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${verdict.length}\r\n\r\n${verdict}`);
      upload = null;
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const bound = server.address();
  return {
    address: `127.0.0.1:${typeof bound === 'object' ? bound?.port : 0}`,
    sent: () => sent,
    received: () => received,
    allow(bytes) {
      allowed = bytes;
      paused?.resume();
      paused = null;
    },
  };
}

/** A request body on its way in, chunks taken off. */
class Upload {
  readonly check = new Check();
  readonly slow: boolean;
  complete = false;
  readonly #length: number;
  #line = '';
  /** Bytes of the current chunk still to come; below 0: in a line. */
  #left = -1;

  constructor(head: string) {
    this.slow = head.includes(' /slow ');
    this.#length = Number(/^content-length: (\d+)/im.exec(head)?.[1] ?? -1);
  }

  data(bytes: Buffer): void {
    if (this.#length >= 0) {
      this.check.data(bytes);
      this.complete = this.check.position >= this.#length;
      return;
    }
    for (let at = 0; at < bytes.length; ) {
      if (this.#left > 0) {
        const piece = bytes.subarray(at, at + this.#left);
        this.check.data(piece);
        this.#left -= piece.length;
        at += piece.length;
      } else {
        const byte = bytes[at++]!;
        if (byte !== 0x0a) this.#line += String.fromCharCode(byte);
        // The line that ends a chunk's data is empty, and so is the one after the last chunk.
        else if (this.#line.trim() === '') this.complete = this.#left === 0 && this.#ending;
        else {
          this.#left = Number.parseInt(this.#line, 16);
          this.#ending = this.#left === 0;
        }
        if (byte === 0x0a) this.#line = '';
      }
    }
  }
  #ending = false;
}

/** Compares a stream with the pattern as it comes. */
class Check {
  position = 0;
  fault = '';

  data(bytes: Buffer): void {
    for (let at = 0; at < bytes.length && this.fault === ''; at += PIECE) {
      const piece = bytes.subarray(at, at + PIECE);
      const from = (this.position + at) % PERIOD;
      if (!piece.equals(pattern.subarray(from, from + piece.length))) this.fault = `differs near ${this.position + at}`;
    }
    this.position += bytes.length;
  }

  complete(): void {
    assert.equal(this.fault, '');
    assert.equal(this.position, GIBIBYTE);
  }
}

/** Writes the pattern until `total` bytes are on their way, as fast as they are taken. */
async function pour(to: NodeJS.WritableStream, total: number, told: (bytes: number) => void = () => {}): Promise<void> {
  for (let position = 0; position < total; ) {
    const from = position % PERIOD;
    const piece = pattern.subarray(from, from + Math.min(PIECE, total - position));
    position += piece.length;
    told(position);
    if (!to.write(piece)) await once(to, 'drain');
  }
}

/**
 * Resident memory of a proxy that has served and is idle. The parser's code is optimised when it gets hot, which costs
 * 14 MiB of compiler memory once, whatever the traffic; so an upload comes first.
 */
async function idle(t: TestContext, proxy: Millrace, port: number): Promise<number> {
  const client = await connectPeer(t, port);
  client.send(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${32 * MEBIBYTE}\r\n\r\n`);
  await pour(client.socket, 32 * MEBIBYTE);
  await client.receive(' whole');
  client.end();
  let residentBytes = 0;
  await standstill(() => (residentBytes = proxy.residentBytes));
  return residentBytes;
}

/** Resolves once `position` has not moved for a while. */
async function standstill(position: () => number): Promise<void> {
  for (let still = 0, last = -1; still < 4; ) {
    await pause(50);
    still = position() === last ? still + 1 : 0;
    last = position();
  }
}

function makePattern(): Buffer {
  const bytes = Buffer.alloc(PERIOD + PIECE);
  // xorshift32: the same bytes everywhere, and no short cycle.
  let state = 0x9e3779b9;
  for (let at = 0; at < PERIOD; at++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    bytes[at] = state;
  }
  bytes.copyWithin(PERIOD, 0, PIECE);
  return bytes;
}
