// Every configuration in examples/ but those of TLS (examples-tls.test.ts), started as its comment says and asked for what it is there to show. The ports come
// from the environment, as the files provide for.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { createServer, type IncomingHttpHeaders, request } from 'node:http';
import { type AddressInfo, createServer as createTcpServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { WebSocket, WebSocketServer } from 'ws';
import { ProxyHeader, readProxyHeader } from '../../lib/wire/proxy-protocol.ts';
import { helloMessage, inRecords, serverName } from '../support/client-hello.ts';
import { ask as ask2, http2Client, startHttp2Origin } from '../support/http2.ts';
import { connectPeer } from '../support/peer.ts';
import { freePort, type Millrace, ROOT, run, startMillrace } from '../support/process.ts';

const MAIN = join(ROOT, 'lib/cli/main.ts');

/** By file, so that an example without a test shows. */
const EXERCISES: Readonly<Record<string, (t: TestContext) => Promise<void>>> = {
  'http-load-balancer.yaml': async (t) => {
    const proxy = await start(t, 'http-load-balancer.yaml', { APP_1: await web(t, 'one'), APP_2: await web(t, 'two') });
    const answers: string[] = [];
    for (let turn = 0; turn < 6; turn++) answers.push((await ask(await proxy.port('web'), '/')).text);
    assert.deepEqual(answers.sort(), ['one /', 'one /', 'one /', 'one /', 'two /', 'two /']);
  },

  'tcp-load-balancer.yaml': async (t) => {
    const proxy = await start(t, 'tcp-load-balancer.yaml', {
      DB_1: await greeter(t, 'one'),
      DB_2: await greeter(t, 'two'),
    });
    const port = await proxy.port('db');
    const [first, second] = [await connectPeer(t, port), await connectPeer(t, port)];
    const greetings = [await first.receive('\n'), await second.receive('\n')];
    assert.deepEqual(greetings.sort(), ['one\n', 'two\n']);
    // The one that has lost its connection is the less busy now.
    const leaver = first.text === 'one\n' ? first : second;
    leaver.end();
    await leaver.receiveAll();
    await connectPeer(t, port).then(async (third) => assert.equal(await third.receive('\n'), leaver.text));
  },

  'routes.yaml': async (t) => {
    const proxy = await start(t, 'routes.yaml', { API: await web(t, 'api'), PAGES: await web(t, 'pages') });
    const port = await proxy.port('web');
    assert.deepEqual(brief(await ask(port, '/healthz')), [200, 'ok\n']);
    const moved = await ask(port, '/blog/2024/spring');
    assert.equal(moved.status, 301);
    assert.equal(moved.headers.location, '/articles/2024/spring');
    const users = await ask(port, '/v1/users?page=2', { host: 'api.example.com' });
    assert.equal(users.text, 'api /users?page=2 version 1');
    assert.equal(users.headers['server'], undefined);
    assert.match(String(users.headers['x-host']), /^127\.0\.0\.1:\d+$/);
    assert.equal((await ask(port, '/x', { 'x-beta': '1' }, 'POST')).text, 'api /x');
    assert.equal((await ask(port, '/x', { 'x-beta': '1' })).text, 'pages /x');
    assert.deepEqual(brief(await ask(port, '/', { host: 'shop.example.com' })), [404, 'no such site\n']);
    assert.equal((await ask(port, '/about')).text, 'pages /about');
  },

  'clusters.yaml': async (t) => {
    const env = { ONE: await web(t, 'one'), TWO: await web(t, 'two'), SPARE: await web(t, 'spare') };
    const proxy = await start(t, 'clusters.yaml', env);
    const port = await proxy.port('web');
    const answers = await Promise.all(Array.from({ length: 12 }, () => ask(port, '/')));
    assert.deepEqual([...new Set(answers.map(({ text }) => text))].sort(), ['one /', 'two /']);
  },

  'grpc.yaml': async (t) => {
    const service = await startHttp2Origin(t, (stream, fields) => {
      stream.respond({ ':status': 200 });
      stream.end(`service ${fields[':path']}`);
    });
    const proxy = await start(t, 'grpc.yaml', { SERVICE: String(service.port), PAGES: await web(t, 'pages') });
    const port = await proxy.port('web');
    const client = http2Client(t, port);
    const call = await ask2(client, { ':path': '/app.Service/Call', ':method': 'POST' }, '');
    assert.equal(String(call.body), 'service /app.Service/Call');
    assert.equal(String((await ask2(client, { ':path': '/about' })).body), 'pages /about');
    assert.equal((await ask(port, '/app.Service/Call')).text, 'service /app.Service/Call');
  },

  'websocket.yaml': async (t) => {
    const chats = await Promise.all(['one', 'two'].map((name) => chat(t, name)));
    const proxy = await start(t, 'websocket.yaml', {
      CHAT_1: chats[0]!,
      CHAT_2: chats[1]!,
      PAGES: await web(t, 'pages'),
    });
    const port = await proxy.port('web');
    const heard = await Promise.all(
      [1, 2].map(async () => {
        const socket = new WebSocket(`ws://127.0.0.1:${port}/chat/room`);
        t.after(() => socket.terminate());
        await once(socket, 'open');
        socket.send('hello');
        return String((await once(socket, 'message'))[0]);
      }),
    );
    assert.deepEqual(heard.sort(), ['one heard hello', 'two heard hello']);
    assert.equal((await ask(port, '/')).text, 'pages /');
  },

  'auto-detection.yaml': async (t) => {
    const origins = { WEB: await web(t, 'web'), SECURE: await echo(t), OTHER: await greeter(t, 'database') };
    const proxy = await start(t, 'auto-detection.yaml', origins);
    const port = await proxy.port('all');
    assert.equal((await ask(port, '/')).text, 'web /');
    for (const name of ['secure.example.com', 'a.secure.example.com']) {
      const client = await connectPeer(t, port);
      const hello = inRecords(helloMessage({ extensions: [serverName(name)] }));
      client.send(hello);
      await client.until(() => client.text.length >= hello.length, 'the echo');
      assert.deepEqual(Buffer.from(client.text, 'latin1'), hello);
    }
    const stranger = await connectPeer(t, port);
    stranger.send(inRecords(helloMessage({ extensions: [serverName('other.example.com')] })));
    assert.equal(await stranger.receiveAll(), '');
    const silent = await connectPeer(t, port);
    assert.equal(await silent.receive('\n'), 'database\n');
    const other = await connectPeer(t, port);
    other.send('\x00\x01binary');
    assert.equal(await other.receive('\n'), 'database\n');
  },

  'proxy-protocol.yaml': async (t) => {
    const [app, mail] = [await headed(t), await headed(t)];
    const proxy = await start(t, 'proxy-protocol.yaml', { APP: app.port, MAIL: mail.port });
    const refused = await connectPeer(t, await proxy.port('web'));
    refused.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    assert.equal(await refused.receiveAll(), '');
    const client = await connectPeer(t, await proxy.port('web'));
    client.send('PROXY TCP4 192.0.2.7 192.0.2.8 1234 80\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n');
    assert.match(await client.receive('ok'), /^HTTP\/1\.1 200 OK/);
    assert.match(app.heard(), /\r\nX-Forwarded-For: 192\.0\.2\.7\r\n/i);
    const sender = await connectPeer(t, await proxy.port('mail'));
    sender.send('PROXY TCP4 192.0.2.7 192.0.2.8 1234 25\r\nEHLO me\r\n');
    await sender.receive('ok');
    const header = new ProxyHeader();
    const bytes = Buffer.from(mail.heard(), 'latin1');
    readProxyHeader(bytes, 0, bytes.length, header);
    assert.deepEqual([header.sourceAddress, header.sourcePort], ['192.0.2.7', 1234]);
    assert.equal(bytes.toString('latin1', header.length), 'EHLO me\r\n');
    // Here the header may be missing: then the client is who it seems to be.
    const plain = await connectPeer(t, await proxy.port('mail'));
    plain.send('EHLO me\r\n');
    await plain.receive('ok');
  },

  'operating.yaml': async (t) => {
    const admin = await freePort();
    const proxy = await start(t, 'operating.yaml', {
      APP: await web(t, 'app'),
      ADMIN_PORT: String(admin),
      DRAIN_DELAY: '100ms',
    });
    assert.equal((await ask(await proxy.port('web'), '/')).text, 'app /');
    const at = ['--admin', `127.0.0.1:${admin}`];
    const status = await run(t, process.execPath, [MAIN, 'status', '--json', ...at]);
    const { workers, generation, listeners } = JSON.parse(status.out);
    assert.deepEqual([workers.length, generation, listeners[0].exchanges], [2, 1, 1]);
    assert.equal((await ask(admin, '/v1/ready')).text, '{"ready":true}\n');
    assert.equal((await run(t, process.execPath, [MAIN, 'reload', ...at])).out, 'nothing has changed\n');
    assert.equal((await run(t, process.execPath, [MAIN, 'drain', ...at])).out, 'draining\n');
    assert.equal(await proxy.ended, 0);
  },

  'typescript/millrace.config.ts': async (t) => {
    const proxy = await start(t, 'typescript/millrace.config.ts', {
      RED: await web(t, 'red'),
      BLUE: await web(t, 'blue'),
    });
    const port = await proxy.port('web');
    assert.equal((await ask(port, '/red/a/b')).text, 'red /a/b');
    assert.equal((await ask(port, '/blue/')).text, 'blue /');
    assert.deepEqual(brief(await ask(port, '/healthz')), [200, 'ok\n']);
    assert.equal((await ask(port, '/green/')).status, 404);
  },
};

test('every example has an exercise here', () => {
  const files = readdirSync(join(ROOT, 'examples'), { recursive: true, encoding: 'utf8' });
  const examples = files.filter((file) => /\.(yaml|json|config\.ts)$/.test(file) && !file.startsWith('tls/'));
  assert.deepEqual(examples.sort(), Object.keys(EXERCISES).sort());
});

for (const [file, exercise] of Object.entries(EXERCISES)) test(`examples/${file} does what it says`, exercise);

/** `millrace run -c examples/FILE` on free ports; with one event loop, so that turns are in turn, where it names no number. */
async function start(t: TestContext, file: string, env: Record<string, string>): Promise<Millrace> {
  const loops = 'ADMIN_PORT' in env ? [] : ['--workers', '1'];
  return startMillrace(t, ['run', '-c', join('examples', file), ...loops], { PORT: '0', MAIL_PORT: '0', ...env });
}

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

async function ask(port: number, path: string, headers: Record<string, string> = {}, method = 'GET'): Promise<Answer> {
  const sent = request({ host: '127.0.0.1', port, path, method, headers, agent: false }).end();
  const [response] = await once(sent, 'response');
  let text = '';
  for await (const piece of response) text += piece;
  return { status: response.statusCode, headers: response.headers, text };
}

function brief({ status, text }: Answer): [number, string] {
  return [status, text];
}

/** An HTTP origin that says its name and what it was asked for; answers its port. */
async function web(t: TestContext, name: string): Promise<string> {
  const server = createServer((request, response) => {
    response.setHeader('server', 'origin');
    response.setHeader('x-host', request.headers.host ?? '');
    const version = request.headers['x-api-version'];
    response.end(`${name} ${request.url}${version === undefined ? '' : ` version ${version}`}`);
  });
  t.after(() => void server.close().closeAllConnections());
  return listening(server);
}

/** A TCP server that speaks first. */
function greeter(t: TestContext, name: string): Promise<string> {
  return tcp(t, (socket) => socket.write(`${name}\n`));
}

function echo(t: TestContext): Promise<string> {
  return tcp(t, (socket) => socket.pipe(socket));
}

/** A server that keeps what it hears and answers `ok` in HTTP, which other protocols' clients here look for as well. */
async function headed(t: TestContext): Promise<{ port: string; heard(): string }> {
  let heard = '';
  const port = await tcp(t, (socket) =>
    socket.on('data', (bytes: Buffer) => {
      heard += bytes.toString('latin1');
      if (heard.endsWith('\r\n')) socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
    }),
  );
  return { port, heard: () => heard };
}

async function chat(t: TestContext, name: string): Promise<string> {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
  server.on('connection', (socket) => socket.on('message', (text) => socket.send(`${name} heard ${text}`)));
  t.after(() => {
    for (const socket of server.clients) socket.terminate();
    server.close();
  });
  await once(server, 'listening');
  return String((server.address() as AddressInfo).port);
}

async function tcp(t: TestContext, serve: (socket: Socket) => void): Promise<string> {
  const sockets = new Set<Socket>();
  const server = createTcpServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    // Not read otherwise, and then a client's end would go unnoticed.
    socket.resume();
    serve(socket);
  });
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return listening(server);
}

async function listening(server: Server): Promise<string> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return String((server.address() as AddressInfo).port);
}
