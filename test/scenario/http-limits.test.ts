// Who is late, who is cut off and who is told what when both sides are slow or something of ours breaks.

import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { test } from 'node:test';
import { answering, startOrigin } from '../support/origin.ts';
import { connectPeer, Peer } from '../support/peer.ts';
import { httpTo, startProxy } from '../support/proxy.ts';

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';

test('a client that waits for 100 is not late; an origin that never answers it is', async (t) => {
  const origin = await startOrigin(t);
  const proxy = await startProxy(
    t,
    httpTo([origin.address], 'timeouts: { body: 100ms }', 'timeouts: { response: 700ms }'),
  );
  const client = await connectPeer(t, proxy.port('web'));
  client.send('POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n');
  const text = await client.receiveAll();
  assert.match(text, /^HTTP\/1\.1 504 /);
});

test('a client whose body the origin does not take is not told that it was late', async (t) => {
  const origin = await startOrigin(t, (peer) => peer.socket.pause());
  const proxy = await startProxy(t, httpTo([origin.address], 'timeouts: { body: 100ms }', 'timeouts: { idle: 700ms }'));
  const client = await connectPeer(t, proxy.port('web'));
  client.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 50000000\r\n\r\n');
  const piece = Buffer.alloc(1024 * 1024);
  for (let i = 0; i < 40; i++) client.send(piece);
  await client.receive('HTTP/1.1 504 ');
});

test('many small bodies behind early replies do not end a connection', async (t) => {
  const body = 'x'.repeat(200_000);
  const origin = await startOrigin(t, answering(OK));
  const proxy = await startProxy(t, httpTo([origin.address]));
  const client = await connectPeer(t, proxy.port('web'));
  for (let i = 1; i <= 10; i++) {
    client.send(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n\r\n`);
    await client.until(() => client.text.split('\r\n\r\nok').length === i + 1, `reply ${i}`);
    client.send(body);
  }
  assert.ok(!client.closed && !client.ended);
});

test('a reply that an HTTP/1.0 client stops reading ends in a reset, not in an end', async (t) => {
  const origin = await startOrigin(t, (peer) => {
    peer.socket.once('data', () => {
      peer.send('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n');
      for (let i = 0; i < 12; i++) peer.send(`100000\r\n${'y'.repeat(0x100000)}\r\n`);
      peer.send('0\r\n\r\n');
    });
  });
  const proxy = await startProxy(t, httpTo([origin.address], 'timeouts: { body: 200ms }'));
  const client = await connectPeer(t, proxy.port('web'));
  client.socket.pause();
  client.send('GET / HTTP/1.0\r\nHost: a\r\n\r\n');
  await (await origin.peer(0)).receive('GET');
  // Nobody reads until the proxy has given up.
  while (proxy.server.open > 0) await new Promise((resolve) => setTimeout(resolve, 50));
  client.socket.resume();
  await client.until(() => client.closed, 'the end');
  assert.equal(client.error?.code, 'ECONNRESET');
  assert.ok(client.text.length < 12 * 0x100000);
});

test('each endpoint is tried once before a request or a tunnel is given up', async (t) => {
  const dead: string[] = [];
  for (let i = 0; i < 4; i++) {
    const refusing = await startOrigin(t);
    await new Promise((resolve) => refusing.server.close(resolve));
    dead.push(refusing.address);
  }
  const origin = await startOrigin(t, answering(OK));
  for (const balance of ['round-robin', 'least-connections']) {
    const proxy = await startProxy(t, httpTo([...dead, origin.address], '', `balance: ${balance}\npool: { idle: 0 }`));
    const clients = await Promise.all(Array.from({ length: 8 }, () => connectPeer(t, proxy.port('web'))));
    for (const client of clients) client.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    for (const client of clients) assert.match(await client.receive('\r\n\r\n'), /^HTTP\/1\.1 200 /);
  }
});

test('after an exception the connection ends with its 502, and others go on', async (t) => {
  const origin = await startOrigin(t, answering(OK));
  const proxy = await startProxy(t, httpTo([origin.address]));
  const { routes } = proxy.snapshot.listeners[0]!;
  const find = Object.getPrototypeOf(routes).find;
  let broken = true;
  Object.getPrototypeOf(routes).find = function (...given: unknown[]) {
    if (broken) throw new Error('ours');
    return find.apply(this, given);
  };
  t.after(() => {
    Object.getPrototypeOf(routes).find = find;
  });
  const client = await connectPeer(t, proxy.port('web'));
  client.send('GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n');
  const text = await client.receiveAll();
  assert.match(text, /^HTTP\/1\.1 502 Bad Gateway\r\n[\s\S]*\r\nConnection: close\r\n/);
  assert.equal(text.match(/HTTP\/1\.1 /g)?.length, 1);
  broken = false;
  const other = await connectPeer(t, proxy.port('web'));
  other.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  await other.receive('ok');
});

test('a drain answers those whom the kernel had accepted already', async (t) => {
  const origin = await startOrigin(t, answering(OK));
  const proxy = await startProxy(t, httpTo([origin.address]));
  const port = proxy.port('web');
  const clients = Array.from({ length: 50 }, () => {
    const socket = connect({ host: '127.0.0.1', port, allowHalfOpen: true });
    t.after(() => socket.destroy());
    socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    return new Peer(socket);
  });
  // The handshakes are done when the calls return, and the loop has not turned: nobody was accepted by us.
  await new Promise<void>((resolve) => process.nextTick(resolve));
  const drained = proxy.server.drain(5000);
  for (const client of clients) assert.match(await client.receiveAll(), /^HTTP\/1\.1 200 [\s\S]*Connection: close/);
  assert.deepEqual(await drained, { cut: 0 });
});
