// Bytes leave when they arrive, a slow side pauses the other one, and an exception costs one exchange alone.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import type { Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { createLog } from '../../lib/base/log.ts';
import { buildSnapshot } from '../../lib/config/build.ts';
import { readConfiguration } from '../../lib/config/read.ts';
import type { Action, Exchange } from '../../lib/http/exchange.ts';
import { proxied } from '../../lib/http/proxy.ts';
import type { Sink } from '../../lib/http/sink.ts';
import { slabsInUse } from '../../lib/io/slab.ts';
import { compileTable } from '../../lib/route/table.ts';
import { Server } from '../../lib/server/server.ts';
import type { RequestHead } from '../../lib/wire/http1/head.ts';
import { idleParsers } from '../../lib/wire/http1/parser.ts';
import { ask, fieldOf, reply, replying, request, unchunk } from '../support/http.ts';
import { startOrigin } from '../support/origin.ts';
import { connectPeer, type Peer } from '../support/peer.ts';
import { httpTo, startProxy } from '../support/proxy.ts';

const LAST = 'Connection: close';
const MIB = 1024 * 1024;

const STREAMS: [string, string, (piece: string) => string][] = [
  [
    'chunked',
    'Content-Type: text/event-stream\r\nTransfer-Encoding: chunked',
    (it) => `${it.length.toString(16)}\r\n${it}\r\n`,
  ],
  ['with a length', 'Content-Length: 600', (it) => it],
  ['delimited by close', 'X-None: 1', (it) => it],
];

for (const [kind, line, frame] of STREAMS) {
  test(`each piece of a reply that is ${kind} is passed on when it arrives`, async (t) => {
    const origin = await startOrigin(t);
    const proxy = await startProxy(t, httpTo([origin.address]));
    const client = await connectPeer(t, proxy.port('web'));
    client.send(request('GET /events'));
    const peer = await origin.peer(0);
    await peer.receive('\r\n\r\n');
    peer.send(`HTTP/1.1 200 OK\r\n${line}\r\n\r\n`);
    await client.receive('\r\n\r\n');
    for (let number = 0; number < 20; number++) {
      const piece = `data: ${number}\n\n`;
      peer.send(frame(piece));
      // Were it held back, the next one would never be sent.
      await client.receive(piece);
    }
  });
}

test('each piece of a request body is passed on when it arrives', async (t) => {
  const origin = await startOrigin(t);
  const proxy = await startProxy(t, httpTo([origin.address]));
  for (const [turn, line] of ['Transfer-Encoding: chunked', 'Content-Length: 600'].entries()) {
    const client = await connectPeer(t, proxy.port('web'));
    client.send(request('POST /', [line]));
    const peer = await origin.peer(turn);
    await peer.receive('\r\n\r\n');
    for (let number = 0; number < 20; number++) {
      const piece = `piece ${number};`;
      client.send(turn === 0 ? `${piece.length.toString(16)}\r\n${piece}\r\n` : piece);
      await peer.receive(piece);
    }
  }
});

test('request and reply flow at the same time, chunk for chunk', async (t) => {
  const origin = await startOrigin(t, (peer) => {
    let answered = false;
    let from = 0;
    peer.socket.on('data', () => {
      if (!answered) peer.send('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n');
      answered = true;
      if (from === 0) from = peer.text.indexOf('\r\n\r\n') + 4;
      peer.send(peer.text.slice(from));
      from = peer.text.length;
    });
  });
  const proxy = await startProxy(t, httpTo([origin.address]));
  const client = await connectPeer(t, proxy.port('web'));
  client.send(request('POST /', ['Transfer-Encoding: chunked']));
  for (let number = 0; number < 20; number++) {
    client.send(`3\r\n${100 + number}\r\n`);
    await client.receive(`3\r\n${100 + number}\r\n`);
  }
  client.send('0\r\n\r\n');
  await client.receive('0\r\n\r\n');
  // Both were whole, so both connections go on.
  const [cluster] = proxy.snapshot.clusters.values();
  assert.equal(cluster!.endpoints[0]!.pool.idle, 1);
  assert.equal(client.ended, false);
});

/** Body bytes that tell their own place, so that a piece lost or sent twice is seen. */
function pattern(bytes: number): Buffer {
  const body = Buffer.alloc(bytes);
  for (let at = 0; at + 4 <= bytes; at += 4) body.writeUInt32LE(at, at);
  return body;
}

/** Writes `body` as fast as the kernel takes it, and resolves to how much it has taken when it takes no more. */
async function push(socket: Socket, body: Buffer): Promise<number> {
  const before = socket.bytesWritten - socket.writableLength;
  let at = 0;
  const more = (): void => {
    while (at < body.length) {
      const piece = body.subarray(at, at + 65536);
      at += piece.length;
      if (!socket.write(piece)) return void socket.once('drain', more);
    }
  };
  more();
  const taken = (): number => socket.bytesWritten - socket.writableLength - before;
  let last = -1;
  for (let quiet = 0; quiet < 3; ) {
    await new Promise((resolve) => setTimeout(resolve, 100));
    quiet = taken() === last ? quiet + 1 : 0;
    last = taken();
    if (last >= body.length) break;
  }
  return last;
}

/** Everything a socket receives from now on, as a hash and a count; resolves when there are this many bytes. */
function digest(socket: Socket, bytes: number): Promise<string> {
  const hash = createHash('sha1');
  let seen = 0;
  return new Promise((resolve) => {
    socket.on('data', (chunk: Buffer) => {
      hash.update(chunk);
      seen += chunk.length;
      if (seen === bytes) resolve(hash.digest('hex'));
    });
  });
}

test('a client that does not read pauses the origin, and then gets every byte', async (t) => {
  const body = pattern(64 * MIB);
  const sum = createHash('sha1').update(body).digest('hex');
  const origin = await startOrigin(t);
  const proxy = await startProxy(t, httpTo([origin.address]));
  const client = await connectPeer(t, proxy.port('web'));
  client.send(request('GET /'));
  const peer = await origin.peer(0);
  await peer.receive('\r\n\r\n');
  peer.send(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n`);
  await client.receive('\r\n\r\n');
  client.socket.pause();
  client.socket.removeAllListeners('data');
  const slabs = slabsInUse();
  const taken = await push(peer.socket, body);
  // What the kernel holds on four sockets; nothing near the whole.
  assert.ok(taken < 32 * MIB, `${taken} bytes`);
  assert.ok(slabsInUse() - slabs <= 8, `${slabsInUse() - slabs} slabs`);
  const received = digest(client.socket, body.length);
  client.socket.resume();
  assert.equal(await received, sum);
});

test('an origin that does not read pauses the client, and then gets every byte', async (t) => {
  const body = pattern(64 * MIB);
  const sum = createHash('sha1').update(body).digest('hex');
  const origin = await startOrigin(t);
  const proxy = await startProxy(t, httpTo([origin.address]));
  const client = await connectPeer(t, proxy.port('web'));
  client.send(request('POST /', [`Content-Length: ${body.length}`]));
  const peer = await origin.peer(0);
  await peer.receive('\r\n\r\n');
  peer.socket.pause();
  peer.socket.removeAllListeners('data');
  const slabs = slabsInUse();
  const taken = await push(client.socket, body);
  assert.ok(taken < 32 * MIB, `${taken} bytes`);
  assert.ok(slabsInUse() - slabs <= 8, `${slabsInUse() - slabs} slabs`);
  const received = digest(peer.socket, body.length);
  peer.socket.resume();
  assert.equal(await received, sum);
  peer.send(reply('thanks'));
  await client.receive('thanks');
});

test('chunked bodies of any size come through whole in both directions at once', async (t) => {
  const size = 6 * MIB;
  const origin = await startOrigin(t, (peer) => {
    // Not the text of the peer, which would be searched again and again: an echo with backpressure.
    peer.socket.removeAllListeners('data');
    peer.socket.once('data', (first: Buffer) => {
      const cut = first.indexOf('\r\n\r\n') + 4;
      peer.send('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n');
      peer.socket.write(first.subarray(cut));
      peer.socket.pipe(peer.socket, { end: false });
    });
  });
  const proxy = await startProxy(t, httpTo([origin.address]));
  const client = await connectPeer(t, proxy.port('web'));
  const parts: Buffer[] = [];
  client.socket.removeAllListeners('data');
  client.socket.pause();
  const body = pattern(size);
  client.send(request('POST /', ['Transfer-Encoding: chunked']));
  for (let at = 0, piece = 1; at < size; at += piece, piece = (piece * 7) % 99_991) {
    const bytes = body.subarray(at, at + piece);
    client.send(`${bytes.length.toString(16)};x=y\r\n`);
    client.socket.write(bytes);
    client.send('\r\n');
  }
  client.send('0\r\n\r\n');
  // Until the reply is stuck: then both directions have to get going again.
  await new Promise((resolve) => setTimeout(resolve, 300));
  const whole = new Promise<void>((resolve) => {
    client.socket.on('data', (chunk: Buffer) => {
      parts.push(chunk);
      if (chunk.subarray(-5).toString('latin1') === '0\r\n\r\n') resolve();
    });
  });
  client.socket.resume();
  await whole;
  const text = Buffer.concat(parts).toString('latin1');
  const { payload } = unchunk(text.slice(text.indexOf('\r\n\r\n') + 4));
  assert.ok(Buffer.from(payload, 'latin1').equals(body));
});

test('pipelined requests of a client that does not read are not answered into memory', async (t) => {
  const document = httpTo(['127.0.0.1:1']).replace(
    '{ cluster: api }',
    `{ respond: { body: "${'x'.repeat(60_000)}" } }`,
  );
  const proxy = await startProxy(t, document);
  const client = await connectPeer(t, proxy.port('web'));
  client.socket.removeAllListeners('data');
  client.socket.pause();
  const slabs = slabsInUse();
  const count = 1000;
  client.send(request('GET /').repeat(count - 1) + request('GET /', [LAST]));
  await new Promise((resolve) => setTimeout(resolve, 300));
  assert.ok(slabsInUse() - slabs <= 8, `${slabsInUse() - slabs} slabs`);
  let replies = 0;
  const ended = new Promise((resolve) => client.socket.on('end', resolve));
  client.socket.on('data', (chunk: Buffer) => {
    for (let at = chunk.indexOf('H'); at >= 0; at = chunk.indexOf('H', at + 1)) {
      if (chunk[at + 1] === undefined || chunk[at + 1] === 0x54) replies++;
    }
  });
  client.socket.resume();
  await ended;
  assert.ok(Math.abs(replies - count) <= 2, `${replies} replies`);
});

test('a client that stops reading for good is dropped, and its origin is told', async (t) => {
  const origin = await startOrigin(t);
  const proxy = await startProxy(t, httpTo([origin.address], 'timeouts: { body: 200ms }'));
  const client = await connectPeer(t, proxy.port('web'));
  client.send(request('GET /'));
  const peer = await origin.peer(0);
  await peer.receive('\r\n\r\n');
  client.socket.pause();
  peer.send(`HTTP/1.1 200 OK\r\nContent-Length: ${64 * MIB}\r\n\r\n`);
  void push(peer.socket, Buffer.alloc(64 * MIB));
  await peer.until(() => peer.closed, 'the proxy to give up');
});

/** The proxy with an action of ours instead of what the routes say. */
async function startWith(t: TestContext, make: (original: Action) => Action, origin = '127.0.0.1:1') {
  const read = await readConfiguration(httpTo([origin]), 'test.yaml');
  assert.ok('configuration' in read);
  const lines: Record<string, unknown>[] = [];
  const log = createLog({
    level: 'debug',
    format: 'json',
    colours: false,
    write: (line) => lines.push(JSON.parse(line)),
    now: Date.now,
  });
  const snapshot = buildSnapshot(read.configuration, log);
  const action = make(proxied(snapshot.clusters.get('api')!, log));
  const routes = compileTable([{ match: undefined, value: { action, rewrite: null } }] as never) as never;
  const server = await Server.start(
    { ...snapshot, listeners: snapshot.listeners.map((plan) => ({ ...plan, routes })) },
    log,
  );
  assert.ok(server instanceof Server);
  t.after(() => server.close());
  const port = Number(server.addresses[0]!.address.split(':').at(-1));
  return { port, lines, snapshot };
}

const THROWS = ['begin', 'head', 'data', 'end'] as const;

for (const where of THROWS) {
  test(`an exception in ${where} of an action ends that exchange with 502, and the proxy goes on`, async (t) => {
    const started = await startWith(t, () => ({
      begin(exchange: Exchange): Sink<RequestHead> {
        const boom = (place: (typeof THROWS)[number]): true => {
          if (place === where && exchange.method === 3) throw new Error(`boom in ${where}`);
          return true;
        };
        boom('begin');
        return {
          head: (_, last) => {
            if (last)
              exchange.reply.abort({
                code: 'no_route',
                kind: { side: 'proxy', status: 404, retry: 'never', text: 'no' },
                detail: '',
              });
            return boom('head');
          },
          data: () => boom('data'),
          end: () => void boom('end'),
          abort: () => {},
        };
      },
    }));
    const parsers = idleParsers();
    const text = await ask(t, started.port, request('POST /', [LAST, 'Content-Length: 4'], 'body'));
    assert.match(text, /^HTTP\/1\.1 502 Bad Gateway\r\n/);
    assert.doesNotMatch(text, /boom/);
    const line = started.lines.find((entry) => entry['message'] === 'exchange failed');
    assert.match(String(line?.['error']), new RegExp(`boom in ${where}[\\s\\S]*http-streaming\\.test\\.ts`));
    assert.equal(line?.['request'], fieldOf(text, 'X-Request-Id'));
    assert.match(await ask(t, started.port, request('GET /', [LAST])), /^HTTP\/1\.1 404 /);
    assert.ok(idleParsers() >= parsers, 'parsers come back');
  });
}

test('an exception while a reply is passed on ends that exchange, and the proxy goes on', async (t) => {
  for (const where of ['head', 'data', 'end'] as const) {
    const origin = await startOrigin(t, replying(reply('hi')));
    let armed = true;
    const boom = (place: string): void => {
      if (place === where && armed) throw new Error('boom in the reply');
    };
    const started = await startWith(
      t,
      (original) => ({ begin: (exchange) => original.begin(throwing(exchange, boom)) }),
      origin.address,
    );
    const client = await connectPeer(t, started.port);
    client.send(request('GET /', [LAST]));
    await client.until(() => client.closed || client.ended, 'the end');
    if (where === 'head') assert.match(client.text, /^HTTP\/1\.1 502 /);
    else assert.equal(client.error?.code, 'ECONNRESET', 'the head was on its way');
    assert.ok(started.lines.some((line) => JSON.stringify(line).includes('boom in the reply')));
    // Only at the end the connection is whole again, and kept.
    assert.equal(started.snapshot.clusters.get('api')!.endpoints[0]!.pool.open, where === 'end' ? 1 : 0);
    assert.equal(started.snapshot.clusters.get('api')!.endpoints[0]!.active, 0);
    armed = false;
    assert.match(await ask(t, started.port, request('GET /', [LAST])), /hi$/);
  }
});

/** The same exchange, whose reply calls `boom` first. */
function throwing(exchange: Exchange, boom: (place: string) => void): Exchange {
  const { reply: to } = exchange;
  return {
    ...exchange,
    get client() {
      return exchange.client;
    },
    id: () => exchange.id(),
    putId: (at) => exchange.putId(at),
    reply: {
      source: null,
      added: '',
      head: (head, last) => {
        boom('head');
        return to.head(head, last);
      },
      data: (bytes, start, end) => {
        boom('data');
        return to.data(bytes, start, end);
      },
      end: (trailers) => {
        boom('end');
        to.end(trailers);
      },
      abort: (error) => to.abort(error),
      tunnel: (upstream, start, end, ended) => to.tunnel(upstream, start, end, ended),
    },
  };
}

test('parsers and slabs come back after everything that can happen to an exchange', async (t) => {
  const origin = await startOrigin(t, replying(reply('hi')));
  const proxy = await startProxy(t, httpTo([origin.address]));
  const one = async (): Promise<void> => {
    const clients: Peer[] = [];
    for (const bytes of [
      request('GET /'),
      request('GET /').slice(0, 20),
      request('POST /', ['Content-Length: 9'], 'half'),
      'nonsense\r\n\r\n',
      request('POST /', ['Transfer-Encoding: chunked'], 'zz\r\n'),
    ]) {
      const client = await connectPeer(t, proxy.port('web'));
      client.send(bytes);
      clients.push(client);
    }
    await clients[0]!.receive('hi');
    await clients[3]!.receiveAll();
    await clients[4]!.receiveAll();
    for (const client of clients) client.socket.destroy();
    while (proxy.server.open > 0) await new Promise((resolve) => setImmediate(resolve));
  };
  await one();
  const parsers = idleParsers();
  const slabs = slabsInUse();
  for (let turn = 0; turn < 5; turn++) await one();
  assert.equal(idleParsers(), parsers);
  assert.equal(slabsInUse(), slabs);
});
