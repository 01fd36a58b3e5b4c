// HTTP/2 towards endpoints, from clients of either version, and gRPC through both.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request as http1 } from 'node:http';
import { type TestContext, test } from 'node:test';
import {
  type ClientReadableStream,
  credentials,
  type handleBidiStreamingCall,
  type handleClientStreamingCall,
  type handleServerStreamingCall,
  type handleUnaryCall,
  Metadata,
  makeGenericClientConstructor,
  Server,
  ServerCredentials,
  type ServiceDefinition,
  status,
} from '@grpc/grpc-js';
import WebSocket, { WebSocketServer } from 'ws';
import { ask, http2Client, startHttp2Origin } from '../support/http2.ts';
import { pause } from '../support/process.ts';
import { httpTo, startProxy } from '../support/proxy.ts';

/** Asks by HTTP/1.1. */
function ask1(
  port: number,
  path: string,
  method = 'GET',
  body = '',
): Promise<{ status: number; body: string; trailers: NodeJS.Dict<string>; headers: NodeJS.Dict<string | string[]> }> {
  return new Promise((resolve, reject) => {
    const request = http1({ port, host: '127.0.0.1', path, method }, (response) => {
      let text = '';
      response.on('data', (piece) => (text += piece));
      response.on('error', reject);
      response.on('end', () =>
        resolve({ status: response.statusCode!, body: text, trailers: response.trailers, headers: response.headers }),
      );
    });
    request.on('error', reject);
    request.end(body);
  });
}

test('clients of both versions share one connection to an endpoint that speaks HTTP/2', async (t) => {
  const origin = await startHttp2Origin(t, (stream, fields) => {
    let length = 0;
    stream.on('data', (piece) => (length += piece.length));
    stream.on('end', () => {
      stream.respond({ ':status': 200 });
      stream.end(JSON.stringify({ ...fields, length }));
    });
  });
  const proxy = await startProxy(t, httpTo([`127.0.0.1:${origin.port}`], '', 'protocol: h2'));
  const port = proxy.port('web');
  const first = await ask1(port, '/one?x', 'POST', 'hello');
  const seen = JSON.parse(first.body);
  assert.equal(seen[':method'], 'POST');
  assert.equal(seen[':path'], '/one?x');
  assert.equal(seen[':authority'], `127.0.0.1:${port}`);
  assert.equal(seen[':scheme'], 'http');
  assert.equal(seen.connection, undefined);
  assert.equal(seen.length, 5);
  const client = http2Client(t, port);
  const answers = await Promise.all([
    ...Array.from({ length: 60 }, (_, at) => ask(client, { ':path': `/${at}` }).then(({ body }) => body.toString())),
    ...Array.from({ length: 30 }, (_, at) => ask1(port, `/${at}`).then(({ body }) => body)),
  ]);
  for (const [at, answer] of answers.entries()) assert.equal(JSON.parse(answer)[':path'], `/${at % 60}`);
  assert.equal(origin.sessions(), 1);
});

test('large bodies go through two sides of HTTP/2 at once, whole', async (t) => {
  const origin = await startHttp2Origin(t, (stream) => {
    stream.respond({ ':status': 200 });
    stream.pipe(stream);
  });
  const proxy = await startProxy(t, httpTo([`127.0.0.1:${origin.port}`], '', 'protocol: h2'));
  const client = http2Client(t, proxy.port('web'));
  const bodies = [1_500_000, 700_001, 65_536, 1].map((length) => Buffer.alloc(length, `${length}`));
  const answers = await Promise.all(bodies.map((body) => ask(client, { ':method': 'POST', ':path': '/' }, body)));
  for (const [at, { body }] of answers.entries()) assert.ok(body.equals(bodies[at]!));
});

test('trailers and replies that are a head alone go through to both versions', async (t) => {
  const origin = await startHttp2Origin(t, (stream, fields) => {
    if (fields[':path'] === '/alone') return stream.respond({ ':status': 200, 'x-alone': '1' }, { endStream: true });
    stream.respond({ ':status': 200 }, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'x-sum': 'abc' }));
    stream.end('body');
  });
  const proxy = await startProxy(t, httpTo([`127.0.0.1:${origin.port}`], '', 'protocol: h2'));
  const port = proxy.port('web');
  const client = http2Client(t, port);
  const two = await ask(client, { ':path': '/' });
  assert.equal(two.body.toString(), 'body');
  assert.equal(two.trailers?.['x-sum'], 'abc');
  const one = await ask1(port, '/');
  assert.equal(one.body, 'body');
  assert.equal(one.trailers['x-sum'], 'abc');
  assert.equal((await ask(client, { ':path': '/alone' })).fields['x-alone'], '1');
  const alone = await ask1(port, '/alone');
  assert.equal(alone.headers['content-length'], '0');
  assert.equal(alone.status, 200);
});

test('a stream that is refused is asked for once more, and a connection that goes away loses nothing', async (t) => {
  let refused = 0;
  let served = 0;
  const origin = await startHttp2Origin(t, (stream, fields) => {
    if (fields[':path'] === '/refused' && refused++ === 0) return stream.close(7);
    served++;
    stream.respond({ ':status': 200 });
    stream.end('served');
    // Told to go after every reply, as servers do that restart.
    if (fields[':path'] === '/last') stream.session?.goaway(0);
  });
  const proxy = await startProxy(t, httpTo([`127.0.0.1:${origin.port}`], '', 'protocol: h2'));
  const port = proxy.port('web');
  assert.equal((await ask1(port, '/refused', 'POST', 'once')).body, 'served');
  for (let round = 0; round < 5; round++) {
    assert.equal((await ask1(port, '/last')).body, 'served');
    await pause(20);
  }
  assert.equal(served, 6);
  assert.ok(origin.sessions() >= 5);
});

test('an endpoint that dies, answers nonsense or too little is told from one that answers', async (t) => {
  const origin = await startHttp2Origin(t, (stream, fields) => {
    switch (fields[':path']) {
      case '/die':
        return stream.session?.destroy();
      case '/short':
        stream.respond({ ':status': 200, 'content-length': '10' });
        stream.write('short');
        return void setTimeout(() => stream.close(8), 20);
      case '/reset':
        return stream.close(2);
      default:
        stream.respond({ ':status': 200 });
        stream.end('fine');
    }
  });
  const proxy = await startProxy(t, httpTo([`127.0.0.1:${origin.port}`], '', 'protocol: h2'));
  const port = proxy.port('web');
  const client = http2Client(t, port);
  assert.equal((await ask(client, { ':path': '/die' })).status, 502);
  assert.equal((await ask(client, { ':path': '/reset' })).status, 502);
  const short = await ask(client, { ':path': '/short' });
  assert.notEqual(short.reset, 0);
  await assert.rejects(ask1(port, '/short'));
  assert.equal((await ask1(port, '/fine')).body, 'fine');
});

test('a request that only HTTP/1.1 can carry gets a connection of its own kind', async (t) => {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
  await once(server, 'listening');
  server.on('connection', (socket) => socket.on('message', (data, binary) => socket.send(data, { binary })));
  t.after(() => {
    for (const client of server.clients) client.terminate();
    server.close();
  });
  const { port } = server.address() as { port: number };
  const proxy = await startProxy(t, httpTo([`127.0.0.1:${port}`]));
  const socket = new WebSocket(`ws://127.0.0.1:${proxy.port('web')}/`);
  t.after(() => socket.terminate());
  await once(socket, 'open');
  socket.send('hello');
  assert.equal(String((await once(socket, 'message'))[0]), 'hello');
});

test('WebSocket over a stream (RFC 8441) reaches an endpoint of HTTP/1.1', async (t) => {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
  await once(server, 'listening');
  let asked: NodeJS.Dict<string | string[]> = {};
  server.on('connection', (socket, request) => {
    asked = request.headers;
    socket.on('message', (data, binary) => socket.send(data, { binary }));
  });
  t.after(() => {
    for (const client of server.clients) client.terminate();
    server.close();
  });
  const { port } = server.address() as { port: number };
  const proxy = await startProxy(t, httpTo([`127.0.0.1:${port}`]));
  const client = http2Client(t, proxy.port('web'));
  await once(client, 'remoteSettings');
  assert.equal(client.remoteSettings.enableConnectProtocol, true);
  const stream = client.request({
    ':method': 'CONNECT',
    ':protocol': 'websocket',
    ':path': '/chat',
    'sec-websocket-version': '13',
    'sec-websocket-protocol': 'chat',
  });
  const [fields] = await once(stream, 'response');
  assert.equal(fields[':status'], 200);
  assert.equal(fields['sec-websocket-accept'], undefined);
  assert.equal(asked['upgrade'], 'websocket');
  // One masked text frame each way (RFC 6455 5.7: "Hello").
  stream.write(Buffer.from('818537fa213d7f9f4d5158', 'hex'));
  let got = Buffer.alloc(0);
  while (got.length < 7) got = Buffer.concat([got, (await once(stream, 'data'))[0]]);
  assert.equal(got.toString('hex'), '810548656c6c6f');
  stream.close();
  while (server.clients.size > 0) await pause(5);
  const other = client.request({ ':method': 'CONNECT', ':protocol': 'other', ':path': '/' });
  assert.equal((await once(other, 'response'))[0][':status'], 501);
});

const bytes = { requestStream: false, responseStream: false };
const codec = {
  requestSerialize: (value: Buffer) => value,
  requestDeserialize: (value: Buffer) => value,
  responseSerialize: (value: Buffer) => value,
  responseDeserialize: (value: Buffer) => value,
};
const SERVICE: ServiceDefinition = {
  unary: { path: '/t.T/Unary', ...bytes, ...codec },
  clientStream: { path: '/t.T/ClientStream', ...bytes, requestStream: true, ...codec },
  serverStream: { path: '/t.T/ServerStream', ...bytes, responseStream: true, ...codec },
  both: { path: '/t.T/Both', requestStream: true, responseStream: true, ...codec },
  slow: { path: '/t.T/Slow', ...bytes, ...codec },
};

/** A gRPC service behind the proxy, and a client of it. */
async function grpc(t: TestContext) {
  const cancelled: string[] = [];
  const server = new Server();
  const unary: handleUnaryCall<Buffer, Buffer> = (call, done) => {
    if (call.request.toString() === 'bad') {
      const trailers = new Metadata();
      trailers.set('x-why', 'because');
      return done({ code: status.INVALID_ARGUMENT, details: 'bad thing', metadata: trailers });
    }
    done(null, Buffer.concat([Buffer.from('re:'), call.request]));
  };
  const clientStream: handleClientStreamingCall<Buffer, Buffer> = (call, done) => {
    let length = 0;
    call.on('data', (piece: Buffer) => (length += piece.length));
    call.on('end', () => done(null, Buffer.from(String(length))));
  };
  const serverStream: handleServerStreamingCall<Buffer, Buffer> = (call) => {
    for (let at = 0; at < 50; at++) call.write(Buffer.alloc(5000, at));
    call.end();
  };
  const both: handleBidiStreamingCall<Buffer, Buffer> = (call) => {
    call.on('data', (piece: Buffer) => call.write(piece));
    call.on('end', () => call.end());
    call.on('cancelled', () => cancelled.push('both'));
  };
  const slow: handleUnaryCall<Buffer, Buffer> = (call) => {
    cancelled.push('called');
    call.on('cancelled', () => cancelled.push('slow'));
  };
  server.addService(SERVICE, { unary, clientStream, serverStream, both, slow });
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    ),
  );
  t.after(() => server.forceShutdown());
  const proxy = await startProxy(t, httpTo([`127.0.0.1:${port}`], '', 'protocol: h2'));
  const Client = makeGenericClientConstructor(SERVICE, 'T');
  const client = new Client(`127.0.0.1:${proxy.port('web')}`, credentials.createInsecure());
  t.after(() => client.close());
  return { client: client as never as Record<string, (...args: unknown[]) => never>, cancelled, server, proxy };
}

test('gRPC passes in all four kinds, with statuses, cancellation and deadlines', async (t) => {
  const { client, cancelled, server } = await grpc(t);
  const call = (method: string, ...args: unknown[]): Promise<Buffer> =>
    new Promise((resolve, reject) => {
      client[method]!(...args, (error: Error | null, value: Buffer) =>
        error === null ? resolve(value) : reject(error),
      );
    });
  assert.equal(String(await call('unary', Buffer.from('hi'))), 're:hi');
  await assert.rejects(
    call('unary', Buffer.from('bad')),
    (error: { code: number; details: string; metadata: Metadata }) => {
      assert.equal(error.code, status.INVALID_ARGUMENT);
      assert.equal(error.details, 'bad thing');
      assert.deepEqual(error.metadata.get('x-why'), ['because']);
      return true;
    },
  );
  const length = await new Promise((resolve, reject) => {
    const stream = client['clientStream']!((error: Error | null, value: Buffer) =>
      error === null ? resolve(String(value)) : reject(error),
    ) as { write(piece: Buffer): void; end(): void };
    for (let at = 0; at < 100; at++) stream.write(Buffer.alloc(10_000));
    stream.end();
  });
  assert.equal(length, '1000000');
  const down = client['serverStream']!(Buffer.alloc(0)) as ClientReadableStream<Buffer>;
  let pieces = 0;
  for await (const piece of down) assert.equal((piece as Buffer)[0], pieces++);
  assert.equal(pieces, 50);
  // Ping-pong: each message waits for the answer to the one before.
  const both = client['both']!() as ClientReadableStream<Buffer> & {
    write(piece: Buffer): void;
    end(): void;
    cancel(): void;
  };
  for (let at = 0; at < 20; at++) {
    both.write(Buffer.from(`m${at}`));
    assert.equal(String((await once(both, 'data'))[0]), `m${at}`);
  }
  both.end();
  const [end] = await once(both, 'status');
  assert.equal(end.code, status.OK);
  const cut = client['both']!() as typeof both;
  cut.on('error', () => {});
  cut.write(Buffer.from('x'));
  await once(cut, 'data');
  cut.cancel();
  // A call may be over before it has come so far.
  for (let limitMs = 100; !cancelled.includes('called'); limitMs *= 2) {
    await assert.rejects(
      call('slow', Buffer.from('x'), new Metadata(), { deadline: Date.now() + limitMs }),
      (error: { code: number }) => error.code === status.DEADLINE_EXCEEDED,
    );
  }
  while (!cancelled.includes('both') || !cancelled.includes('slow')) await pause(5);
  server.forceShutdown();
  await assert.rejects(call('unary', Buffer.from('hi')), (error: { code: number; details: string }) => {
    assert.equal(error.code, status.UNAVAILABLE);
    assert.match(error.details, /502/);
    return true;
  });
});
