// HTTP/2 towards clients: what honest ones get, and what becomes of those that are not.

import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { statSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Certificates } from '../support/certificates.ts';
import { reply, replying } from '../support/http.ts';
import { ask, frame, GET_BLOCK, http2Client, PREFACE, RawHttp2 } from '../support/http2.ts';
import { startOrigin } from '../support/origin.ts';
import { findProgram, pause, ROOT, run } from '../support/process.ts';
import { httpTo, startProxy, type TestProxy } from '../support/proxy.ts';

const MIB = 1024 * 1024;

/** A proxy before a server of Node's. */
async function before(
  t: TestContext,
  handle: (request: IncomingMessage, response: ServerResponse) => void,
  listener = '',
): Promise<TestProxy> {
  const server = createServer(handle);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return startProxy(t, httpTo([`127.0.0.1:${(server.address() as AddressInfo).port}`], listener));
}

function echo(request: IncomingMessage, response: ServerResponse): void {
  const pieces: Buffer[] = [];
  request.on('data', (piece) => pieces.push(piece));
  request.on('end', () => {
    const body = Buffer.concat(pieces);
    const { method, url, headers, trailers } = request;
    const sum = createHash('sha256').update(body).digest('hex');
    response.end(JSON.stringify({ method, url, headers, trailers, length: body.length, sum }));
  });
}

test('requests of all kinds arrive as HTTP/1.1 would have them, many at a time', async (t) => {
  const proxy = await before(t, echo);
  const client = http2Client(t, proxy.port('web'));
  const plain = await ask(client, { ':path': '/a?b=c', cookie: ['x=1', 'y=2'], 'x-own': 'v' });
  assert.equal(plain.status, 200);
  const seen = JSON.parse(plain.body.toString());
  assert.equal(seen.method, 'GET');
  assert.equal(seen.url, '/a?b=c');
  assert.equal(seen.headers.host, `127.0.0.1:${proxy.port('web')}`);
  assert.equal(seen.headers.cookie, 'x=1; y=2');
  assert.equal(seen.headers['x-own'], 'v');
  assert.equal(seen.headers.via, '2.0 millrace');
  assert.equal(plain.fields['connection'], undefined);
  // Node's client gives up when it holds more than 10 MB.
  const body = randomBytes(MIB / 2);
  const sum = createHash('sha256').update(body).digest('hex');
  const answers = await Promise.all(
    Array.from({ length: 200 }, (_, at) =>
      at % 20 === 0
        ? ask(client, { ':method': 'POST', ':path': `/${at}` }, body)
        : ask(client, { ':method': 'PUT', ':path': `/${at}`, 'content-length': '5' }, 'hello'),
    ),
  );
  for (const [at, answer] of answers.entries()) {
    assert.equal(`${answer.status} ${answer.reset}`, '200 0', `${at}`);
    const got = JSON.parse(answer.body.toString());
    assert.equal(got.url, `/${at}`);
    if (at % 20 === 0) assert.equal(got.sum, sum);
    else assert.equal(got.length, 5);
  }
  const head = await ask(client, { ':method': 'HEAD', ':path': '/' });
  assert.equal(head.status, 200);
  assert.equal(head.body.length, 0);
});

test('large replies arrive whole on many streams at once, with and without a length', async (t) => {
  const body = randomBytes(2 * MIB);
  const proxy = await before(t, (request, response) => {
    if (request.url === '/sized') response.setHeader('Content-Length', body.length);
    response.end(body);
  });
  const client = http2Client(t, proxy.port('web'), { settings: { initialWindowSize: 20_000 } });
  const answers = await Promise.all(
    Array.from({ length: 12 }, (_, at) => ask(client, { ':path': at % 2 === 0 ? '/sized' : '/chunked' })),
  );
  for (const answer of answers) assert.ok(answer.body.equals(body));
});

test('a stream that is not read holds back neither the others nor memory', async (t) => {
  let sent = 0;
  const proxy = await before(t, (request, response) => {
    if (request.url === '/small') return void response.end('small');
    const piece = Buffer.alloc(64 * 1024);
    const write = (): void => {
      while (!response.destroyed && sent < 200 * MIB) {
        sent += piece.length;
        if (!response.write(piece)) return void response.once('drain', write);
      }
    };
    write();
  });
  const client = http2Client(t, proxy.port('web'));
  const stream = client.request({ ':path': '/endless' });
  stream.on('error', () => {});
  await new Promise((resolve) => stream.once('response', resolve));
  stream.pause();
  for (let round = 0; round < 20; round++) {
    assert.equal((await ask(client, { ':path': '/small' })).body.toString(), 'small');
  }
  // What the kernel keeps on the way, and no more.
  assert.ok(sent < 32 * MIB, `${sent} bytes`);
  stream.close();
});

test('an upload that the origin does not read is stopped by its window, and the others go on', async (t) => {
  const proxy = await before(t, (request, response) => {
    if (request.url === '/small') response.end('small');
    else request.pause();
  });
  const client = http2Client(t, proxy.port('web'));
  const stream = client.request({ ':method': 'POST', ':path': '/held' });
  stream.on('error', () => {});
  let taken = 0;
  const piece = Buffer.alloc(64 * 1024);
  const push = (): void => {
    if (taken < 64 * MIB && !stream.destroyed)
      stream.write(piece, () => {
        taken += piece.length;
        push();
      });
  };
  push();
  await pause(300);
  assert.equal((await ask(client, { ':path': '/small' })).body.toString(), 'small');
  assert.ok(taken < 32 * MIB, `${taken} bytes`);
  stream.close();
});

test('what is wrong with a request is answered on its stream alone', async (t) => {
  const proxy = await before(t, echo, 'limits: { bodyBytes: 1KiB }');
  const client = http2Client(t, proxy.port('web'));
  assert.equal((await ask(client, { ':method': 'BREW', ':path': '/' })).status, 501);
  assert.equal((await ask(client, { ':path': '/', 'x-large': 'x'.repeat(20_000) })).status, 431);
  assert.equal((await ask(client, { ':path': '/', ':authority': 'a b' })).status, 400);
  assert.equal(
    (await ask(client, { ':method': 'POST', ':path': '/', 'content-length': '2000' }, 'x'.repeat(2000))).status,
    413,
  );
  assert.equal((await ask(client, { ':method': 'POST', ':path': '/' }, 'x'.repeat(5000))).status, 413);
  assert.equal((await ask(client, { ':path': '/fine' })).status, 200);
});

test('a body of another length than announced never reaches the origin as a whole request', async (t) => {
  let whole = 0;
  const proxy = await before(t, (request, response) => {
    request.on('data', () => {});
    request.on('error', () => {});
    request.on('end', () => {
      whole++;
      response.end();
    });
  });
  for (const [announced, body] of [
    ['4', 'hello'],
    ['6', 'hello'],
  ] as const) {
    const raw = new RawHttp2(t, proxy.port('web'));
    const length = Buffer.concat([Buffer.from('0f0d01', 'hex'), Buffer.from(announced)]);
    const fixed = Buffer.concat([Buffer.from('8386840106', 'hex'), Buffer.from('a.test'), length]);
    raw.send(PREFACE, frame(1, 4, 1, fixed), frame(0, 1, 1, Buffer.from(body)));
    const reset = await raw.until(({ type, stream }) => type === 3 && stream === 1);
    assert.equal(reset?.payload.readUInt32BE(0), 1, announced);
  }
  assert.equal(whole, 0);
});

test('broken protocol ends the connection with the reason that RFC 9113 names', async (t) => {
  const origin = await startOrigin(t, replying(reply('fine')));
  const proxy = await startProxy(t, httpTo([origin.address]));
  const open = frame(1, 5, 1, GET_BLOCK);
  const cases: [string, number, Buffer[]][] = [
    ['no SETTINGS first', 1, [PREFACE.subarray(0, 24), frame(6, 0, 0, '0000000000000000')]],
    ['DATA on stream 0', 1, [PREFACE, frame(0, 0, 0, '00')]],
    ['DATA on an idle stream', 1, [PREFACE, frame(0, 0, 1, '00')]],
    ['an even stream', 1, [PREFACE, frame(1, 5, 2, GET_BLOCK)]],
    ['a frame that is too large', 6, [PREFACE, frame(0, 0, 1, Buffer.alloc(16_385))]],
    ['PING of 7 bytes', 6, [PREFACE, frame(6, 0, 0, '00000000000000')]],
    ['SETTINGS of 5 bytes', 6, [PREFACE, frame(4, 0, 0, '0000000000')]],
    ['a window that is too large', 3, [PREFACE, frame(8, 0, 0, '7fffffff')]],
    ['a window opened by nothing', 1, [PREFACE, frame(8, 0, 0, '00000000')]],
    [
      'a frame within a block',
      1,
      [PREFACE, frame(1, 1, 1, GET_BLOCK.subarray(0, 3)), frame(6, 0, 0, '0000000000000000')],
    ],
    ['CONTINUATION of nothing', 1, [PREFACE, frame(9, 4, 1, GET_BLOCK)]],
    ['PUSH_PROMISE', 1, [PREFACE, frame(5, 4, 1, Buffer.concat([Buffer.from([0, 0, 0, 2]), GET_BLOCK]))]],
    [
      'a stream that depends on itself',
      1,
      [PREFACE, frame(1, 0x25, 1, Buffer.concat([Buffer.from([0, 0, 0, 1, 0]), GET_BLOCK]))],
    ],
    ['more padding than payload', 1, [PREFACE, open, frame(0, 8, 3, 'ff00')]],
    ['a block that cannot be decompressed', 9, [PREFACE, frame(1, 5, 1, 'ff')]],
    ['RST_STREAM of an idle stream', 1, [PREFACE, frame(3, 0, 1, '00000008')]],
  ];
  for (const [name, reason, frames] of cases) {
    const raw = new RawHttp2(t, proxy.port('web'));
    raw.send(...frames);
    assert.equal(await raw.ended(), reason, name);
  }
});

test('floods are shown out: resets, CONTINUATION, settings, pings, empty frames, headers without end', async (t) => {
  const origin = await startOrigin(t);
  const proxy = await startProxy(t, httpTo([origin.address]));
  const CALM = 11;
  const many = (times: number, make: (at: number) => Buffer) => Array.from({ length: times }, (_, at) => make(at));
  const cases: [string, Buffer[]][] = [
    [
      'rapid reset',
      many(2000, (at) => Buffer.concat([frame(1, 5, at * 2 + 1, GET_BLOCK), frame(3, 0, at * 2 + 1, '00000008')])),
    ],
    ['CONTINUATION', [frame(1, 1, 1, GET_BLOCK), ...many(40, () => frame(9, 0, 1))]],
    ['headers without end', [frame(1, 1, 1, GET_BLOCK), ...many(16, () => frame(9, 0, 1, Buffer.alloc(16_000, 0x88)))]],
    ['settings', many(4000, () => frame(4, 0, 0, '000300000064'))],
    ['pings', many(4000, () => frame(6, 0, 0, '0000000000000000'))],
    ['empty DATA', [frame(1, 4, 1, GET_BLOCK), ...many(4000, () => frame(0, 0, 1))]],
    ['priorities', many(4000, (at) => frame(2, 0, at * 2 + 1, '0000000010'))],
    ['windows', [frame(1, 4, 1, GET_BLOCK), ...many(4000, () => frame(8, 0, 1, '00000001'))]],
    ['unknown frames', many(4000, () => frame(99, 0, 0))],
  ];
  for (const [name, frames] of cases) {
    const raw = new RawHttp2(t, proxy.port('web'));
    raw.send(PREFACE, ...frames);
    assert.equal(await raw.ended(), CALM, name);
  }
  // Every endpoint that was asked for nothing has been let go.
  assert.equal((await ask(http2Client(t, proxy.port('web')), { ':method': 'BREW', ':path': '/' })).status, 501);
});

test('more streams than allowed are refused, to be asked again, and those that are open go on', async (t) => {
  const origin = await startOrigin(t);
  const proxy = await startProxy(t, httpTo([origin.address]));
  const raw = new RawHttp2(t, proxy.port('web'));
  raw.send(PREFACE, ...Array.from({ length: 130 }, (_, at) => frame(1, 5, at * 2 + 1, GET_BLOCK)));
  const refused = await raw.until(({ type, stream }) => type === 3 && stream === 257);
  assert.equal(refused?.payload.readUInt32BE(0), 7);
  assert.equal(raw.frames.filter(({ type }) => type === 3).length, 2);
  assert.ok(!raw.closed);
});

test('frames that arrive byte by byte are the same frames', async (t) => {
  const proxy = await before(t, echo);
  const raw = new RawHttp2(t, proxy.port('web'));
  raw.socket.setNoDelay(true);
  const post = Buffer.concat([Buffer.from('8386840106', 'hex'), Buffer.from('a.test')]);
  const bytes = Buffer.concat([
    PREFACE,
    frame(1, 0x2c & ~4, 1, Buffer.concat([Buffer.from([3, 0, 0, 0, 0, 9]), post.subarray(0, 2), Buffer.alloc(3)])),
    frame(9, 4, 1, post.subarray(2)),
    frame(0, 8, 1, Buffer.concat([Buffer.from([4]), Buffer.from('hel'), Buffer.alloc(4)])),
    frame(0, 1, 1, Buffer.from('lo')),
  ]);
  // The first read tells the version; after that anything may be cut anywhere.
  raw.socket.write(bytes.subarray(0, 24));
  for (const byte of bytes.subarray(24)) {
    raw.socket.write(Buffer.from([byte]));
    await new Promise((resolve) => setImmediate(resolve));
  }
  await raw.until(({ type, flags, stream }) => type === 0 && stream === 1 && (flags & 1) === 1);
  const body = Buffer.concat(raw.frames.filter(({ type }) => type === 0).map(({ payload }) => payload));
  assert.equal(JSON.parse(body.toString()).length, 5);
});

test('a client that goes away takes its requests with it', async (t) => {
  const origin = await startOrigin(t);
  const proxy = await startProxy(t, httpTo([origin.address]));
  const client = http2Client(t, proxy.port('web'));
  const stream = client.request({ ':path': '/' });
  stream.on('error', () => {});
  const peer = await origin.peer(0);
  stream.close(8);
  await peer.closed;
  const second = client.request({ ':path': '/' });
  second.on('error', () => {});
  const other = await origin.peer(1);
  client.destroy();
  await other.closed;
});

test('draining tells clients by GOAWAY, and what is under way ends whole', async (t) => {
  let finish = (): void => {};
  const proxy = await before(t, (_, response) => {
    response.write('begun, ');
    finish = () => response.end('done');
  });
  const client = http2Client(t, proxy.port('web'));
  const gone = new Promise((resolve) => client.once('goaway', resolve));
  const answer = ask(client, { ':path': '/' });
  while (finish.name === '') await pause(5);
  await pause(50);
  const drained = proxy.server.drain(10_000);
  assert.equal(await gone, 0);
  finish();
  assert.equal((await answer).body.toString(), 'begun, done');
  await drained;
});

test('curl speaks HTTP/2 with us, to both kinds of upload and to large replies', async (t) => {
  const curl = findProgram('curl', 'curl');
  if (curl === null) return t.skip('curl is not installed');
  const proxy = await before(t, echo);
  const url = `http://127.0.0.1:${proxy.port('web')}/x`;
  const args = ['-s', '--http2-prior-knowledge', '-w', '\n%{http_version} %{http_code}'];
  const sized = await run(t, curl, [...args, '--data-binary', '@package-lock.json', url]);
  assert.match(sized.out, /\n2 200$/);
  assert.match(sized.out, /"content-length":"\d+"/);
});

test('h2load gets every reply over TLS, with many streams on few connections', async (t) => {
  const h2load = findProgram('h2load', 'nghttp2-client');
  if (h2load === null) return t.skip('h2load is not installed');
  const own = new Certificates(t).leaf(['localhost']);
  const tls = `tls: { certificates: [{ cert: ${own.certFile}, key: ${own.keyFile} }] }`;
  const proxy = await before(t, (_request, response) => response.end('x'.repeat(3000)), tls);
  const url = `https://127.0.0.1:${proxy.port('web')}/`;
  const { out } = await run(t, h2load, ['-n', '3000', '-c', '4', '-m', '50', url]);
  assert.match(out, /Application protocol: h2/);
  assert.match(out, /requests: 3000 total, 3000 started, 3000 done, 3000 succeeded, 0 failed, 0 errored, 0 timeout/);
  assert.match(out, /traffic: .* 8\.58MB \(9000000\) data/);
});

test('nghttp gets a page and its parts, sends a body, and stays within its own small windows', async (t) => {
  const nghttp = findProgram('nghttp', 'nghttp2-client');
  if (nghttp === null) return t.skip('nghttp is not installed');
  const proxy = await before(t, (request, response) => {
    if (request.method === 'POST') return echo(request, response);
    response.end('y'.repeat(200_000));
  });
  const url = (path: string): string => `http://127.0.0.1:${proxy.port('web')}${path}`;
  const many = ['/a', '/b', '/c'].map(url);
  const got = await run(t, nghttp, ['-w', '10', '-W', '12', ...many]);
  assert.equal(got.out.match(/y/g)?.length, 600_000);
  const padded = await run(t, nghttp, [
    '-b',
    '100',
    '--trailer',
    'x: 1',
    '-d',
    'package-lock.json',
    '-H',
    ':method: POST',
    url('/p'),
  ]);
  assert.equal(padded.code, 0, padded.err);
  const { length } = JSON.parse(padded.out);
  assert.equal(length, statSync(join(ROOT, 'package-lock.json')).size);
});
