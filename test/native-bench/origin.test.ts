// The two origins that stand behind every peer: whichever a machine has, a scenario must find the same there. Both are
// started as the harness starts them.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import { connect, type Socket } from 'node:net';
import { after, before, test } from 'node:test';
import { SCENARIOS } from '../../native-bench/catalogue.ts';
import { Scope } from '../../native-bench/host/scope.ts';
import {
  bytesPath,
  CHUNKED_BYTES,
  CHUNKED_PATH,
  ECHO_BYTES_MAX,
  ECHO_PATH,
  HEADERS_PATH,
  INSPECT_PATH,
  LARGE_PATH,
  letters,
  MIXED_BYTES,
  REPLY_FIELDS,
  SINK_PATH,
  SINK_REPLY,
  SMALL_PATH,
} from '../../native-bench/origin/content.ts';
import {
  type Origin,
  startNginxOrigin,
  startOrigin,
  startOwnOrigin,
  startSecureOrigin,
} from '../../native-bench/origin/origin.ts';
import { locateNginx } from '../../native-bench/peers/nginx/peer.ts';
import { probeHandshakes, probeReply } from '../../native-bench/probe.ts';

const nginx = locateNginx();
const withoutNginx = 'missing' in nginx ? nginx.missing : false;

const scope = new Scope({ taskset: null, setpriv: null });
/** By name; nginx only where it is installed. */
const origins = new Map<string, Origin>();

before(async () => {
  // Two workers, so that threads sharing a port are what everything below is tried on.
  origins.set('own', await startOwnOrigin(scope, [0, 0]));
  if (withoutNginx === false) origins.set('nginx', await startNginxOrigin(scope, []));
});
after(() => scope.close());

for (const name of ['own', 'nginx']) {
  const skip = name === 'nginx' && withoutNginx;
  const port = (): number => origins.get(name)!.port;

  test(`the origin of ${name} answers every request of every scenario`, { skip }, async () => {
    for (const scenario of SCENARIOS) {
      // Behind TLS or not, what stands before it asks in the clear.
      if (scenario.load.kind === 'http') await probeReply(port(), { load: scenario.load });
    }
  });

  test(`the origin of ${name} frames its replies as scenarios are about`, { skip }, async () => {
    const large = await ask(port(), { path: LARGE_PATH });
    assert.equal(large.reply.headers['content-length'], '1048576');
    const chunked = await ask(port(), { path: CHUNKED_PATH, chunks: [Buffer.alloc(4096), Buffer.alloc(4096)] });
    assert.equal(chunked.reply.headers['transfer-encoding'], 'chunked');
    const { reply } = await ask(port(), { path: HEADERS_PATH });
    const sent = new Map(REPLY_FIELDS.map(([field, value]) => [field.toLowerCase(), value]));
    assert.equal(sent.size, 12);
    for (const [field, value] of sent) assert.equal([reply.headers[field]].flat()[0], value);
    // Server, Date, Content-Type, Content-Length, Connection: what nginx adds, ours does too.
    assert.equal(reply.rawHeaders.length / 2 - sent.size, 5);
  });

  test(`the origin of ${name} answers a POST only when it has come whole`, { skip }, async () => {
    const socket = await dial(port());
    socket.write(`POST ${SINK_PATH} HTTP/1.1\r\nHost: origin\r\nContent-Length: 1000\r\n\r\n${'m'.repeat(999)}`);
    socket.read(0);
    // Time enough to answer somebody else.
    for (let turn = 0; turn < 5; turn++) await ask(port(), { path: SMALL_PATH });
    assert.equal(socket.bytesRead, 0);
    socket.write('m');
    assert.match(await readUntil(socket, SINK_REPLY), /^HTTP\/1\.1 200 /);
    socket.destroy();
  });

  test(`the origin of ${name} tells which forwarding headers came, joined where there are several`, {
    skip,
  }, async () => {
    const headers = { 'X-Forwarded-For': ['10.0.0.1', '10.0.0.2'], Via: '1.1 peer', 'X-Request-ID': 'a b' };
    const { body } = await ask(port(), { path: INSPECT_PATH, headers });
    const expected =
      'x-forwarded-for=10.0.0.1, 10.0.0.2\nx-forwarded-proto=\nx-forwarded-host=\nx-request-id=a b\nvia=1.1 peer\n';
    assert.equal(body.toString(), expected);
    const below = await ask(port(), { path: `/service-0${INSPECT_PATH}`, headers });
    assert.equal(below.body.toString(), expected);
  });

  test(`the origin of ${name} answers in order what is pipelined, and closes when it is asked to`, {
    skip,
  }, async () => {
    const socket = await dial(port());
    const get = (path: string, fields = ''): string => `GET ${path} HTTP/1.1\r\nHost: origin\r\n${fields}\r\n`;
    const closing = 'Connection: close\r\n';
    socket.write(get(LARGE_PATH) + get(SMALL_PATH) + get('/nowhere') + get(SMALL_PATH, closing));
    const said = (await readAll(socket)).toString('latin1');
    const statuses = [...said.matchAll(/HTTP\/1\.1 (\d+) /g)].map(([, status]) => status);
    assert.deepEqual(statuses, ['200', '200', '404', '200']);
    assert.ok(said.indexOf(letters(1_048_576).toString()) < said.indexOf('Content-Length: 129'));
    assert.equal([...said.matchAll(/^Connection: close/gm)].length, 1);
  });
}

test('both origins give the same bytes', { skip: withoutNginx }, async () => {
  const paths = [SMALL_PATH, '/service-999/small', LARGE_PATH, HEADERS_PATH, INSPECT_PATH];
  const asked = [...paths, ...MIXED_BYTES.map(bytesPath)].map((path) => ({ path, chunks: [] as Buffer[] }));
  asked.push({ path: SINK_PATH, chunks: [letters(70_000)] }, { path: CHUNKED_PATH, chunks: [letters(4096)] });
  for (const one of asked) {
    const [own, other] = await Promise.all([...origins.values()].map(({ port }) => ask(port, one)));
    assert.equal(own!.reply.statusCode, 200, one.path);
    assert.ok(own!.body.equals(other!.body), one.path);
  }
});

test('the best origin is nginx where it is installed, and always our own for WebSocket', async () => {
  const plain = await startOrigin(scope, { cores: [], kind: 'plain' });
  assert.equal(plain.version, 'version' in nginx ? nginx.version : `Millrace's own on Node ${process.version}`);
  const { port, version } = await startOrigin(scope, { cores: [], kind: 'websocket' });
  assert.match(version, /own/);
  for (const messageBytes of [0, 1, 125, 126, 128, ECHO_BYTES_MAX]) {
    await probeReply(port, { load: { kind: 'websocket', connections: 1, messageBytes } });
  }
});

test('without a proxy TLS is spoken by nginx, over either version of HTTP', { skip: withoutNginx }, async () => {
  for (const setup of ['https', 'h2'] as const) {
    const origin = await startSecureOrigin(scope, [], setup);
    assert.ok(origin !== null);
    await probeHandshakes(origin.port, setup);
    for (const scenario of SCENARIOS) if (scenario.setup === setup) await probeReply(origin.port, scenario);
    await scope.stop(origin.child);
  }
});

test('sizes are those of a log-normal distribution around 8 KiB, up to 1 MiB', () => {
  assert.equal(new Set(MIXED_BYTES).size, 64);
  assert.deepEqual(
    [...MIXED_BYTES].sort((a, b) => a - b),
    MIXED_BYTES,
  );
  assert.equal(Math.round(Math.sqrt(MIXED_BYTES[31]! * MIXED_BYTES[32]!) / 100), 82);
  assert.ok(MIXED_BYTES[0]! > 32 && MIXED_BYTES.at(-1)! < 1_048_576 && MIXED_BYTES.at(-1)! > 1_000_000);
});

test('WebSocket frames may come in pieces and many at once', async () => {
  const socket = await upgrade();
  const frames = Buffer.concat([frame(0x82, 'first'), frame(0x89, 'ping'), frame(0x8a, 'pong'), frame(0x81, 'second')]);
  for (const byte of frames.subarray(0, 20)) {
    socket.write(Buffer.of(byte));
    await new Promise((resolve) => setImmediate(resolve));
  }
  socket.write(frames.subarray(20));
  assert.equal((await readUntil(socket, 'second')).replaceAll(/[^ -~]/g, '|'), '||first||ping||second');
  socket.write(frame(0x88, '\x03\xe8'));
  assert.deepEqual(await readAll(socket), Buffer.of(0x88, 2, 0x03, 0xe8));
});

for (const [why, bytes, code] of [
  ['without a mask', Buffer.of(0x82, 1, 65), 1002],
  ['in fragments', frame(0x02, 'part'), 1003],
  ['of an unknown kind', frame(0x83, ''), 1003],
  ['that is too long', Buffer.of(0x82, 0xff), 1009],
  ['with a ping that is too long', Buffer.of(0x89, 0xfe, 0, 200), 1002],
] as const) {
  test(`a WebSocket frame ${why} is answered with code ${code}`, async () => {
    const socket = await upgrade();
    socket.write(bytes);
    assert.deepEqual(await readAll(socket), Buffer.of(0x88, 2, code >> 8, code & 0xff));
  });
}

test('our origin refuses what is not HTTP, and outlives who goes away', async () => {
  const { port } = origins.get('own')!;
  const nonsense = await dial(port);
  nonsense.write('nonsense\r\n\r\n');
  assert.match((await readAll(nonsense)).toString(), /^HTTP\/1\.1 400 /);
  const hasty = await dial(port);
  hasty.write(`GET ${LARGE_PATH} HTTP/1.1\r\nHost: origin\r\n\r\n`);
  await once(hasty, 'readable');
  hasty.resetAndDestroy();
  const { body } = await ask(port, { path: CHUNKED_PATH, chunks: [] });
  assert.equal(body.length, CHUNKED_BYTES);
});

test('an origin whose port is taken says so and ends', async () => {
  const { port } = origins.get('own')!;
  const closing = new Scope({ taskset: null, setpriv: null });
  const script = new URL('../../native-bench/origin/own/main.ts', import.meta.url).pathname;
  const child = closing.start('second', { command: process.execPath, args: [script, String(port), '1'], cores: [] });
  await child.exited;
  assert.match(child.stderr, /EADDRINUSE/);
  await closing.close();
});

interface Asked {
  readonly path: string;
  /** A POST in these chunks; a GET without. */
  readonly chunks?: readonly Buffer[];
  readonly headers?: Readonly<Record<string, string | string[]>>;
}

async function ask(
  port: number,
  { path, chunks, headers = {} }: Asked,
): Promise<{ reply: IncomingMessage; body: Buffer }> {
  const method = chunks === undefined || chunks.length === 0 ? 'GET' : 'POST';
  const sent = request({ host: '127.0.0.1', port, path, method, headers, agent: false });
  for (const chunk of chunks ?? []) sent.write(chunk);
  sent.end();
  const [reply] = (await once(sent, 'response')) as [IncomingMessage];
  const pieces: Buffer[] = [];
  for await (const piece of reply) pieces.push(piece as Buffer);
  return { reply, body: Buffer.concat(pieces) };
}

async function dial(port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  await once(socket, 'connect');
  return socket;
}

/** A connection to our origin on which WebSocket is spoken. The key and its answer are those of RFC 6455 1.3. */
async function upgrade(): Promise<Socket> {
  const socket = await dial(origins.get('own')!.port);
  const fields = ['Host: origin', 'Upgrade: websocket', 'Connection: Upgrade', 'Sec-WebSocket-Version: 13'];
  socket.write(
    `GET ${ECHO_PATH} HTTP/1.1\r\n${fields.join('\r\n')}\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n`,
  );
  assert.match(await readUntil(socket, '\r\n\r\n'), /Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK\+xOo=/);
  return socket;
}

/** A masked frame with a short payload. */
function frame(first: number, payload: string): Buffer {
  const mask = Buffer.of(1, 2, 3, 4);
  const bytes = Buffer.from(payload, 'latin1').map((byte, index) => byte ^ mask[index & 3]!);
  return Buffer.concat([Buffer.of(first, 0x80 | bytes.length), mask, bytes]);
}

async function readUntil(socket: Socket, end: string): Promise<string> {
  let text = '';
  while (!text.includes(end)) {
    const piece = socket.read() as Buffer | null;
    if (piece === null) await once(socket, 'readable');
    else text += piece.toString('latin1');
  }
  return text;
}

async function readAll(socket: Socket): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of socket) pieces.push(piece as Buffer);
  return Buffer.concat(pieces);
}
