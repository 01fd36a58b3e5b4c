// Our own generator and the crowd, as real processes against small servers of the test's: what they count is what the
// servers saw, whatever those do to them, and nothing of them stays.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { constants } from 'node:crypto';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer as createHttpServer, type RequestListener } from 'node:http';
import { createServer as createHttpsServer, type ServerOptions } from 'node:https';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { TLSSocket } from 'node:tls';
import { WebSocketServer } from 'ws';
import { processTree } from '../../native-bench/host/accounting.ts';
import { startCrowd } from '../../native-bench/load/crowd.ts';
import {
  countErrors,
  type HttpLoad,
  LATENCY_SHARES,
  type Load,
  type LoadResult,
  latencyAt,
  type RequestShape,
} from '../../native-bench/load/load.ts';
import { runLoad } from '../../native-bench/load/run-load.ts';
import { writeCertificate } from '../../native-bench/peers/certificate.ts';
import { millrace } from '../../native-bench/peers/millrace/peer.ts';
import type { RunningPeer } from '../../native-bench/peers/peer.ts';
import { measureSlowClients } from '../../native-bench/procedure/slow-clients.ts';
import { slowClients } from '../../native-bench/scenarios/slow-clients.ts';
import { living, openScope, until } from './harness.ts';

const NO_ERRORS = { connect: 0, read: 0, write: 0, timeout: 0, status: 0 };
const GET: RequestShape = { method: 'GET', path: '/small', fields: [], bodyBytes: 0, chunkBytes: 0, replyBytes: 5 };
const POST: RequestShape = { ...GET, method: 'POST', bodyBytes: 300_000, replyBytes: 6 };
const CHUNKED: RequestShape = { ...POST, chunkBytes: 10_000 };
const HTTP: HttpLoad = { kind: 'http', connections: 4, requests: [GET], closing: false };

test('a closed loop counts what the server answered, each request in turn', async (t) => {
  const answered = { GET: 0, POST: 0, wrong: 0 };
  const port = await listening(
    t,
    createHttpServer((request, response) => {
      let bytes = 0;
      request.on('data', (data: Buffer) => {
        bytes += data.length;
      });
      request.on('end', () => {
        const method = request.method as 'GET' | 'POST';
        if (bytes === (method === 'GET' ? 0 : 300_000)) answered[method]++;
        else answered.wrong++;
        // Without a length known beforehand Node answers in chunks.
        response.write('hello');
        response.end(method === 'GET' ? '' : '!');
      });
    }),
  );
  const result = await run(t, { ...HTTP, requests: [GET, POST, CHUNKED] }, port);
  assert.deepEqual(result.errors, NO_ERRORS);
  const total = answered.GET + answered.POST;
  assert.ok(result.requests > 0 && total >= result.requests && total <= result.requests + HTTP.connections);
  assert.equal(answered.wrong, 0);
  assert.ok(Math.abs(answered.POST - 2 * answered.GET) <= 2 * HTTP.connections, JSON.stringify(answered));
  assert.ok(result.bytes > result.requests * 5);
  // Timers may come a moment early.
  assert.ok(result.seconds > SECONDS * 0.9);
  assert.deepEqual(
    result.latency.map(({ share }) => share),
    LATENCY_SHARES,
  );
  const micros = result.latency.map((point) => point.micros);
  assert.deepEqual(
    micros,
    micros.toSorted((a, b) => a - b),
  );
});

test('replies that come in pieces are answers like others', async (t) => {
  const pieces = ['HTT', 'P/1.1 200 OK\r', '\nContent-Le', 'ngth: 5\r\n\r', '\nhe', 'llo'];
  const chunks = ['HTTP/1.1 200 OK\r\nTransfer-Encoding: chu', 'nked\r\n\r\n5', '\r\nhel', 'lo\r\n0\r', '\n\r\n'];
  let replies = 0;
  const port = await listening(
    t,
    rawServer(async (socket) => {
      for (const piece of replies++ % 2 === 0 ? pieces : chunks) {
        socket.write(piece);
        await delay(1);
      }
    }),
  );
  const result = await run(t, HTTP, port);
  assert.deepEqual(result.errors, NO_ERRORS);
  assert.ok(result.requests > 1 && replies >= result.requests && replies <= result.requests + HTTP.connections);
});

test('a closing load opens a connection for each request and says so', async (t) => {
  let requests = 0;
  let connections = 0;
  const said = new Set<string | undefined>();
  const server = createHttpServer((request, response) => {
    requests++;
    said.add(request.headers.connection);
    response.end('hello');
  });
  server.on('connection', () => connections++);
  const result = await run(t, { ...HTTP, closing: true }, await listening(t, server));
  assert.deepEqual(result.errors, NO_ERRORS);
  assert.deepEqual([...said], ['close']);
  assert.ok(result.requests > 0 && requests >= result.requests);
  assert.ok(connections >= requests);
});

test('behind TLS every handshake is whole, or resumes a session, as the load asks for', async (t) => {
  const seen = { full: 0, resumed: 0 };
  const port = await listening(t, secureServer(t, seen));
  for (const kind of ['full', 'resumed'] as const) {
    seen.full = 0;
    seen.resumed = 0;
    const result = await run(t, { ...HTTP, tls: kind, closing: true }, port);
    assert.deepEqual(result.errors, NO_ERRORS);
    assert.ok(result.requests > 0 && seen[kind] >= result.requests, JSON.stringify(seen));
    // The ticket that all others are resumed by comes from a whole one.
    const other = kind === 'full' ? seen.resumed : seen.full;
    assert.equal(other, kind === 'full' ? 0 : 1);
  }
  const kept = await run(t, { ...HTTP, tls: 'full', requests: [GET, POST] }, port);
  assert.deepEqual(kept.errors, NO_ERRORS);
  assert.ok(kept.requests > 2 * HTTP.connections);
});

test('a server that resumes no session is found out rather than measured', async (t) => {
  const tickets = { secureOptions: constants.SSL_OP_NO_TICKET, sessionTimeout: 1 };
  const port = await listening(t, secureServer(t, { full: 0, resumed: 0 }, tickets));
  const measured = run(t, { ...HTTP, tls: 'resumed', closing: true }, port);
  await assert.rejects(measured, /^Error: (\d+) of \1 handshakes resumed no session$/);
  const plain = await listening(
    t,
    rawServer((socket) => socket.end('HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n')),
  );
  const { requests, errors } = await run(t, { ...HTTP, tls: 'full' }, plain);
  assert.equal(requests, 0);
  assert.ok(errors.connect > 0);
});

test('a server that closes after its reply costs a connection and no error', async (t) => {
  const port = await listening(
    t,
    rawServer((socket) => {
      socket.end('HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello');
    }),
  );
  const result = await run(t, HTTP, port);
  assert.deepEqual(result.errors, NO_ERRORS);
  assert.ok(result.requests > 0);
});

test('what goes wrong is counted by its kind, and as nothing else', async (t) => {
  const kinds: [keyof typeof NO_ERRORS, Server][] = [
    ['read', rawServer((socket) => socket.resetAndDestroy())],
    ['read', rawServer((socket) => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe'))],
    ['read', rawServer((socket) => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nhell'))],
    ['read', rawServer((socket) => socket.write('SSH-2.0-OpenSSH\r\n\r\n'))],
    ['status', rawServer((socket) => socket.write('HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n'))],
  ];
  await Promise.all(
    kinds.map(async ([kind, server]) => {
      const result = await run(t, HTTP, await listening(t, server));
      assert.ok(result.errors[kind] > 0, JSON.stringify(result));
      assert.equal(countErrors(result.errors), result.errors[kind], JSON.stringify(result));
      assert.equal(result.requests, 0);
      assert.deepEqual(result.latency, []);
    }),
  );
  const gone = createServer();
  const port = await listening(t, gone);
  gone.close();
  const refused = await run(t, HTTP, port);
  // A pause stands between two attempts: dozens in this time, not thousands.
  assert.ok(refused.errors.connect > 0 && refused.errors.connect < 500, JSON.stringify(refused));
  assert.equal(countErrors(refused.errors), refused.errors.connect);
});

test('an open loop asks for what is due, in several threads as in one', async (t) => {
  const paced = async (cores: readonly number[]): Promise<void> => {
    let requests = 0;
    const server = createHttpServer((_request, response) => {
      requests++;
      response.end('hello');
    });
    const port = await listening(t, server);
    const result = await run(t, HTTP, port, { ratePerSecond: 503, seconds: 1, cores });
    assert.deepEqual([result.requests, result.unsent, result.errors], [503, 0, NO_ERRORS]);
    assert.equal(requests, 503);
    assert.ok(result.seconds >= 1);
  };
  await Promise.all([paced([]), paced([0, 1, 2])]);
});

test('threads share the connections of a closed loop, and their latencies become one', async (t) => {
  let connections = 0;
  const server = createHttpServer((_request, response) => void response.end('hello'));
  server.on('connection', () => connections++);
  const result = await run(t, { ...HTTP, connections: 5 }, await listening(t, server), { cores: [0, 1] });
  assert.deepEqual(result.errors, NO_ERRORS);
  assert.equal(connections, 5);
  assert.equal(result.latency.length, LATENCY_SHARES.length);
});

test('while the server stalls, an open loop counts latency from when requests were due', async (t) => {
  const STALL = { fromMs: 300, toMs: 600 };
  const stalling = (): RequestListener => {
    let startMs = 0;
    return (_request, response) => {
      startMs ||= performance.now();
      const ageMs = performance.now() - startMs;
      const heldMs = ageMs >= STALL.fromMs && ageMs < STALL.toMs ? STALL.toMs - ageMs : 0;
      if (heldMs > 0) setTimeout(() => response.end('hello'), heldMs);
      else response.end('hello');
    };
  };
  const load = { ...HTTP, connections: 2 };
  const port = await listening(t, createHttpServer(stalling()));
  const open = await run(t, load, port, { ratePerSecond: 400, seconds: 1 });
  assert.deepEqual([open.requests, open.unsent, open.errors], [400, 0, NO_ERRORS]);
  // Three in ten were due while nobody was answered, though only two were on their way.
  assert.ok(latencyAt(open.latency, 1) >= 250_000, JSON.stringify(open.latency));
  assert.ok(latencyAt(open.latency, 0.9) >= 100_000, JSON.stringify(open.latency));
  const closed = await run(t, load, await listening(t, createHttpServer(stalling())), { seconds: 1 });
  assert.ok(latencyAt(closed.latency, 0.9) < latencyAt(open.latency, 0.9), JSON.stringify(closed.latency));
});

test('what is unanswered in an open loop has timed out, and none of it is left out of the latency', async (t) => {
  const port = await listening(
    t,
    rawServer(() => {}),
  );
  const result = await run(t, { ...HTTP, connections: 2 }, port, { ratePerSecond: 24_000, seconds: 0.5 });
  assert.deepEqual([result.requests, result.unsent], [0, 0]);
  assert.deepEqual(result.errors, { ...NO_ERRORS, timeout: 12_000 });
});

test('WebSocket messages of any length come back on connections that shake hands once', async (t) => {
  const echoed = async (messageBytes: number): Promise<void> => {
    const server = createHttpServer();
    let shaken = 0;
    let messages = 0;
    new WebSocketServer({ server }).on('connection', (socket) => {
      shaken++;
      socket.on('message', (data, binary) => {
        messages++;
        socket.send(data, { binary });
      });
    });
    const load: Load = { kind: 'websocket', connections: 3, messageBytes };
    const result = await run(t, load, await listening(t, server));
    assert.deepEqual(result.errors, NO_ERRORS);
    assert.equal(shaken, 3);
    assert.ok(result.requests > 0 && messages >= result.requests && messages <= result.requests + 3);
    assert.ok(result.bytes >= result.requests * messageBytes);
  };
  await Promise.all([1, 125, 126, 70_000].map(echoed));
});

test('an echo of something else is an error, and so is a refused handshake', async (t) => {
  const load: Load = { kind: 'websocket', connections: 2, messageBytes: 10 };
  const server = createHttpServer();
  new WebSocketServer({ server }).on('connection', (socket) => {
    socket.on('message', () => socket.send(Buffer.from('abcdefghi')));
  });
  const shortened = await run(t, load, await listening(t, server));
  assert.ok(shortened.errors.read > 0 && shortened.requests === 0, JSON.stringify(shortened));
  const plain = createHttpServer((_request, response) => void response.writeHead(404).end());
  plain.on('upgrade', (_request, socket) => socket.end('HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n'));
  const refused = await run(t, load, await listening(t, plain));
  assert.ok(
    refused.errors.status > 0 && countErrors(refused.errors) === refused.errors.status,
    JSON.stringify(refused),
  );
});

test('a generator that is ended early is an error, not a result', async (t) => {
  const port = await listening(
    t,
    createHttpServer((_request, response) => void response.end('hello')),
  );
  const scope = openScope(t);
  const running = runLoad(scope, HTTP, { ...OWN, port, seconds: 60 });
  const rejected = assert.rejects(running, /gave no result/);
  await until(() => generators().length === 1);
  await scope.close();
  await rejected;
  assert.deepEqual(generators(), []);
});

test('an idle crowd has one answer each, stays, and leaves nothing', async (t) => {
  let requests = 0;
  const server = createHttpServer((request, response) => {
    assert.equal(request.url, '/small');
    requests++;
    response.end('hello');
  });
  const port = await listening(t, server);
  const scope = openScope(t);
  const crowd = await startCrowd(scope, { cores: [], port, kind: 'idle', connections: 50 });
  assert.equal(requests, 50);
  assert.equal(await connectionsOf(server), 50);
  assert.deepEqual(await crowd.close(), { open: 50, closed: 0 });
  await until(async () => (await connectionsOf(server)) === 0);
  assert.equal(requests, 50);
});

test('an idle crowd behind TLS has made its handshakes', async (t) => {
  const seen = { full: 0, resumed: 0 };
  const server = secureServer(t, seen);
  const port = await listening(t, server);
  const crowd = await startCrowd(openScope(t), { cores: [], port, kind: 'idle', connections: 50, secure: true });
  assert.deepEqual(seen, { full: 50, resumed: 0 });
  assert.deepEqual(await crowd.close(), { open: 50, closed: 0 });
  await until(async () => (await connectionsOf(server)) === 0);
});

test('idle members that the proxy closes are missing in the end', async (t) => {
  const sockets: Socket[] = [];
  const server = createHttpServer((_request, response) => void response.end('hello'));
  server.on('connection', (socket: Socket) => sockets.push(socket));
  const crowd = await startCrowd(openScope(t), {
    ...{ cores: [], port: await listening(t, server) },
    ...{ kind: 'idle', connections: 10 },
  });
  for (const socket of sockets.slice(0, 3)) socket.destroy();
  await until(async () => (await connectionsOf(server)) === 7);
  await delay(100);
  assert.deepEqual(await crowd.close(), { open: 7, closed: 3 });
});

test('a crowd that cannot gather says how far it came and why', async (t) => {
  const gone = createServer();
  const port = await listening(t, gone);
  gone.close();
  const place = { cores: [], kind: 'idle', connections: 100 } as const;
  await assert.rejects(startCrowd(openScope(t), { ...place, port }), /^Error: only 0 of 100 .*ECONNREFUSED/);
  const bad = await listening(
    t,
    createHttpServer((_request, response) => void response.writeHead(503).end()),
  );
  await assert.rejects(startCrowd(openScope(t), { ...place, port: bad }), /only 0 of 100 .*status 503/);
  // A launcher that allows few files stands in for a machine that does.
  const folder = mkdtempSync(join(tmpdir(), 'millrace-load-test-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const launcher = join(folder, 'launcher');
  writeFileSync(launcher, '#!/bin/sh\nulimit -n 64\nshift 3\nexec "$@"\n');
  chmodSync(launcher, 0o755);
  const good = await listening(
    t,
    createHttpServer((_request, response) => void response.end('hello')),
  );
  const scope = openScope(t, { taskset: null, setpriv: launcher });
  await assert.rejects(
    startCrowd(scope, { ...place, port: good }),
    /of 100 .* limit of open files \(64, see ulimit -n\)/,
  );
});

// These wait rather than work, so they may as well wait together.
describe('in the long run', { concurrency: true }, () => {
  test('a request without an answer times out and the next has another connection', async (t) => {
    const hung: Socket[] = [];
    const port = await listening(
      t,
      rawServer((socket) => {
        if (hung.length < 2) hung.push(socket);
        else socket.write('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello');
      }),
    );
    const result = await run(t, { ...HTTP, connections: 2 }, port, { seconds: 6.5 });
    assert.deepEqual(result.errors, { ...NO_ERRORS, timeout: 2 });
    assert.ok(result.requests > 0);
    assert.ok(hung.every((socket) => socket.destroyed));
  });

  test('a dripping crowd sends bytes one by one, reads slowly, and starts over when it is closed', async (t) => {
    const sizes = { drip: 0, whole: 0 };
    const sockets = new Set<Socket>();
    const server = createServer((socket) => {
      sockets.add(socket);
      socket.on('error', () => {});
      socket.on('data', (data) => {
        if (data.length < 5) return void (sizes.drip += data.length);
        assert.match(data.toString(), /^GET \/1m HTTP\/1\.1\r\n/);
        sizes.whole++;
        socket.write(`HTTP/1.1 200 OK\r\nContent-Length: 1048576\r\n\r\n${'x'.repeat(1_048_576)}`);
      });
    });
    const port = await listening(t, server);
    t.after(() => {
      for (const socket of sockets) socket.destroy();
    });
    const crowd = await startCrowd(openScope(t), { cores: [], port, kind: 'drip', connections: 20 });
    await until(() => sizes.drip >= 20 && sizes.whole === 10);
    // Ten members have sent two bytes each, and the others have nowhere near read what was sent to them.
    assert.ok(sizes.drip < 100, `${sizes.drip} bytes`);
    const [first] = sockets;
    first!.destroy();
    await until(() => sockets.size === 21);
    const { open, closed } = await crowd.close();
    assert.deepEqual([open, closed], [20, 1]);
    await until(async () => (await connectionsOf(server)) === 0);
  });

  test('a proxy that closes slow clients is marked for it', async (t) => {
    const server = createServer((socket) => {
      socket.on('error', () => {});
      socket.on('data', (data) => {
        if (data.includes('/1m')) socket.destroy();
        else if (data.length > 5) socket.write('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello');
      });
    });
    const port = await listening(t, server);
    const peer = { ...millrace, node: false };
    const running = { peer, child: { pid: process.pid }, port, folder: '' } as unknown as RunningPeer;
    const { marks, errors } = await measureSlowClients({
      scope: openScope(t),
      scenario: { ...slowClients, load: HTTP },
      running,
      round: 1,
      run: { ...OWN, ratePerSecond: 200 },
      warmUpSeconds: 0,
      proxyCores: [],
      startAnew: () => Promise.reject(new Error('nothing is to be started anew')),
    });
    assert.deepEqual(marks, ['dropped']);
    assert.deepEqual(errors, NO_ERRORS);
    await until(async () => (await connectionsOf(server)) === 0);
  });

  test('a crowd does not outlive a harness that is killed', async (t) => {
    const port = await listening(
      t,
      createHttpServer((_request, response) => void response.end('hello')),
    );
    const script = `
      import { Scope } from ${JSON.stringify(join(BENCH, 'host/scope.ts'))};
      import { startCrowd } from ${JSON.stringify(join(BENCH, 'load/crowd.ts'))};
      const scope = new Scope({ taskset: null, setpriv: null });
      await startCrowd(scope, { cores: [], port: ${port}, kind: 'idle', connections: 3 });
      console.log('ready');
    `;
    const harness = spawn(process.execPath, ['--input-type=module-typescript', '-e', script]);
    t.after(() => harness.kill('SIGKILL'));
    const [said] = (await once(harness.stdout, 'data')) as [Buffer];
    assert.match(said.toString(), /ready/);
    const family = processTree(harness.pid!);
    assert.equal(family.length, 2);
    harness.kill('SIGKILL');
    await until(() => family.every((pid) => !living(pid)));
  });
});

const SECONDS = 0.25;
const OWN = { generator: 'own', cores: [], seconds: SECONDS, ratePerSecond: null } as const;
const BENCH = join(import.meta.dirname, '../../native-bench');

async function run(
  t: TestContext,
  load: Load,
  port: number,
  particular: { seconds?: number; ratePerSecond?: number; cores?: readonly number[] } = {},
): Promise<LoadResult> {
  const scope = openScope(t);
  try {
    return await runLoad(scope, load, { ...OWN, port, ...particular });
  } finally {
    await scope.close();
  }
}

/** Answers `hello`, or `hello!` to a POST, over TLS, and counts handshakes by their kind. */
function secureServer(t: TestContext, seen: { full: number; resumed: number }, options: ServerOptions = {}): Server {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-load-test-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const { cert, key } = writeCertificate(folder);
  const identity = { cert: readFileSync(cert), key: readFileSync(key) };
  const server = createHttpsServer({ ...identity, ...options }, (request, response) => {
    request.resume().on('end', () => response.end(request.method === 'POST' ? 'hello!' : 'hello'));
  });
  server.on('secureConnection', (socket: TLSSocket) => {
    if (socket.isSessionReused()) seen.resumed++;
    else seen.full++;
  });
  return server;
}

/** Answers each request head (requests here have no body) by calling `answer`. */
function rawServer(answer: (socket: Socket) => unknown): Server {
  return createServer((socket) => {
    socket.on('error', () => {});
    socket.on('data', () => void answer(socket));
  });
}

async function listening(t: TestContext, server: Server): Promise<number> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => sockets.add(socket));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return (server.address() as AddressInfo).port;
}

function connectionsOf(server: Server): Promise<number> {
  return new Promise((resolve, reject) => {
    server.getConnections((error, count) => (error ? reject(error) : resolve(count)));
  });
}

/** Generators among the descendants of this process. */
function generators(): number[] {
  return processTree(process.pid).filter((pid) => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('load/generator/main.ts');
    } catch {
      return false;
    }
  });
}
