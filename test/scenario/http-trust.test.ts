// What hostile clients and origins try against the trust between them: forged identities, replies nobody asked for,
// fields that slip past a route's edits.

import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { test } from 'node:test';
import { answering, startOrigin } from '../support/origin.ts';
import { connectPeer } from '../support/peer.ts';
import { httpTo, startProxy } from '../support/proxy.ts';

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';

test('a client that resets right after its request is not taken for a trusted one', async (t) => {
  const origin = await startOrigin(t, answering(OK));
  const proxy = await startProxy(t, httpTo([origin.address]));
  for (let i = 0; i < 20; i++) {
    // In the same process the reset is on its way before the proxy can accept.
    const socket = connect({ port: proxy.port('web'), host: '127.0.0.1' });
    await new Promise<void>((resolve) => socket.once('connect', resolve));
    socket.write('POST /race HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 6.6.6.6\r\nContent-Length: 0\r\n\r\n');
    socket.resetAndDestroy();
  }
  const after = await connectPeer(t, proxy.port('web'));
  after.send('GET /after HTTP/1.1\r\nHost: a\r\n\r\n');
  await after.receive('ok');
  for (const peer of origin.peers) assert.doesNotMatch(peer.text, /6\.6\.6\.6/);
});

test('the path of a PROXY header never gets into a head, and names nobody who is trusted', async (t) => {
  const origin = await startOrigin(t, answering(OK));
  const proxy = await startProxy(
    t,
    httpTo([origin.address], 'proxyProtocol: require\ntrustedProxies: [127.0.0.0/8]', 'pool: { idle: 0 }'),
  );
  for (const path of ['/tmp/x\r\nX-Admin: 1', '']) {
    const addresses = Buffer.alloc(216);
    addresses.write(path, 0, 'latin1');
    const client = await connectPeer(t, proxy.port('web'));
    client.send(
      Buffer.concat([
        Buffer.from('0d0a0d0a000d0a515549540a213100d8', 'hex'),
        addresses,
        Buffer.from('GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 6.6.6.6\r\n\r\n'),
      ]),
    );
    await client.receive('ok');
    const seen = origin.peers.at(-1)!.text;
    assert.match(seen, /\r\nX-Forwarded-For: unknown\r\n/);
    assert.doesNotMatch(seen, /X-Admin|6\.6\.6\.6/);
  }
});

test('behind a PROXY header that names nobody, what the client says about itself is not believed', async (t) => {
  const origin = await startOrigin(t, answering(OK));
  const proxy = await startProxy(t, httpTo([origin.address], 'proxyProtocol: require\ntrustedProxies: [127.0.0.0/8]'));
  const client = await connectPeer(t, proxy.port('web'));
  client.send('PROXY UNKNOWN\r\nGET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 6.6.6.6\r\n\r\n');
  await client.receive('ok');
  assert.doesNotMatch(origin.peers[0]!.text, /6\.6\.6\.6/);
});

test('an interim reply ends with its head, whatever it says about a body', async (t) => {
  for (const framing of ['Content-Length: 46', 'Transfer-Encoding: chunked']) {
    const forged = 'HTTP/1.1 200 FORGED\r\nContent-Length: 4\r\n\r\nevil';
    const origin = await startOrigin(t, answering(`HTTP/1.1 150 X\r\n${framing}\r\n\r\n${forged}${OK}`));
    const proxy = await startProxy(t, httpTo([origin.address]));
    const client = await connectPeer(t, proxy.port('web'));
    client.send('GET /1 HTTP/1.1\r\nHost: a\r\n\r\n');
    await client.receive('evil');
    client.send('GET /2 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
    const text = await client.receiveAll();
    // Each request has one final reply: what the origin sent behind the first is nobody's.
    assert.equal(text.match(/HTTP\/1\.1 [2-5]\d\d /g)?.length, 2, text);
    assert.doesNotMatch(text, /Content-Length: 46|ok/);
  }
});

test('an origin that never stops with interim replies is cut off', async (t) => {
  const origin = await startOrigin(t, answering('HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n'.repeat(200)));
  const proxy = await startProxy(t, httpTo([origin.address]));
  const client = await connectPeer(t, proxy.port('web'));
  client.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  await client.receive('502 Bad Gateway');
});

test('interim replies that meet a client which does not read go on when it does', async (t) => {
  const hint = `HTTP/1.1 103 Early Hints\r\nLink: ${'x'.repeat(40_000)}\r\n\r\n`;
  const origin = await startOrigin(t, (peer) => {
    peer.socket.once('data', () => {
      // More than the kernel takes for a client that stands still.
      for (let i = 0; i < 60; i++) peer.send(hint);
      peer.send(`HTTP/1.1 200 OK\r\nContent-Length: 9000000\r\n\r\n${'y'.repeat(8_999_996)}done`);
    });
  });
  const proxy = await startProxy(t, httpTo([origin.address]));
  const client = await connectPeer(t, proxy.port('web'));
  client.socket.pause();
  client.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  await (await origin.peer(0)).receive('\r\n\r\n');
  await new Promise((resolve) => setTimeout(resolve, 300));
  client.socket.resume();
  await client.receive('done');
});

test('edits of a route hold for look-alike names and for trailers', async (t) => {
  const origin = await startOrigin(t, answering(OK));
  const proxy = await startProxy(
    t,
    `
listeners:
  web:
    bind: 127.0.0.1:0
    routes:
      - rewrite: { setRequest: { x-tenant: good }, removeRequest: [x-admin] }
        cluster: api
clusters: { api: { endpoints: ["${origin.address}"] } }
`,
  );
  const client = await connectPeer(t, proxy.port('web'));
  client.send('POST / HTTP/1.1\r\nHost: a\r\nX_Tenant: evil\r\nX_Admin: 1\r\nTransfer-Encoding: chunked\r\n\r\n');
  client.send('1\r\na\r\n0\r\nX-Tenant: evil\r\nX-Admin: 1\r\nCookie: a=b\r\nX-Sum: 7\r\n\r\n');
  await client.receive('ok');
  const seen = await origin.peers[0]!.receive('X-Sum: 7');
  assert.match(seen, /\r\nx-tenant: good\r\n/);
  assert.doesNotMatch(seen, /evil|admin|cookie/i);
});

test('a reply of a route with a status that has no body has none', async (t) => {
  const proxy = await startProxy(
    t,
    `
listeners:
  web:
    bind: 127.0.0.1:0
    routes: [{ match: { path: /304 }, respond: { status: 304 } }, { respond: { status: 204 } }]
clusters: {}
`,
  );
  const client = await connectPeer(t, proxy.port('web'));
  client.send('GET /304 HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
  const text = await client.receiveAll();
  assert.match(text, /^HTTP\/1\.1 304 Not Modified\r\n(?:[^\r\n]+\r\n)+\r\nHTTP\/1\.1 204 No Content\r\n/);
  assert.ok(text.endsWith('\r\n\r\n'));
});

test('a request that may go no further is answered here, others count down', async (t) => {
  const origin = await startOrigin(t, answering(OK));
  const proxy = await startProxy(t, httpTo([origin.address]));
  const client = await connectPeer(t, proxy.port('web'));
  client.send('OPTIONS / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 3\r\n\r\n');
  await client.receive('ok');
  assert.match(origin.peers[0]!.text, /\r\nMax-Forwards: 2\r\n/);
  client.send('TRACE / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n\r\n');
  await client.receive('405 Method Not Allowed');
  assert.doesNotMatch(origin.peers[0]!.text, /TRACE/);
});

test('a body that goes on behind a local reply is read for a while, not for ever', async (t) => {
  const proxy = await startProxy(
    t,
    'listeners: { web: { bind: "127.0.0.1:0", routes: [{ respond: { body: ok } }] } }\nclusters: {}',
  );
  const client = await connectPeer(t, proxy.port('web'));
  client.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 999999999999\r\n\r\n');
  await client.receive('ok');
  const piece = Buffer.alloc(256 * 1024);
  let sent = 0;
  while (!client.closed && client.error === null && sent < 200) {
    client.send(piece);
    sent++;
    await new Promise((resolve) => setImmediate(resolve));
  }
  await client.until(() => client.closed, 'the end of the connection');
});

test('a trusted peer that sends no PROXY header and waits is served where none is demanded', async (t) => {
  const origin = await startOrigin(t, (peer) => peer.send('220 hello\r\n'));
  const proxy = await startProxy(
    t,
    `
listeners:
  mail:
    bind: 127.0.0.1:0
    protocol: auto
    proxyProtocol: accept
    trustedProxies: [127.0.0.1]
    timeouts: { head: 100ms }
    detectTimeout: 100ms
    fallback: mail
clusters: { mail: { endpoints: ["${origin.address}"] } }
`,
  );
  const client = await connectPeer(t, proxy.port('mail'));
  await client.receive('220 hello');
});
