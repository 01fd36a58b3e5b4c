// One port for everything: what the first bytes, or none, lead to.

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { connect, createServer, type TLSSocket } from 'node:tls';
import { makeAuthority, makeLeaf, type Pair } from '../../certs/make.ts';
import { HELLO_BYTES } from '../../lib/wire/client-hello.ts';
import { helloMessage, inRecords, serverName } from '../support/client-hello.ts';
import { answering, type Origin, startOrigin } from '../support/origin.ts';
import { connectPeer } from '../support/peer.ts';
import { run } from '../support/process.ts';
import { startProxy, type TestProxy } from '../support/proxy.ts';

interface Stage {
  readonly proxy: TestProxy;
  readonly port: number;
  readonly web: Origin;
  readonly database: Origin;
  readonly fallback: Origin;
}

async function stage(t: TestContext, { fallback: falls = true, listener = '', greeting = '' } = {}): Promise<Stage> {
  const web = await startOrigin(t, answering('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi'));
  const database = await startOrigin(t);
  const fallback = await startOrigin(t, (peer) => {
    if (greeting !== '') peer.send(greeting);
  });
  const proxy = await startProxy(
    t,
    `
listeners:
  any:
    bind: 127.0.0.1:0
    protocol: auto
    cluster: web
    ${falls ? 'fallback: fallback' : ''}
    passthrough: { db.example.com: database, "*.example.org": database }
    ${listener}
clusters:
  web: { endpoints: ["${web.address}"] }
  database: { endpoints: ["${database.address}"] }
  fallback: { endpoints: ["${fallback.address}"] }
`,
  );
  return { proxy, port: proxy.port('any'), web, database, fallback };
}

function hello(name: string | null, fragment?: number): Buffer {
  return inRecords(helloMessage(name === null ? { extensions: [] } : { extensions: [serverName(name)] }), fragment);
}

test('TLS goes by its server name, exact or wildcard, with every byte as the client sent it', async (t) => {
  const { port, database, fallback } = await stage(t);
  let number = 0;
  for (const name of ['db.example.com', 'DB.Example.COM', 'a.example.org', 'a.b.example.org']) {
    const client = await connectPeer(t, port);
    const bytes = hello(name);
    client.send(bytes);
    client.send('more');
    const peer = await database.peer(number++);
    assert.equal(await peer.receive('more'), `${bytes.toString('latin1')}more`);
    peer.send('\x16reply');
    await client.receive('\x16reply');
  }
  assert.equal(fallback.peers.length, 0);
});

test('TLS for an unknown name, or for none, is closed and goes nowhere', async (t) => {
  const { proxy, port, database, fallback } = await stage(t);
  for (const name of ['example.org', 'other.example.com', 'db.example.com.evil', null]) {
    const client = await connectPeer(t, port);
    client.send(hello(name));
    assert.equal(await client.receiveAll(), '');
  }
  assert.equal(database.peers.length + fallback.peers.length, 0);
  assert.ok(proxy.log.some((line) => line['cause'] === 'no_route'));
});

test('* passes on every other name', async (t) => {
  const origin = await startOrigin(t);
  const proxy = await startProxy(
    t,
    `
listeners: { any: { bind: "127.0.0.1:0", protocol: auto, cluster: all, passthrough: { "*": all } } }
clusters: { all: { endpoints: ["${origin.address}"] } }
`,
  );
  (await connectPeer(t, proxy.port('any'))).send(hello('whatever.test'));
  await (await origin.peer(0)).receive('whatever.test');
});

test('a ClientHello in single bytes, or in many records, is read all the same', async (t) => {
  const { port, database } = await stage(t, { listener: 'detectTimeout: 60s' });
  const dripping = await connectPeer(t, port);
  const bytes = hello('db.example.com');
  for (const byte of bytes) {
    dripping.send(Uint8Array.of(byte));
    await new Promise(setImmediate);
  }
  await (await database.peer(0)).until(() => database.peers[0]!.text.length >= bytes.length, 'the hello');
  assert.equal(database.peers[0]!.text, bytes.toString('latin1'));
  const fragmented = await connectPeer(t, port);
  const records = hello('db.example.com', 7);
  fragmented.send(records);
  await (await database.peer(1)).until(() => database.peers[1]!.text.length >= records.length, 'the records');
  assert.equal(database.peers[1]!.text, records.toString('latin1'));
});

test('a ClientHello that never ends is cut off, by size or by time', async (t) => {
  const { port, database, fallback } = await stage(t, { listener: 'timeouts: { head: 100ms }' });
  const endless = await connectPeer(t, port);
  const message = helloMessage({ extensions: [[0x1234, Buffer.alloc(60_000)], serverName('db.example.com')] });
  message.writeUIntBE(0xffffff, 1, 3);
  const records = inRecords(message);
  for (let sent = 0; sent < HELLO_BYTES * 3 && !endless.closed; sent += records.length) endless.send(records);
  await endless.until(() => endless.ended || endless.closed, 'the end');
  const stalled = await connectPeer(t, port);
  stalled.send(hello('db.example.com').subarray(0, 50));
  await stalled.until(() => stalled.ended || stalled.closed, 'the end');
  assert.equal(database.peers.length + fallback.peers.length, 0);
});

test('HTTP is served as HTTP, however its first bytes are cut', async (t) => {
  const { port, web } = await stage(t, { listener: 'detectTimeout: 60s' });
  const request = 'GET /a HTTP/1.1\r\nHost: a\r\n\r\n';
  for (let cut = 0; cut <= 8; cut++) {
    const client = await connectPeer(t, port);
    for (const part of [request.slice(0, cut), request.slice(cut)]) {
      client.send(part);
      for (let turns = 0; turns < 3; turns++) await new Promise(setImmediate);
    }
    await client.receive('hi');
    client.send(request.replace('/a', '/again'));
    await client.receive(/hi[\s\S]*\r\n\r\nhi$/);
    client.end();
  }
  const dripping = await connectPeer(t, port);
  for (const byte of Buffer.from(request)) {
    dripping.send(Uint8Array.of(byte));
    await new Promise(setImmediate);
  }
  await dripping.receive('hi');
  const pipelined = await connectPeer(t, port);
  pipelined.send(`\r\n${request}${request}`);
  await pipelined.receive(/hi[\s\S]*\r\n\r\nhi$/);
  assert.match(web.peers[0]!.text, /^GET \/a HTTP\/1\.1\r\nHost: a\r\n/);
});

test('anything else goes to the fallback with its bytes, and both sides speak on', async (t) => {
  const { port, fallback } = await stage(t, { listener: 'detectTimeout: 60s' });
  const starts = [
    '\x00\x00\x00\x08\x04\xd2\x16\x2f',
    'SSH-2.0-x\r\n',
    'EHLO me\r\n',
    '\x16\x02\x00',
    `\xff${'z'.repeat(70_000)}`,
  ];
  for (const [number, bytes] of starts.entries()) {
    const client = await connectPeer(t, port);
    client.send(bytes);
    const peer = await fallback.peer(number);
    await peer.until(() => peer.text.length >= bytes.length, 'the bytes');
    assert.equal(peer.text, bytes);
    peer.send('reply');
    await client.receive('reply');
    client.send('on');
    await peer.receive(`${bytes}on`);
  }
});

test('without a fallback anything else is closed, and so is silence after the limit for heads', async (t) => {
  const { port } = await stage(t, { fallback: false, listener: 'timeouts: { head: 100ms }' });
  const other = await connectPeer(t, port);
  other.send('\x00\x00\x00\x08');
  assert.equal(await other.receiveAll(), '');
  const silent = await connectPeer(t, port);
  const begun = await connectPeer(t, port);
  begun.send('GE');
  await Promise.all([silent, begun].map((client) => client.until(() => client.ended || client.closed, 'the end')));
});

for (const [name, greeting] of [
  ['a mail server', '220 mail.example ESMTP\r\n'],
  ['MySQL', '\x4a\x00\x00\x00\x0a8.0.36\x00\x08\x00\x00\x00\x01\x02\xff\xfe\x00'],
] as const) {
  test(`a client that waits to be spoken to gets the greeting of ${name}`, async (t) => {
    const { port, fallback } = await stage(t, { listener: 'detectTimeout: 50ms', greeting });
    const client = await connectPeer(t, port);
    assert.equal(await client.receive(greeting), greeting);
    client.send('QUIT\r\n');
    await fallback.peers[0]!.receive('QUIT');
    client.end();
  });
}

test('a client that begins like HTTP or TLS and then waits goes to the fallback with what it sent', async (t) => {
  const { port, fallback } = await stage(t, { listener: 'detectTimeout: 50ms', greeting: 'hello' });
  for (const [number, bytes] of ['GE', '\x16\x03'].entries()) {
    const client = await connectPeer(t, port);
    client.send(bytes);
    await client.receive('hello');
    assert.equal(await (await fallback.peer(number)).receive(bytes), bytes);
    client.send('T');
    await fallback.peers[number]!.receive(`${bytes}T`);
  }
});

test('a client that ends before it can be told what it speaks is closed', async (t) => {
  const { port } = await stage(t, { listener: 'detectTimeout: 60s' });
  const client = await connectPeer(t, port);
  client.send('GE');
  client.end();
  await client.receiveAll();
});

test('real TLS clients reach their server with its own certificate, still encrypted', async (t) => {
  const authority = makeAuthority();
  const leaf: Pair = makeLeaf(authority, { names: ['db.example.com'] });
  const server = createServer({ key: leaf.key, cert: leaf.cert }, (socket: TLSSocket) => {
    socket.on('error', () => {});
    // Ends by itself: openssl waits for that.
    socket.once('data', (chunk) => socket.end(`echo ${String(chunk)}`));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => server.close());
  const { port: origin } = server.address() as { port: number };
  const proxy = await startProxy(
    t,
    `
listeners: { any: { bind: "127.0.0.1:0", protocol: auto, cluster: db, passthrough: { db.example.com: db } } }
clusters: { db: { endpoints: ["127.0.0.1:${origin}"] } }
`,
  );
  const port = proxy.port('any');
  for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
    const client = connect({
      port,
      host: '127.0.0.1',
      servername: 'db.example.com',
      ca: authority.cert,
      minVersion: version,
      maxVersion: version,
    });
    t.after(() => client.destroy());
    client.write('node');
    const text = await new Promise((resolve, reject) => {
      client.once('data', (chunk) => resolve(String(chunk)));
      client.once('error', reject);
    });
    assert.equal(text, 'echo node');
    client.end();
  }
  const openssl = await run(
    t,
    'openssl',
    ['s_client', '-connect', `127.0.0.1:${port}`, '-servername', 'db.example.com', '-ign_eof', '-brief'],
    'Q from openssl\n',
  ).catch(() => null);
  if (openssl === null || /ENOENT/.test(openssl.err)) {
    t.diagnostic('SKIPPED: openssl is not installed');
    return;
  }
  assert.match(openssl.out, /echo Q from openssl/);
});
