// TLS towards endpoints: who is believed, and that nobody else gets a byte of a request.

import assert from 'node:assert/strict';
import { createHash, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { createSecureServer } from 'node:http2';
import { createServer as createHttpsServer } from 'node:https';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import { type TestContext, test } from 'node:test';
import { createServer, type TlsOptions } from 'node:tls';
import { WebSocket, WebSocketServer } from 'ws';
import { makeAuthority, makeLeaf } from '../../certs/make.ts';
import { Certificates, type Filed } from '../support/certificates.ts';
import { ask, http2Client } from '../support/http2.ts';
import { startProxy, type TestProxy } from '../support/proxy.ts';

interface Origin {
  readonly port: number;
  /** Bytes of requests that have come. */
  readonly seen: { bytes: number; handshakes: number; resumed: number; names: string[] };
}

/** An origin of one reply over TLS that counts. */
async function origin(
  t: TestContext,
  { cert, key }: { cert: string; key: string },
  options: TlsOptions = {},
): Promise<Origin> {
  const seen = { bytes: 0, handshakes: 0, resumed: 0, names: [] as string[] };
  const server = createServer({ cert, key, ...options }, (socket) => {
    seen.handshakes++;
    if (socket.isSessionReused()) seen.resumed++;
    seen.names.push(String(socket.servername));
    socket.on('error', () => {});
    socket.on('data', (bytes) => {
      seen.bytes += bytes.length;
      socket.end('HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nfine');
    });
  });
  server.on('tlsClientError', () => {});
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  return { port: (server.address() as AddressInfo).port, seen };
}

function start(t: TestContext, port: number, tls: string, more = ''): Promise<TestProxy> {
  return startProxy(
    t,
    `
log: { level: debug }
listeners:
  web: { bind: 127.0.0.1:0, cluster: app }
clusters:
  app:
    endpoints: ["127.0.0.1:${port}"]
    tls: { ${tls} }
    ${more}
`,
  );
}

const file = (path: string): string => JSON.stringify(path);

async function fetched(proxy: TestProxy): Promise<string> {
  const reply = await fetch(`http://127.0.0.1:${proxy.port('web')}/`, { headers: { Connection: 'close' } });
  return `${reply.status} ${(await reply.text()).split('\n')[0]}`;
}

test('an endpoint is believed by its authority and its name, and by nothing less', async (t) => {
  const certificates = new Certificates(t);
  const day = 24 * 60 * 60 * 1000;
  const good = certificates.leaf(['127.0.0.1']);
  const named = certificates.leaf(['inner.test']);
  const expired = certificates.leaf(['127.0.0.1'], Date.now() - 100 * day, 'expired');
  const stranger = makeLeaf(makeAuthority('stranger'), { names: ['127.0.0.1'] });
  const self = makeAuthority('127.0.0.1');
  const ca = `ca: ${file(certificates.caFile)}`;
  const cases: [string, { cert: string; key: string }, string, RegExp | null][] = [
    ['its authority and name', good, ca, null],
    ['a name of the configuration', named, `${ca}, serverName: inner.test`, null],
    ['another name', named, ca, /certificate not_for 127\.0\.0\.1/],
    ['another name of the configuration', good, `${ca}, serverName: inner.test`, /certificate not_for inner\.test/],
    ['expired', expired, ca, /certificate CERT_HAS_EXPIRED/],
    ['another authority', stranger, ca, /certificate UNABLE_TO/],
    ['its own authority', self, ca, /certificate (DEPTH_ZERO_SELF_SIGNED_CERT|UNABLE_TO|SELF_SIGNED|INVALID_PURPOSE)/],
    ['no public authority', good, '', /certificate (UNABLE_TO|SELF_SIGNED|INVALID_PURPOSE)/],
  ];
  for (const [name, pair, tls, fault] of cases) {
    const { port, seen } = await origin(t, pair);
    const proxy = await start(t, port, tls);
    const answer = await fetched(proxy);
    if (fault === null) {
      assert.equal(answer, '200 fine', name);
      continue;
    }
    assert.equal(answer, '502 502 Bad Gateway', name);
    assert.equal(seen.bytes, 0, name);
    const told = proxy.log.find(({ cause }) => cause === 'tls_failed');
    assert.match(String(told?.['detail']), fault, name);
  }
});

test('pins stand in for authorities, and a certificate that is not pinned is refused', async (t) => {
  const self = makeAuthority('anybody');
  const { port, seen } = await origin(t, self);
  const pin = createHash('sha256').update(new X509Certificate(self.cert).raw).digest('hex');
  assert.equal(await fetched(await start(t, port, `pins: ["${pin}"]`)), '200 fine');
  const colons = new X509Certificate(self.cert).fingerprint256;
  assert.equal(await fetched(await start(t, port, `pins: ["${'0'.repeat(64)}", "${colons}"]`)), '200 fine');
  const { bytes } = seen;
  const wrong = await start(t, port, `pins: ["${'0'.repeat(64)}"]`);
  assert.equal(await fetched(wrong), '502 502 Bad Gateway');
  assert.equal(seen.bytes, bytes);
  assert.match(JSON.stringify(wrong.log), /not_pinned/);
});

test('`insecure` takes everybody, and says so loudly', async (t) => {
  const { port } = await origin(t, makeAuthority('anybody'));
  const proxy = await start(t, port, 'insecure: true');
  assert.equal(await fetched(proxy), '200 fine');
  assert.ok(proxy.log.some(({ level, message }) => level === 'warn' && /not verified/.test(String(message))));
});

test('endpoints that ask for a certificate get ours', async (t) => {
  const certificates = new Certificates(t);
  const clients = makeAuthority('clients');
  const own: Filed = certificates.write('own', makeLeaf(clients, { names: ['proxy.test'] }));
  const { port } = await origin(t, certificates.leaf(['127.0.0.1']), {
    requestCert: true,
    rejectUnauthorized: true,
    ca: clients.cert,
  });
  const ca = `ca: ${file(certificates.caFile)}`;
  assert.equal(
    await fetched(await start(t, port, `${ca}, cert: ${file(own.certFile)}, key: ${file(own.keyFile)}`)),
    '200 fine',
  );
  assert.match(await fetched(await start(t, port, ca)), /^502/);
});

test('sessions are resumed from one connection to the next', async (t) => {
  const certificates = new Certificates(t);
  for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
    const { port, seen } = await origin(t, certificates.leaf(['127.0.0.1']), { maxVersion });
    const proxy = await start(t, port, `ca: ${file(certificates.caFile)}`);
    for (let round = 0; round < 5; round++) assert.equal(await fetched(proxy), '200 fine');
    assert.equal(seen.handshakes, 5, maxVersion);
    assert.equal(seen.resumed, 4, maxVersion);
  }
});

test('an endpoint that never finishes its handshake is given up in time', async (t) => {
  const server = createTcpServer((socket) => socket.on('error', () => {}).resume());
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const proxy = await start(t, (server.address() as AddressInfo).port, 'handshakeTimeout: 100ms');
  assert.match(await fetched(proxy), /^502/);
  assert.match(JSON.stringify(proxy.log), /handshake_timeout/);
});

test('ALPN decides the version: HTTP/2 where the endpoint speaks it, HTTP/1.1 where a request needs that', async (t) => {
  const certificates = new Certificates(t);
  const leaf = certificates.leaf(['127.0.0.1']);
  const server = createSecureServer({ cert: leaf.cert, key: leaf.key, allowHTTP1: true }, (request, response) => {
    response.end(request.httpVersion);
  });
  const sockets = new WebSocketServer({ noServer: true });
  server.on('upgrade', (request, socket, head) =>
    sockets.handleUpgrade(request, socket, head, (client) =>
      client.on('message', (text) => client.send(`re: ${text}`)),
    ),
  );
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    for (const client of sockets.clients) client.terminate();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  const ca = `ca: ${file(certificates.caFile)}`;
  const both = await start(t, port, `${ca}, alpn: [h2, http/1.1]`);
  assert.equal(await fetched(both), '200 2.0');
  const client = http2Client(t, both.port('web'));
  assert.equal(String((await ask(client, { ':path': '/' })).body), '2.0');
  const socket = new WebSocket(`ws://127.0.0.1:${both.port('web')}/`);
  t.after(() => socket.terminate());
  await once(socket, 'open');
  socket.send('hello');
  assert.equal(String((await once(socket, 'message'))[0]), 're: hello');
  assert.equal(await fetched(await start(t, port, ca)), '200 1.1', 'HTTP/1.1 unless told otherwise');
});

test('bodies of megabytes go from TLS to TLS, byte by byte', async (t) => {
  const certificates = new Certificates(t);
  const leaf = certificates.leaf(['127.0.0.1']);
  const server = createHttpsServer({ cert: leaf.cert, key: leaf.key }, (request, response) => request.pipe(response));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  const proxy = await start(t, port, `ca: ${file(certificates.caFile)}`);
  const body = Buffer.from(Array.from({ length: 3_000_001 }, (_, at) => (at * 7 + (at >> 9)) & 255));
  const replies = await Promise.all(
    Array.from({ length: 4 }, () =>
      fetch(`http://127.0.0.1:${proxy.port('web')}/`, { method: 'POST', body }).then((reply) => reply.arrayBuffer()),
    ),
  );
  for (const reply of replies) assert.ok(Buffer.from(reply).equals(body));
});
