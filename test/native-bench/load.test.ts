// What a load sends and what is read back: the bytes of requests, the choice of a generator, the output of wrk and h2load
// (recorded, and from the programs themselves where they are installed), and the ends of replies.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import { createSecureServer } from 'node:http2';
import { createServer as createHttpsServer } from 'node:https';
import { type AddressInfo, connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { findProgram } from '../../native-bench/host/machine.ts';
import { EchoScanner } from '../../native-bench/load/generator/echo.ts';
import { Found, ReplyScanner } from '../../native-bench/load/generator/reply-scanner.ts';
import { parseH2load, readH2loadLog } from '../../native-bench/load/h2load.ts';
import { latencyHistogram, latencyPoints, recordMicros } from '../../native-bench/load/latency.ts';
import {
  type HttpLoad,
  LATENCY_SHARES,
  type Load,
  latencyAt,
  type RequestShape,
} from '../../native-bench/load/load.ts';
import { handshakeFault } from '../../native-bench/load/own.ts';
import { renderRequest } from '../../native-bench/load/request.ts';
import { chooseGenerator, runLoad } from '../../native-bench/load/run-load.ts';
import { parseWrkResult } from '../../native-bench/load/wrk.ts';
import { writeCertificate } from '../../native-bench/peers/certificate.ts';
import { openScope } from './harness.ts';

const GET: RequestShape = {
  method: 'GET',
  path: '/small?x=1',
  fields: [
    ['Accept', '*/*'],
    ['X-Two', 'a b'],
  ],
  bodyBytes: 0,
  chunkBytes: 0,
  replyBytes: 2,
};
const POST: RequestShape = { ...GET, method: 'POST', bodyBytes: 100_000 };
const CHUNKED: RequestShape = { ...POST, chunkBytes: 4096 };
const HTTP: HttpLoad = { kind: 'http', connections: 2, requests: [GET], closing: false };
const CLOSED = { cores: [], seconds: 1, ratePerSecond: null } as const;
const NO_ERRORS = { connect: 0, read: 0, write: 0, timeout: 0, status: 0 };

test('a request is rendered to the byte', () => {
  assert.equal(
    renderRequest(GET, '127.0.0.1:80', false).toString(),
    'GET /small?x=1 HTTP/1.1\r\nHost: 127.0.0.1:80\r\nAccept: */*\r\nX-Two: a b\r\n\r\n',
  );
  assert.equal(
    renderRequest({ ...GET, fields: [], method: 'POST', bodyBytes: 5, chunkBytes: 3 }, 'h', true).toString(),
    'POST /small?x=1 HTTP/1.1\r\nHost: h\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nmmm\r\n2\r\nmm\r\n0\r\n\r\n',
  );
  assert.match(renderRequest({ ...POST, bodyBytes: 0 }, 'h', false).toString(), /\r\nContent-Length: 0\r\n\r\n$/);
});

test("Node's server reads every kind of request as it was meant, one behind the other", async (t) => {
  const seen: unknown[] = [];
  const server = createHttpServer((request, response) => {
    let bytes = 0;
    request.on('data', (data: Buffer) => {
      bytes += data.length;
    });
    request.on('end', () => {
      const { method, url, headers } = request;
      seen.push([method, url, headers['x-two'], headers['content-length'], headers['transfer-encoding'], bytes]);
      response.end('ok');
    });
  });
  const port = await listening(t, server);
  const socket = connect(port, '127.0.0.1').resume();
  for (const [shape, closing] of [
    [GET, false],
    [POST, false],
    [CHUNKED, false],
    [GET, true],
  ] as const) {
    socket.write(renderRequest(shape, `127.0.0.1:${port}`, closing));
  }
  await once(socket, 'close');
  assert.deepEqual(seen, [
    ['GET', GET.path, 'a b', undefined, undefined, 0],
    ['POST', GET.path, 'a b', '100000', undefined, 100_000],
    ['POST', GET.path, 'a b', undefined, 'chunked', 100_000],
    ['GET', GET.path, 'a b', undefined, undefined, 0],
  ]);
});

test('the generator is the one that can put the load on, and a wish that cannot be met names why', () => {
  const both = { wrk: '/usr/bin/wrk', h2load: '/usr/bin/h2load' };
  const none = { wrk: null, h2load: null };
  const echo: Load = { kind: 'websocket', connections: 1, messageBytes: 1 };
  assert.equal(chooseGenerator(HTTP, null, both, null), 'wrk');
  assert.equal(chooseGenerator(HTTP, null, none, null), 'own');
  assert.equal(chooseGenerator(HTTP, 1000, both, null), 'own');
  assert.equal(chooseGenerator(echo, null, both, null), 'own');
  assert.equal(chooseGenerator(HTTP, null, both, 'h2load'), 'h2load');
  assert.equal(chooseGenerator(HTTP, null, both, 'own'), 'own');
  const missing = (...wish: Parameters<typeof chooseGenerator>): string => {
    const chosen = chooseGenerator(...wish);
    return typeof chosen === 'object' ? chosen.missing : `chose ${chosen}`;
  };
  assert.match(missing(HTTP, null, none, 'wrk'), /^wrk is not installed; .* package wrk /);
  assert.match(missing(HTTP, null, none, 'h2load'), /nghttp2-client/);
  assert.match(missing(HTTP, 1000, both, 'wrk'), /constant rate; our own generator can/);
  assert.match(missing(echo, null, both, 'h2load'), /WebSocket/);
  assert.match(missing({ ...HTTP, closing: true }, null, both, 'h2load'), /a connection for each request/);
  assert.match(missing({ ...HTTP, requests: [GET, POST] }, null, both, 'h2load'), /several kinds/);
  assert.match(missing({ ...HTTP, requests: [CHUNKED] }, null, both, 'h2load'), /chunks/);
});

test('behind TLS and over HTTP/2 the generator is one that can do and check what is asked for', () => {
  const both = { wrk: '/usr/bin/wrk', h2load: '/usr/bin/h2load' };
  const none = { wrk: null, h2load: null };
  const kept: HttpLoad = { ...HTTP, tls: 'full' };
  const resumed: HttpLoad = { ...kept, closing: true, tls: 'resumed' };
  const h2: HttpLoad = { ...kept, streams: 10 };
  assert.equal(chooseGenerator(kept, null, both, null), 'wrk');
  assert.equal(chooseGenerator(kept, null, none, null), 'own');
  assert.equal(chooseGenerator({ ...kept, closing: true }, null, both, null), 'own');
  assert.equal(chooseGenerator(resumed, null, both, null), 'own');
  assert.equal(chooseGenerator(h2, null, both, null), 'h2load');
  for (const [installed, rate, wished, wanted] of [
    [none, null, null, /^h2load is not installed; .* package nghttp2-client /],
    [both, null, 'own', /^our own generator cannot speak HTTP\/2; h2load can$/],
    [both, null, 'wrk', /^wrk cannot speak HTTP\/2, and our own generator cannot speak HTTP\/2$/],
    [both, 1000, null, /^h2load cannot keep to a constant rate, and our own generator cannot speak HTTP\/2$/],
  ] as const) {
    const chosen = chooseGenerator(h2, rate, installed, wished);
    assert.match(typeof chosen === 'object' ? chosen.missing : chosen, wanted);
  }
  for (const wished of ['wrk', 'h2load'] as const) {
    const chosen = chooseGenerator(resumed, null, both, wished);
    assert.match(typeof chosen === 'object' ? chosen.missing : chosen, /our own generator can$/);
  }
});

test('handshakes of another kind than was asked for are a fault, one of them too', () => {
  assert.equal(handshakeFault({ full: 5, resumed: 0 }, 'full'), '');
  assert.equal(handshakeFault({ full: 0, resumed: 5 }, 'resumed'), '');
  assert.equal(handshakeFault({ full: 1, resumed: 4 }, 'resumed'), '1 of 5 handshakes resumed no session');
  assert.equal(handshakeFault({ full: 4, resumed: 1 }, 'full'), '1 of 5 handshakes resumed a session');
});

test('a generator that cannot put the load on is refused before anything starts', async (t) => {
  const scope = openScope(t);
  const run = { ...CLOSED, generator: 'wrk', port: 1, ratePerSecond: 100 } as const;
  await assert.rejects(runLoad(scope, HTTP, run), /wrk cannot keep to a constant rate/);
});

/** wrk 4.1.0 with 64 connections against nginx, and against one that answers 404. */
const WRK = `Running 1s test @ http://127.0.0.1:18181/
  1 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency   486.41us  233.04us  10.15ms   97.52%
    Req/Sec   130.41k    11.93k  144.12k    81.82%
  142872 requests in 1.10s, 37.88MB read
Requests/sec: 129858.66
Transfer/sec:     34.43MB
millrace-bench requests=142872 bytes=39718416 micros=1100212 connect=0 read=0 write=0 timeout=0 status=0 latency=141,229,238,247,259,285,485,502,518,546,2121,3314,8636,8708
`;
const WRK_404 = `  122344 requests in 1.10s, 18.20MB read
  Non-2xx or 3xx responses: 122344
millrace-bench requests=122344 bytes=19085664 micros=1100484 connect=1 read=2 write=3 timeout=4 status=122000 latency=37,40,50,72,80,90,95,98,99,100,110,120,130,3070
`;

test("wrk's result is read from its own line, and late or bad answers are no requests", () => {
  const result = parseWrkResult(WRK);
  assert.ok(result);
  assert.deepEqual([result.requests, result.bytes, result.seconds, result.unsent], [142_872, 39_718_416, 1.100212, 0]);
  assert.deepEqual(result.errors, NO_ERRORS);
  assert.deepEqual(
    result.latency.map(({ share }) => share),
    LATENCY_SHARES,
  );
  assert.deepEqual(
    [0, 0.5, 0.99, 1].map((share) => latencyAt(result.latency, share)),
    [141, 247, 518, 8708],
  );
  const bad = parseWrkResult(WRK_404);
  assert.equal(bad?.requests, 340);
  assert.deepEqual(bad?.errors, { connect: 1, read: 2, write: 3, timeout: 4, status: 122_000 });
  assert.equal(parseWrkResult(WRK.slice(0, WRK.indexOf('millrace'))), null);
  assert.equal(parseWrkResult(WRK.replace(/,8708/, '')), null);
  assert.equal(parseWrkResult(WRK.replace(/bytes=\d+/, 'bytes=-nan')), null);
  const silent = WRK.replace(/requests=\d+/, 'requests=0').replace(
    /latency=.*/,
    `latency=${LATENCY_SHARES.map(() => 0)}`,
  );
  assert.deepEqual(parseWrkResult(silent)?.latency, []);
});

/** h2load 1.52.0 with 16 connections against nginx. */
const H2LOAD = `Application protocol: http/1.1
Main benchmark duration is over for thread #0. Stopping all clients.
Stopped all clients for thread #0

finished in 1.00s, 70036.00 req/s, 18.57MB/s
requests: 70036 total, 70052 started, 70036 done, 70036 succeeded, 0 failed, 0 errored, 0 timeout
status codes: 70036 2xx, 0 3xx, 0 4xx, 0 5xx
traffic: 18.57MB (19470008) total, 7.35MB (7704840) headers (space savings 0.00%), 8.62MB (9035676) data
                     min         max         mean         sd        +/- sd
time for request:       85us     19.52ms       227us       435us    98.33%
`;

test("h2load's text and log give the counts and the latencies", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-load-test-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 'log');
  writeFileSync(
    path,
    '1795471140224467\t200\t407\n1795471140224472\t304\t434\n17954711402\t404\t9\n17954711403\t-1\t9\n',
  );
  const log = await readH2loadLog(path);
  assert.deepEqual([log.count, log.min, log.max], [2, 407, 434]);
  const result = parseH2load(H2LOAD, log);
  assert.deepEqual([result?.requests, result?.bytes, result?.seconds, result?.unsent], [70_036, 19_470_008, 1, 0]);
  assert.deepEqual(result?.errors, NO_ERRORS);
  assert.equal(latencyAt(result?.latency ?? [], 1), 434);
  const bad = H2LOAD.replace('0 failed, 0 errored, 0 timeout', '30 failed, 4 errored, 5 timeout')
    .replace('70036 2xx, 0 3xx, 0 4xx, 0 5xx', '70000 2xx, 6 3xx, 10 4xx, 20 5xx')
    .replace('1.00s', '845.12ms');
  const mixed = parseH2load(bad, log);
  assert.deepEqual([mixed?.requests, mixed?.errors], [70_006, { ...NO_ERRORS, read: 4, timeout: 5, status: 30 }]);
  assert.ok(Math.abs((mixed?.seconds ?? 0) - 0.84512) < 1e-9);
  assert.equal(parseH2load(H2LOAD.replace('70052 started', '0 started'), log), null);
  assert.equal(parseH2load('', log), null);
  assert.equal((await readH2loadLog(join(folder, 'none'))).count, 0);
});

test('latencies are given at all shares, within the precision of the histogram', () => {
  const histogram = latencyHistogram();
  assert.deepEqual(latencyPoints(histogram), []);
  for (let micros = 1; micros <= 10_000; micros++) recordMicros(histogram, micros);
  const points = latencyPoints(histogram);
  for (const { share, micros } of points) assert.ok(Math.abs(micros - share * 10_000) <= 10, `${share}: ${micros}`);
  recordMicros(histogram, 0.2);
  recordMicros(histogram, 1e12);
  assert.equal(latencyAt(latencyPoints(histogram), 0), 1);
  assert.ok(latencyAt(latencyPoints(histogram), 1) >= 60_000_000);
});

const missingWrk = findProgram('wrk') === null ? 'wrk is not installed (Debian package wrk)' : false;
const missingH2load =
  findProgram('h2load') === null ? 'h2load is not installed (Debian package nghttp2-client)' : false;

test('wrk sends the very bytes of each request in turn', { skip: missingWrk }, async (t) => {
  const requests = [GET, { ...POST, bodyBytes: 1_048_576 }, CHUNKED];
  const { port, whole } = await recordingServer(t, requests, false);
  const load = { ...HTTP, connections: 1, requests };
  const result = await runLoad(openScope(t), load, { ...CLOSED, generator: 'wrk', port });
  assert.deepEqual(result.errors, NO_ERRORS);
  assert.ok(result.requests >= 3);
  assert.ok(whole() >= result.requests && whole() <= result.requests + 1, `${whole()} for ${result.requests}`);
  assert.deepEqual(
    result.latency.map(({ share }) => share),
    LATENCY_SHARES,
  );
});

test('wrk sends one static request, with a connection for each when closing', { skip: missingWrk }, async (t) => {
  const { port, whole, connections } = await recordingServer(t, [GET], true);
  const result = await runLoad(openScope(t), { ...HTTP, closing: true }, { ...CLOSED, generator: 'wrk', port });
  assert.ok(result.requests > 0);
  assert.ok(whole() >= result.requests);
  assert.ok(connections() >= whole());
});

test('h2load reports what the server answered', { skip: missingH2load }, async (t) => {
  let answered = 0;
  const server = createHttpServer((request, response) => {
    request.resume().on('end', () => {
      answered++;
      response.end('ok');
    });
  });
  const port = await listening(t, server);
  const load = { ...HTTP, requests: [{ ...POST, bodyBytes: 3000 }] };
  const result = await runLoad(openScope(t), load, { ...CLOSED, generator: 'h2load', port });
  assert.ok(result.requests > 0 && answered >= result.requests && answered <= result.requests + 2);
  assert.deepEqual(result.errors, NO_ERRORS);
  assert.equal(result.latency.length, LATENCY_SHARES.length);
});

test('wrk and h2load speak TLS where the load does', { skip: missingWrk || missingH2load }, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-load-test-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const files = writeCertificate(folder);
  const identity = { cert: readFileSync(files.cert), key: readFileSync(files.key) };
  const versions = new Set<string>();
  const secure = await listening(
    t,
    createHttpsServer(identity, (request, response) => {
      versions.add(request.httpVersion);
      response.end('ok');
    }),
  );
  const framed = createSecureServer(identity, (request, response) => {
    versions.add(request.httpVersion);
    response.end('ok');
  });
  const sessions = new Set<{ destroy(): void }>();
  framed.on('session', (session) => sessions.add(session));
  t.after(() => {
    for (const session of sessions) session.destroy();
  });
  const load: HttpLoad = { ...HTTP, tls: 'full' };
  for (const [generator, port, one, version] of [
    ['wrk', secure, load, '1.1'],
    ['h2load', secure, load, '1.1'],
    ['h2load', await listening(t, framed), { ...load, streams: 10 }, '2.0'],
  ] as const) {
    versions.clear();
    const result = await runLoad(openScope(t), one, { ...CLOSED, generator, port });
    assert.ok(result.requests > 0, generator);
    assert.deepEqual(result.errors, NO_ERRORS);
    assert.deepEqual([...versions], [version]);
    assert.equal(result.latency.length, LATENCY_SHARES.length);
  }
});

for (const generator of ['wrk', 'h2load'] as const) {
  const skip = generator === 'wrk' ? missingWrk : missingH2load;
  test(`${generator} against a port where nobody listens ends in an error`, { skip }, async (t) => {
    const server = createServer();
    const port = await listening(t, server);
    server.close();
    await assert.rejects(runLoad(openScope(t), HTTP, { ...CLOSED, generator, port }), /gave no result/);
  });
}

const REPLIES: readonly [name: string, text: string, status: number, bodyBytes: number, closing: boolean][] = [
  ['length', 'HTTP/1.1 200 OK\r\nServer: x\r\ncontent-LENGTH:  5\r\nDate: y\r\n\r\nhello', 200, 5, false],
  ['no body', 'HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n', 204, 0, true],
  ['length 0', 'HTTP/1.1 500 Oh\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n', 500, 0, false],
  [
    'chunked',
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nA;x=1\r\n0123456789\r\n0\r\n\r\n',
    200,
    15,
    false,
  ],
  [
    'trailers',
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n1\r\nh\r\n0\r\nX-T: 1\r\nY: 2\r\n\r\n',
    200,
    1,
    false,
  ],
  [
    'interim',
    'HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok',
    200,
    2,
    false,
  ],
  ['old', 'HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok', 200, 2, true],
  ['switch', 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n', 101, 0, false],
];

test('the end of a reply is found wherever reads fall', () => {
  const scanner = new ReplyScanner();
  for (const [name, text, status, bodyBytes, closing] of REPLIES) {
    const bytes = Buffer.from(text);
    for (let first = 0; first <= bytes.length; first++) {
      for (const second of [first, Math.min(first + 1, bytes.length), bytes.length]) {
        scanner.begin();
        let found: number = Found.MORE;
        for (const [from, to] of [
          [0, first],
          [first, second],
          [second, bytes.length],
        ] as const) {
          if (from === to) continue;
          assert.equal(found, Found.MORE, `${name} at ${first}: over too early`);
          found = scanner.scan(bytes, from, to);
        }
        assert.equal(found, Found.WHOLE, `${name} at ${first}`);
        const seen = [scanner.status, scanner.bodyBytes, scanner.closing];
        assert.deepEqual(seen, [status, bodyBytes, closing], `${name} at ${first}`);
      }
    }
  }
});

test('a reply without framing ends with the connection, and nonsense is no reply', () => {
  const scanner = new ReplyScanner();
  const scan = (text: string): number => {
    scanner.begin();
    return scanner.scan(Buffer.from(text), 0, text.length);
  };
  assert.equal(scan('HTTP/1.1 200 OK\r\n\r\nsome'), Found.MORE);
  assert.deepEqual([scanner.finish(), scanner.bodyBytes, scanner.closing], [true, 4, true]);
  assert.equal(scan('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nsome'), Found.MORE);
  assert.equal(scanner.finish(), false);
  assert.equal(scan('SSH-2.0-x\r\n\r\n'), Found.NONSENSE);
  assert.equal(scan('HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nsome'), Found.NONSENSE);
  assert.equal(scan('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nhello\r\n'), Found.NONSENSE);
});

test('an echo is whole when all its frames are, and only if it is the message', () => {
  const scan = (bytes: Buffer, messageBytes: number, step: number): number => {
    const scanner = new EchoScanner(messageBytes);
    scanner.begin();
    let found: number = Found.MORE;
    for (let at = 0; at < bytes.length && found === Found.MORE; at += step) {
      found = scanner.scan(bytes, at, Math.min(at + step, bytes.length));
    }
    return found;
  };
  const letters = (length: number): Buffer => Buffer.alloc(length, 'abcdefghijklmnopqrstuvwxyz');
  const frame = (first: number, header: number[], payload: Buffer): Buffer =>
    Buffer.concat([Buffer.from([first, ...header]), payload]);
  const large = frame(0x82, [127, 0, 0, 0, 0, 0, 1, 0x11, 0x70], letters(70_000));
  const split = Buffer.concat([
    frame(0x02, [3], letters(3)),
    frame(0x00, [0], letters(0)),
    frame(0x80, [126, 0, 130], Buffer.from(letters(133).subarray(3))),
  ]);
  for (const step of [1, 2, 7, 70_100]) {
    assert.equal(scan(frame(0x82, [5], letters(5)), 5, step), Found.WHOLE);
    assert.equal(scan(frame(0x82, [126, 0x01, 0x2c], letters(300)), 300, step), Found.WHOLE);
    assert.equal(scan(large, 70_000, step), Found.WHOLE);
    assert.equal(scan(split, 133, step), Found.WHOLE);
    assert.equal(scan(frame(0x82, [5], letters(5)), 6, step), Found.NONSENSE, 'too short');
    assert.equal(scan(frame(0x82, [5], letters(5)), 4, step), Found.NONSENSE, 'too long');
    assert.equal(scan(frame(0x82, [5], Buffer.from('xbcde')), 5, step), Found.NONSENSE, 'another one');
    assert.equal(scan(frame(0x82, [5], Buffer.from('abcdx')), 5, step), Found.NONSENSE, 'another end');
    assert.equal(scan(frame(0x88, [2], Buffer.from([3, 232])), 5, step), Found.NONSENSE, 'a close');
  }
});

/** Checks that connections carry exactly these requests in turn, and answers each; an unexpected byte ends them. */
async function recordingServer(
  t: TestContext,
  requests: readonly RequestShape[],
  closing: boolean,
): Promise<{ port: number; whole: () => number; connections: () => number }> {
  let whole = 0;
  let connections = 0;
  let turn = -1;
  let expected: Buffer[] = [];
  const reply = `HTTP/1.1 200 OK\r\nContent-Length: 2\r\n${closing ? 'Connection: close\r\n' : ''}\r\nok`;
  const server = createServer((socket) => {
    let at = 0;
    connections++;
    socket.on('error', () => {});
    socket.on('data', (data) => {
      // A generator may begin anywhere: wrk asks its script once before it sends anything.
      if (turn < 0) turn = expected.findIndex((one) => one.subarray(0, data.length).equals(data));
      const wanted = expected[turn % expected.length];
      if (!wanted?.subarray(at, at + data.length).equals(data)) {
        socket.destroy();
        return;
      }
      at += data.length;
      if (at < wanted.length) return;
      at = 0;
      turn++;
      whole++;
      socket.write(reply);
      if (closing) socket.end();
    });
  });
  const port = await listening(t, server);
  expected = requests.map((shape) => renderRequest(shape, `127.0.0.1:${port}`, closing));
  return { port, whole: () => whole, connections: () => connections };
}

async function listening(t: TestContext, server: ReturnType<typeof createServer>): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.close();
    (server as { closeAllConnections?: () => void }).closeAllConnections?.();
  });
  return (server.address() as AddressInfo).port;
}
