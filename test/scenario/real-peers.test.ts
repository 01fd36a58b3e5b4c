// Clients and servers that nobody here wrote, through the whole proxy: curl, nginx, HAProxy, the `ws` package, node:http
// and undici. What they make of our bytes is the proof; the bytes themselves are tested elsewhere.

import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createServer, Agent as HttpAgent, request as httpRequest, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { Agent, fetch } from 'undici';
import { WebSocket, WebSocketServer } from 'ws';
import {
  findProgram,
  type Program,
  run,
  startMillrace,
  startOnFreePort,
  startProgram,
  temporaryFolder,
} from '../support/process.ts';
import { httpTo, startProxy, type TestProxy, tcpTo } from '../support/proxy.ts';

const curl = findProgram('curl', 'curl');
const nginx = findProgram('nginx', 'nginx');
const haproxy = findProgram('haproxy', 'haproxy');
const withNginx = { skip: curl === null || nginx === null };
const withHaproxy = { skip: curl === null || haproxy === null };

/** Large enough for several reads and writes, and not compressible. */
const large = randomBytes(3 * 1024 * 1024 + 7);

test('curl gets, heads, posts, puts and asks for ranges of what nginx serves', withNginx, async (t) => {
  const { url, folder } = await throughNginx(t);
  const get = await curlOf(t, ['-i', `${url}/hello.txt`]);
  assert.match(get.out, /^HTTP\/1\.1 200 OK\r\n/);
  assert.match(get.out, /\r\nServer: nginx[\s\S]*\r\n\r\nhello from nginx\n$/);
  const head = await curlOf(t, ['-I', `${url}/hello.txt`]);
  assert.match(head.out, /\r\nContent-Length: 17\r\n[\s\S]*\r\n\r\n$/);
  const old = await curlOf(t, ['--http1.0', '-i', `${url}/hello.txt`]);
  assert.match(old.out, /^HTTP\/1\.1 200 OK\r\n[\s\S]*hello from nginx\n$/);
  assert.doesNotMatch(old.out, /transfer-encoding/i);
  assert.equal((await curlOf(t, ['-r', '6-9', `${url}/hello.txt`])).out, 'from');
  const ranges = await curlOf(t, ['-i', '-r', '0-4,11-15', `${url}/hello.txt`]);
  assert.match(ranges.out, /206 Partial Content[\s\S]*multipart\/byteranges[\s\S]*hello\r\n[\s\S]*nginx\r\n/);
  assert.match((await curlOf(t, ['-i', '-r', '99-', `${url}/hello.txt`])).out, / 416 /);
  assert.match((await curlOf(t, ['-i', '-d', 'a=b', `${url}/echo`])).out, / 200 OK[\s\S]*\r\n\r\n(POST) 3$/);
  assert.match((await curlOf(t, ['-i', `${url}/none`])).out, / 404 Not Found/);
  const changed = /Last-Modified: (.*)\r\n/.exec(get.out)![1]!;
  const same = await curlOf(t, ['-i', '-H', `If-Modified-Since: ${changed}`, `${url}/hello.txt`]);
  assert.match(same.out, /^HTTP\/1\.1 304 Not Modified\r\n[\s\S]*\r\n\r\n$/);
  writeFileSync(join(folder, 'upload'), large);
  const put = await curlOf(t, ['-i', '-T', join(folder, 'upload'), `${url}/put/file`]);
  assert.match(put.out, / 100 Continue\r\n\r\nHTTP\/1\.1 201 Created\r\n/);
  assert.deepEqual(readFileSync(join(folder, 'site/put/file')), large);
});

test('a chunked upload and one with a length arrive at nginx byte for byte', withNginx, async (t) => {
  const { url, folder } = await throughNginx(t);
  const chunked = await curlOf(t, ['-i', '-T', '-', `${url}/put/chunked`], large);
  assert.match(chunked.out, / 201 Created\r\n/);
  assert.deepEqual(readFileSync(join(folder, 'site/put/chunked')), large);
  const hurried = await curlOf(t, ['-i', '-H', 'Expect:', '-T', '-', `${url}/put/hurried`], large);
  assert.match(hurried.out, /^HTTP\/1\.1 201 Created\r\n/);
  assert.deepEqual(readFileSync(join(folder, 'site/put/hurried')), large);
});

test('nginx refuses a body that is too large before curl has sent it', withNginx, async (t) => {
  const { url, folder } = await throughNginx(t);
  writeFileSync(join(folder, 'upload'), large);
  const refused = await curlOf(t, ['-i', '-T', join(folder, 'upload'), `${url}/small/file`]);
  assert.match(refused.out, /^HTTP\/1\.1 413 /);
  assert.equal(existsSync(join(folder, 'site/small/file')), false);
});

test('a coding between nginx and curl is nobody else’s business', withNginx, async (t) => {
  const { url, folder } = await throughNginx(t);
  const packed = await curlOf(t, [
    '-i',
    '-H',
    'Accept-Encoding: gzip',
    '-o',
    join(folder, 'packed'),
    `${url}/large.txt`,
  ]);
  assert.equal(packed.code, 0);
  const bytes = readFileSync(join(folder, 'packed'));
  assert.match(bytes.toString('latin1'), /\r\nContent-Encoding: gzip\r\n/);
  assert.ok(bytes.length < statSync(join(folder, 'site/large.txt')).size);
  assert.equal(
    (await curlOf(t, ['--compressed', `${url}/large.txt`])).out,
    readFileSync(join(folder, 'site/large.txt'), 'latin1'),
  );
});

test('curl uses one connection for several requests, and so does the proxy towards nginx', withNginx, async (t) => {
  const { url } = await throughNginx(t);
  const urls = ['hello.txt', 'none', 'connection', 'hello.txt', 'connection'].map((path) => `${url}/${path}`);
  const several = await curlOf(t, ['-w', '[%{num_connects}]', ...urls]);
  // In brackets what curl opened; the lines of nginx: which of its connections, and how many requests it had.
  assert.match(several.out, /^hello[^[]*\[1\][^[]*\[0\]1 3\n\[0\]hello[^[]*\[0\]1 5\n\[0\]$/);
});

test('the one-line proxies serve nginx to curl', withNginx, async (t) => {
  const folder = temporaryFolder(t);
  const { port } = await startOnFreePort((port) => startNginx(t, folder, `127.0.0.1:${port}`));
  for (const protocol of ['http', 'tcp']) {
    const proxy = startMillrace(t, [protocol, '127.0.0.1:0', `127.0.0.1:${port}`]);
    const url = `http://${await proxy.address(protocol)}`;
    const put = await curlOf(t, ['-i', '-T', '-', `${url}/put/${protocol}`], large);
    assert.match(put.out, / 201 Created\r\n/);
    assert.deepEqual(readFileSync(join(folder, 'site/put', protocol)), large);
    assert.equal((await curlOf(t, [`${url}/hello.txt`])).out, 'hello from nginx\n');
    assert.equal(await proxy.end('SIGTERM'), 0);
  }
});

test('nginx on a unix socket', withNginx, async (t) => {
  const folder = temporaryFolder(t);
  const path = join(folder, 'nginx.sock');
  const program = startNginx(t, folder, `unix:${path}`);
  await program.until(() => existsSync(path), 'the socket');
  const proxy = await startProxy(t, httpTo([`unix:${path}`]));
  assert.equal((await curlOf(t, [`http://127.0.0.1:${proxy.port('web')}/hello.txt`])).out, 'hello from nginx\n');
});

test('HAProxy in front tells who the client is by PROXY protocol, version 1 and 2', withHaproxy, async (t) => {
  const origin = await startHttp(t, (request) => `${request.headers['x-forwarded-for']}`);
  for (const version of ['send-proxy', 'send-proxy-v2']) {
    const proxy = await startProxy(
      t,
      httpTo([origin.address], 'proxyProtocol: require\ntrustedProxies: [127.0.0.1]', ''),
    );
    const front = await startHaproxy(t, 'http', `server millrace 127.0.0.1:${proxy.port('web')} ${version}`);
    const [first, second] = [['127.0.0.2'], ['127.0.0.3']];
    for (const [source] of [first, second]) {
      const told = await curlOf(t, ['--interface', source!, `http://127.0.0.1:${front}/`]);
      assert.equal(told.out, source);
    }
  }
});

test('HAProxy behind reads our PROXY headers, version 1 and 2, at layer 7 and layer 4', withHaproxy, async (t) => {
  const origin = await startHttp(t, (request) => `${request.headers['x-seen-by-haproxy']}`);
  const back = await startHaproxy(
    t,
    'http',
    `http-request set-header x-seen-by-haproxy %[src]\n  server origin ${origin.address}`,
    'accept-proxy',
  );
  for (const version of ['v1', 'v2']) {
    const proxy = await startProxy(t, tcpTo([`127.0.0.1:${back}`], '', `proxyProtocol: ${version}`));
    const told = await curlOf(t, ['--interface', '127.0.0.4', `http://127.0.0.1:${proxy.port('raw')}/`]);
    assert.equal(told.out, '127.0.0.4');
  }
});

test('HAProxy in front and behind at once: bodies both ways, keep-alive on every hop', withHaproxy, async (t) => {
  const origin = await startHttp(t, (request, body) => `${request.method} ${digest(body)}`);
  const back = await startHaproxy(t, 'http', `server origin ${origin.address}`);
  const proxy = await startProxy(t, httpTo([`127.0.0.1:${back}`]));
  const front = await startHaproxy(t, 'http', `server millrace 127.0.0.1:${proxy.port('web')}`);
  const url = `http://127.0.0.1:${front}/`;
  for (const body of [large, large.subarray(0, 100)]) {
    assert.equal((await curlOf(t, ['-T', '-', url], body)).out, `PUT ${digest(body)}`);
    assert.equal((await curlOf(t, ['--data-binary', '@-', url], body)).out, `POST ${digest(body)}`);
  }
  assert.equal(origin.connections(), 1);
});

test('ws talks to ws: text, binary, a mebibyte, ping, pong and close codes both ways', async (t) => {
  for (const perMessageDeflate of [false, true]) {
    const { client, server } = await throughWebSocket(t, perMessageDeflate);
    assert.equal(client.extensions, perMessageDeflate ? 'permessage-deflate' : '');
    const messages = ['text: grüß', Buffer.from([0, 255, 13, 10]), large.subarray(0, 1024 * 1024), ''];
    for (const message of messages) {
      client.send(message);
      const [heard, binary] = await once(server, 'message');
      assert.equal(binary, typeof message !== 'string');
      assert.deepEqual(heard, Buffer.from(message as string));
      server.send(heard, { binary });
      const [echo] = await once(client, 'message');
      assert.deepEqual(echo, heard);
    }
    client.ping('are you there');
    assert.equal(String((await once(client, 'pong'))[0]), 'are you there');
    server.ping('and you');
    assert.equal(String((await once(server, 'pong'))[0]), 'and you');
    if (perMessageDeflate) server.close(4001, 'enough');
    else client.close(4000, 'goodbye');
    const [seen, asked] = perMessageDeflate ? [client, server] : [server, client];
    const [[code, reason]] = await Promise.all([once(seen, 'close'), once(asked, 'close')]);
    assert.deepEqual([code, String(reason)], perMessageDeflate ? [4001, 'enough'] : [4000, 'goodbye']);
  }
});

test('a WebSocket server that breaks off is seen as broken off, and one that refuses as what it answered', async (t) => {
  const { client, server, url } = await throughWebSocket(t, false);
  server.terminate();
  assert.equal((await once(client, 'close'))[0], 1006);
  const refused = new WebSocket(`${url}/refused`);
  const [, response] = (await once(refused, 'unexpected-response')) as [unknown, IncomingMessage];
  assert.equal(response.statusCode, 403);
  refused.on('error', () => {});
  refused.terminate();
});

test('many messages in both directions at once keep their order', async (t) => {
  const { client, server } = await throughWebSocket(t, false);
  const count = 2000;
  const collect = (socket: WebSocket): Promise<string[]> =>
    new Promise((resolve) => {
      const heard: string[] = [];
      socket.on('message', (message) => {
        heard.push(String(message).slice(0, 8));
        if (heard.length === count) resolve(heard);
      });
    });
  const both = [collect(client), collect(server)];
  const wanted: string[] = [];
  for (let number = 0; number < count; number++) {
    const message = String(number).padStart(8, '0');
    wanted.push(message);
    for (const socket of [client, server]) socket.send(message + 'x'.repeat((number * 37) % 3000));
  }
  assert.deepEqual(await Promise.all(both), [wanted, wanted]);
});

test('node:http on both sides: keep-alive, bodies, trailers and early hints', async (t) => {
  const origin = await startHttp(t, (request, body) => `${request.method} ${request.url} ${digest(body)}`);
  const proxy = await startProxy(t, httpTo([origin.address]));
  const agent = new HttpAgent({ keepAlive: true, maxSockets: 4 });
  t.after(() => agent.destroy());
  const ask = (path: string, method: string, body: Uint8Array, headers = {}): Promise<IncomingMessage> => {
    const request = httpRequest({ agent, port: proxy.port('web'), host: '127.0.0.1', path, method, headers });
    request.end(body);
    return once(request, 'response').then(([response]) => response as IncomingMessage);
  };
  const rounds = Array.from({ length: 60 }, async (_, round) => {
    const body = large.subarray(0, (round * 7919) % 200_000);
    const method = round % 3 === 0 ? 'GET' : 'POST';
    const response = await ask(`/${round}`, method, method === 'GET' ? Buffer.alloc(0) : body);
    assert.equal(response.statusCode, 200);
    assert.equal(await textOf(response), `${method} /${round} ${digest(method === 'GET' ? Buffer.alloc(0) : body)}`);
  });
  await Promise.all(rounds);
  assert.ok(origin.connections() <= 4);
  const trailed = await ask('/trailers', 'GET', Buffer.alloc(0), { te: 'trailers' });
  assert.equal(await textOf(trailed), 'with trailers');
  assert.equal(trailed.trailers['x-digest'], 'abc');
  const hinted = httpRequest({ agent, port: proxy.port('web'), host: '127.0.0.1', path: '/hints' });
  hinted.end();
  const [[information], [final]] = await Promise.all([once(hinted, 'information'), once(hinted, 'response')]);
  assert.equal(information.statusCode, 103);
  assert.equal(information.headers.link, '</style.css>; rel=preload');
  assert.equal(await textOf(final), 'after the hints');
});

test('undici fetches with a streaming body and reads a stream as it comes', async (t) => {
  const origin = await startHttp(t, (request, body) => `${request.headers['transfer-encoding']} ${digest(body)}`);
  const proxy = await startProxy(t, httpTo([origin.address]));
  const dispatcher = new Agent({ pipelining: 1 });
  t.after(() => dispatcher.destroy());
  const url = `http://127.0.0.1:${proxy.port('web')}`;
  async function* pieces(): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < large.length; at += 100_003) yield large.subarray(at, at + 100_003);
  }
  const sent = await fetch(`${url}/`, { method: 'POST', body: pieces(), duplex: 'half', dispatcher });
  assert.equal(await sent.text(), `chunked ${digest(large)}`);
  const events = await fetch(`${url}/events`, { dispatcher });
  const reader = events.body!.getReader();
  for (let event = 0; event < 3; event++) {
    // The origin sends the next one only when it has been told that this one is here.
    const { value } = await reader.read();
    assert.equal(Buffer.from(value as Uint8Array).toString(), `data: ${event}\n\n`);
    await (await fetch(`${url}/next`, { dispatcher })).text();
  }
  assert.equal((await reader.read()).done, true);
  const packed = await fetch(`${url}/packed`, { dispatcher });
  assert.equal(packed.headers.get('content-encoding'), 'gzip');
  assert.equal(await packed.text(), 'packed '.repeat(1000));
  const aborting = new AbortController();
  const endless = await fetch(`${url}/endless`, { dispatcher, signal: aborting.signal });
  await endless.body!.getReader().read();
  const gone = once(origin.server, 'endless-gone');
  aborting.abort();
  await gone;
});

/** nginx with a small site, and the proxy in front of it. */
async function throughNginx(t: TestContext): Promise<{ url: string; folder: string }> {
  const folder = temporaryFolder(t);
  const { port } = await startOnFreePort((port) => startNginx(t, folder, `127.0.0.1:${port}`));
  const proxy = await startProxy(t, httpTo([`127.0.0.1:${port}`]));
  return { url: `http://127.0.0.1:${proxy.port('web')}`, folder };
}

function startNginx(t: TestContext, folder: string, listen: string): Program {
  mkdirSync(join(folder, 'site/put'), { recursive: true });
  writeFileSync(join(folder, 'site/hello.txt'), 'hello from nginx\n');
  writeFileSync(join(folder, 'site/large.txt'), 'All work and no play makes a long file.\n'.repeat(20_000));
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((name) => `${name}_temp_path ${folder}/${name};`)
    .join('\n  ');
  // One process, so that its id is all that must be known to stop it.
  const configuration = `
daemon off;
master_process off;
pid ${folder}/nginx.pid;
error_log stderr warn;
events { worker_connections 256; }
http {
  ${temporary}
  access_log off;
  gzip on;
  gzip_proxied any;
  gzip_types text/plain;
  types { text/plain txt; }
  server {
    listen ${listen};
    root ${folder}/site;
    client_max_body_size 0;
    location = /echo { return 200 "$request_method $content_length"; }
    location = /connection { return 200 "$connection $connection_requests\\n"; }
    location /put/ { dav_methods PUT; }
    location /small/ { dav_methods PUT; client_max_body_size 1k; }
  }
}
`;
  const file = join(folder, 'nginx.conf');
  writeFileSync(file, configuration);
  return startProgram(t, nginx!, ['-e', 'stderr', '-p', folder, '-c', file]);
}

/** HAProxy with one frontend and one server line; answers its port. */
async function startHaproxy(t: TestContext, mode: string, server: string, bind = ''): Promise<number> {
  const folder = temporaryFolder(t);
  const file = join(folder, 'haproxy.cfg');
  const { port } = await startOnFreePort((port) => {
    writeFileSync(
      file,
      `
global
  nbthread 1
defaults
  mode ${mode}
  timeout connect 5s
  timeout client 30s
  timeout server 30s
  http-reuse always
listen through
  bind 127.0.0.1:${port} ${bind}
  ${server}
`,
    );
    return startProgram(t, haproxy!, ['-db', '-q', '-f', file]);
  });
  return port;
}

/** Runs curl quietly; fails when curl does. */
async function curlOf(
  t: TestContext,
  args: readonly string[],
  input: Uint8Array | string = '',
): Promise<{ code: number | string; out: string }> {
  const { code, out, err } = await run(t, curl!, ['-sS', '-m', '20', '-q', ...args], input);
  assert.equal(code, 0, `curl ${args.join(' ')}: ${err}`);
  return { code, out };
}

/** A node:http origin; what it says of a request and its body is up to `say`. */
async function startHttp(
  t: TestContext,
  say: (request: IncomingMessage, body: Buffer) => string,
): Promise<{ address: string; server: Server; connections(): number }> {
  let connections = 0;
  let next: (() => void) | null = null;
  const server = createServer((request, response) => {
    if (request.url === '/trailers') {
      response.writeHead(200, { trailer: 'x-digest' });
      response.write('with trailers');
      response.addTrailers({ 'x-digest': 'abc' });
      response.end();
    } else if (request.url === '/hints') {
      response.writeEarlyHints({ link: '</style.css>; rel=preload' }, () => response.end('after the hints'));
    } else if (request.url === '/events') {
      let event = 0;
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      const send = (): void => void response.write(`data: ${event++}\n\n`);
      next = () => (event < 3 ? send() : response.end());
      send();
    } else if (request.url === '/next') {
      response.end();
      next?.();
    } else if (request.url === '/packed') {
      response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync('packed '.repeat(1000)));
    } else if (request.url === '/endless') {
      const timer = setInterval(() => response.write('more '), 5);
      response.on('close', () => {
        clearInterval(timer);
        server.emit('endless-gone');
      });
    } else {
      const pieces: Buffer[] = [];
      request.on('data', (piece) => pieces.push(piece));
      request.on('end', () => response.end(say(request, Buffer.concat(pieces))));
    }
  });
  server.on('connection', () => connections++);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => void server.close().closeAllConnections());
  const { port } = server.address() as AddressInfo;
  return { address: `127.0.0.1:${port}`, server, connections: () => connections };
}

/** Both ends of a WebSocket that goes through the proxy. */
async function throughWebSocket(
  t: TestContext,
  perMessageDeflate: boolean,
): Promise<{ client: WebSocket; server: WebSocket; url: string; proxy: TestProxy }> {
  const sockets = new WebSocketServer({
    port: 0,
    host: '127.0.0.1',
    perMessageDeflate,
    verifyClient: ({ req }, answer) => (req.url === '/refused' ? answer(false, 403, 'no') : answer(true)),
  });
  await once(sockets, 'listening');
  const proxy = await startProxy(t, httpTo([`127.0.0.1:${(sockets.address() as AddressInfo).port}`]));
  const url = `ws://127.0.0.1:${proxy.port('web')}`;
  const client = new WebSocket(url, { perMessageDeflate });
  t.after(() => {
    client.terminate();
    for (const socket of sockets.clients) socket.terminate();
    sockets.close();
  });
  const [[server]] = await Promise.all([once(sockets, 'connection'), once(client, 'open')]);
  return { client, server: server as WebSocket, url, proxy };
}

async function textOf(response: IncomingMessage): Promise<string> {
  let text = '';
  for await (const piece of response.setEncoding('latin1')) text += piece;
  return text;
}

function digest(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex').slice(0, 16);
}
