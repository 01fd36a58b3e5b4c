// Connections on both sides: pools, stale connections, endpoints that refuse, the waiting queue, deadlines, and who hears
// of it when somebody leaves.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ask, bodyOf, fieldOf, headLines, reply, replying, request } from '../support/http.ts';
import { type Origin, startOrigin } from '../support/origin.ts';
import { connectPeer, type Peer } from '../support/peer.ts';
import { httpTo, startProxy, type TestProxy } from '../support/proxy.ts';

const LAST = 'Connection: close';

function poolOf(proxy: TestProxy) {
  const [cluster] = proxy.snapshot.clusters.values();
  return { cluster: cluster!, endpoint: cluster!.endpoints[0]!, pool: cluster!.endpoints[0]!.pool };
}

/** Sends a GET on a new connection and resolves to it once an origin has its head. */
async function open(t: import('node:test').TestContext, proxy: TestProxy, origin: Origin, number: number) {
  const client = await connectPeer(t, proxy.port('web'));
  client.send(request(`GET /${number}`));
  const peer = await origin.peer(number);
  await peer.receive('\r\n\r\n');
  return { client, peer };
}

test('the connection used last is used first, and no more than the cap are kept', async (t) => {
  const origin = await startOrigin(t);
  const proxy = await startProxy(t, httpTo([origin.address], '', 'pool: { idle: 2 }'));
  const all = [await open(t, proxy, origin, 0), await open(t, proxy, origin, 1), await open(t, proxy, origin, 2)];
  for (const number of [2, 0, 1]) {
    all[number]!.peer.send(reply('hi'));
    await all[number]!.client.receive('\r\n\r\nhi');
  }
  // 2 and 0 are kept; 1 came when there were enough.
  await all[1]!.peer.receiveAll();
  assert.equal(poolOf(proxy).pool.idle, 2);
  assert.equal(poolOf(proxy).pool.open, 2);
  all[1]!.client.send(request('GET /again'));
  await all[0]!.peer.receive('GET /again');
});

test('an idle connection is closed after its time', async (t) => {
  const origin = await startOrigin(t, replying(reply('hi')));
  const proxy = await startProxy(t, httpTo([origin.address], '', 'pool: { idleTimeout: 50ms }'));
  const client = await connectPeer(t, proxy.port('web'));
  client.send(request('GET /'));
  await client.receive('\r\n\r\nhi');
  await origin.peers[0]!.receiveAll();
  assert.equal(poolOf(proxy).pool.open, 0);
  assert.equal(client.ended, false);
});

test('a connection that the origin has closed, or spoken on unasked, is not used again', async (t) => {
  for (const spoil of [(peer: Peer) => peer.end(), (peer: Peer) => peer.send(reply('unasked'))]) {
    const origin = await startOrigin(t, replying(reply('hi')));
    const proxy = await startProxy(t, httpTo([origin.address]));
    const client = await connectPeer(t, proxy.port('web'));
    client.send(request('GET /'));
    await client.receive('\r\n\r\nhi');
    spoil(origin.peers[0]!);
    await origin.peers[0]!.receiveAll();
    const from = client.text.length;
    client.send(request('GET /'));
    await client.receive('\r\n\r\nhi', from);
    assert.doesNotMatch(client.text, /unasked/);
    assert.equal(origin.peers.length, 2);
  }
});

test('a reply that says close, or with bytes behind it, is the last of its connection', async (t) => {
  const tails = [reply('hi', '200 OK', [LAST]), `${reply('hi')}HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nstolen`];
  for (const bytes of tails) {
    const origin = await startOrigin(t, replying(bytes));
    const proxy = await startProxy(t, httpTo([origin.address]));
    const client = await connectPeer(t, proxy.port('web'));
    for (let turn = 0; turn < 2; turn++) {
      const from = client.text.length;
      client.send(request('GET /'));
      await client.receive('\r\n\r\nhi', from);
      await origin.peers[turn]!.receiveAll();
    }
    assert.doesNotMatch(client.text, /stolen/);
    assert.equal(client.ended, false, 'the client’s connection goes on');
  }
});

/** An origin whose first connection dies when its second request is there; later ones answer. */
function dying(last: string) {
  return (peer: Peer, number: number): void => {
    if (number > 0) {
      replying(reply('fresh'))(peer);
      return;
    }
    replying(reply('first'), '')(peer);
    peer.socket.on('data', () => {
      if (peer.text.includes(last)) peer.socket.resetAndDestroy();
    });
  };
}

test('a request that may be repeated is sent once more when its pooled connection dies before it answers', async (t) => {
  const second: [string, string][] = [
    [request('GET /second', ['X-Last: yes']), 'yes'],
    [request('PUT /second', ['Content-Length: 10'], 'small body'), 'small body'],
    [request('PUT /second', ['Transfer-Encoding: chunked'], '4\r\nbody\r\n0\r\nX-T: 1\r\n\r\n'), '0\r\nX-T: 1\r\n\r\n'],
    ['GET /second HTTP/1.0\r\nConnection: keep-alive\r\n\r\n', '/second'],
  ];
  for (const [bytes, last] of second) {
    const origin = await startOrigin(t, dying(last));
    const proxy = await startProxy(t, httpTo([origin.address]));
    const client = await connectPeer(t, proxy.port('web'));
    client.send(request('GET /first'));
    await client.receive('first');
    const from = client.text.length;
    client.send(bytes);
    await client.receive(last.startsWith('0') ? /./ : 'fresh', from);
    const [dead, alive] = origin.peers.map((peer) => peer.text);
    assert.equal(alive, dead!.slice(dead!.lastIndexOf(bytes.slice(0, 4))), 'the same bytes again');
  }
});

test('a request that may have changed something is not sent again', async (t) => {
  const large = 'x'.repeat(80_000);
  const second: [string, string][] = [
    [request('POST /second', ['Content-Length: 4'], 'body'), 'body'],
    [request('PATCH /second', ['X-Last: yes']), 'yes'],
    [request('PUT /second', [`Content-Length: ${large.length}`], large), 'xxx'],
  ];
  for (const [bytes, last] of second) {
    const origin = await startOrigin(t, dying(last));
    const proxy = await startProxy(t, httpTo([origin.address]));
    const client = await connectPeer(t, proxy.port('web'));
    client.send(request('GET /first'));
    await client.receive('first');
    const from = client.text.length;
    client.send(bytes);
    assert.match((await client.receive('\r\n\r\n', from)).slice(from), /^HTTP\/1\.1 502 /);
    assert.equal(origin.peers.length, 1);
  }
  const origin = await startOrigin(t, (peer) => peer.socket.on('data', () => peer.socket.resetAndDestroy()));
  const proxy = await startProxy(t, httpTo([origin.address]));
  // What does no harm is tried again as often as the policy says, what may have changed something never.
  assert.match(await ask(t, proxy.port('web'), request('POST /', [LAST, 'Content-Length: 0'])), /^HTTP\/1\.1 502 /);
  assert.equal(origin.peers.length, 1);
  assert.match(await ask(t, proxy.port('web'), request('GET /', [LAST])), /^HTTP\/1\.1 502 /);
  assert.equal(origin.peers.length, 4);
});

test('a second try never opens more connections than the cap, and nobody loses their place', async (t) => {
  let open = 0;
  let most = 0;
  const order: string[] = [];
  const origin = await startOrigin(t, (peer, number) => {
    most = Math.max(most, ++open);
    peer.socket.on('close', () => open--);
    let seen = 0;
    peer.socket.on('data', () => {
      for (const [path] of [...peer.text.matchAll(/\/\w+(?= HTTP)/g)].slice(seen)) {
        seen++;
        if (path === '/second' && number === 0) return;
        order.push(path);
        peer.send(reply(path));
      }
    });
  });
  const proxy = await startProxy(t, httpTo([origin.address], '', 'pool: { max: 1, queueTimeout: 9s }'));
  const first = await connectPeer(t, proxy.port('web'));
  first.send(request('GET /first'));
  await first.receive('\r\n\r\n/first');
  first.send(request('GET /second'));
  await origin.peers[0]!.receive('/second');
  const waiters: Peer[] = [];
  for (let number = 0; number < 3; number++) {
    const client = await connectPeer(t, proxy.port('web'));
    client.send(request(`GET /waits${number}`));
    waiters.push(client);
    await waiting(proxy, number + 1);
  }
  origin.peers[0]!.socket.resetAndDestroy();
  await first.receive('\r\n\r\n/second');
  for (const [number, client] of waiters.entries()) await client.receive(`\r\n\r\n/waits${number}`);
  assert.deepEqual(order, ['/first', '/second', '/waits0', '/waits1', '/waits2']);
  assert.equal(most, 1);
  assert.equal(poolOf(proxy).pool.open, 1);
});

/** Resolves once this many exchanges wait in the cluster. */
async function waiting(proxy: TestProxy, count: number): Promise<void> {
  const { cluster } = poolOf(proxy);
  while (cluster.waiting !== count) await new Promise((resolve) => setImmediate(resolve));
}

test('an endpoint that refuses connections is passed over, also for requests with a body', async (t) => {
  const refusing = await startOrigin(t);
  refusing.server.close();
  const origin = await startOrigin(t, replying(reply('hi')));
  const proxy = await startProxy(t, httpTo([refusing.address, origin.address], '', 'pool: { idle: 0 }'));
  for (const bytes of [request('GET /', [LAST]), request('POST /', [LAST, 'Content-Length: 4'], 'body')]) {
    for (let turn = 0; turn < 3; turn++) assert.equal(bodyOf(await ask(t, proxy.port('web'), bytes)), 'hi');
  }
  assert.equal(origin.peers.length, 6);
  assert.equal(origin.peers.filter((peer) => peer.text.endsWith('body')).length, 3);
  const { endpoint } = poolOf(proxy);
  assert.ok(endpoint.stats.connectFailures > 0);
  assert.equal(endpoint.pool.open, 0);
  assert.equal(endpoint.active, 0);
});

test('when every endpoint refuses the client gets 502 and its connection lives on', async (t) => {
  const refusing = [await startOrigin(t), await startOrigin(t)];
  for (const { server } of refusing) server.close();
  const proxy = await startProxy(t, httpTo(refusing.map(({ address }) => address)));
  const text = await ask(t, proxy.port('web'), request('GET /a') + request('GET /b', [LAST]));
  assert.equal(text.match(/HTTP\/1\.1 502 Bad Gateway/g)!.length, 2);
  assert.ok(proxy.log.some((line) => line['cause'] === 'connect_refused'));
});

test('an endpoint on a unix socket is reached, and gets a Host that means something', async (t) => {
  const path = `/tmp/millrace-test-${process.pid}-${Math.random().toString(36).slice(2)}.sock`;
  const origin = await startOrigin(t, replying(reply('hi')), path);
  const proxy = await startProxy(t, httpTo([`unix:${path}`], '', 'host: endpoint'));
  await ask(t, proxy.port('web'), request('GET /', [LAST]));
  assert.match(fieldOf(origin.peers[0]!.text, 'Host')!, /^[a-z0-9.-]+$/);
});

test('requests wait for a connection in order, up to the cap of the queue', async (t) => {
  const origin = await startOrigin(t);
  const proxy = await startProxy(t, httpTo([origin.address], '', 'pool: { max: 1, queue: 2, queueTimeout: 9s }'));
  const first = await open(t, proxy, origin, 0);
  const clients: Peer[] = [];
  for (const path of ['a', 'b']) {
    const client = await connectPeer(t, proxy.port('web'));
    client.send(request(`POST /${path}`, ['Content-Length: 4'], path.repeat(4)));
    clients.push(client);
    await waiting(proxy, clients.length);
  }
  const refused = await ask(t, proxy.port('web'), request('GET /c', [LAST]));
  assert.match(refused, /^HTTP\/1\.1 503 /);
  assert.equal(fieldOf(refused, 'Retry-After'), '1');
  first.peer.send(reply('hi'));
  await first.peer.receive('aaaa');
  assert.doesNotMatch(first.peer.text, /bbbb/);
  first.peer.send(reply('to a'));
  await clients[0]!.receive('to a');
  await first.peer.receive('bbbb');
  first.peer.send(reply('to b'));
  await clients[1]!.receive('to b');
  assert.equal(origin.peers.length, 1);
});

test('who waits too long for a connection gets 503', async (t) => {
  const origin = await startOrigin(t);
  const proxy = await startProxy(t, httpTo([origin.address], '', 'pool: { max: 1, queueTimeout: 50ms }'));
  const first = await open(t, proxy, origin, 0);
  assert.match(await ask(t, proxy.port('web'), request('GET /late', [LAST])), /^HTTP\/1\.1 503 /);
  assert.equal(poolOf(proxy).cluster.waiting, 0);
  first.peer.send(reply('hi'));
  await first.client.receive('\r\n\r\nhi');
  assert.doesNotMatch(first.peer.text, /late/);
});

test('a waiting client that leaves loses its place, and the next one takes it', async (t) => {
  const origin = await startOrigin(t);
  const proxy = await startProxy(t, httpTo([origin.address], '', 'pool: { max: 1, queueTimeout: 9s }'));
  const first = await open(t, proxy, origin, 0);
  const leaver = await connectPeer(t, proxy.port('web'));
  leaver.send(request('GET /leaver'));
  await waiting(proxy, 1);
  const next = await connectPeer(t, proxy.port('web'));
  next.send(request('GET /next'));
  await waiting(proxy, 2);
  leaver.socket.destroy();
  await waiting(proxy, 1);
  first.peer.send(reply('hi'));
  await first.peer.receive('GET /next');
  assert.doesNotMatch(first.peer.text, /leaver/);
});

test('a client that leaves cancels what goes on upstream, whatever that is', async (t) => {
  const leave: ((peer: Peer) => void)[] = [(peer) => peer.end(), (peer) => peer.socket.resetAndDestroy()];
  for (const go of leave) {
    const origin = await startOrigin(t);
    const proxy = await startProxy(t, httpTo([origin.address]));
    // While the reply is awaited.
    const awaiting = await open(t, proxy, origin, 0);
    go(awaiting.client);
    await awaiting.peer.receiveAll();
    // In the middle of a reply.
    const replied = await open(t, proxy, origin, 1);
    replied.peer.send('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nsome');
    await replied.client.receive('some');
    go(replied.client);
    await replied.peer.receiveAll();
    // In the middle of the request.
    const client = await connectPeer(t, proxy.port('web'));
    client.send(request('POST /', ['Content-Length: 100'], 'some'));
    const peer = await origin.peer(2);
    await peer.receive('some');
    go(client);
    await peer.receiveAll();
    const { endpoint, pool } = poolOf(proxy);
    await peer.until(() => pool.open === 0 && endpoint.active === 0, 'the pool to be empty');
  }
});

test('a reply that is broken off with a reset is broken off for the client', async (t) => {
  const heads = ['Content-Length: 100\r\n\r\nsome', 'Transfer-Encoding: chunked\r\n\r\n4\r\nsome\r\n', '\r\nsome'];
  for (const [number, rest] of heads.entries()) {
    const origin = await startOrigin(t);
    const proxy = await startProxy(t, httpTo([origin.address]));
    const { client, peer } = await open(t, proxy, origin, 0);
    peer.send(`HTTP/1.1 200 OK\r\n${rest}`);
    await client.receive('some');
    peer.socket.resetAndDestroy();
    await client.until(() => client.closed, 'the reset');
    assert.equal(client.error?.code, 'ECONNRESET', heads[number]);
    assert.doesNotMatch(client.text, /0\r\n\r\n$/);
  }
});

test('an HTTP/1.0 client can tell a broken reply from a whole one', async (t) => {
  const origin = await startOrigin(t);
  const proxy = await startProxy(t, httpTo([origin.address]));
  const client = await connectPeer(t, proxy.port('web'));
  client.send('GET / HTTP/1.0\r\n\r\n');
  const peer = await origin.peer(0);
  await peer.receive('\r\n\r\n');
  peer.send('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nsome\r\n');
  await client.receive('some');
  peer.end();
  await client.until(() => client.closed, 'the reset');
  assert.equal(client.error?.code, 'ECONNRESET');
});

test('an origin that does not answer in time is given up with 504', async (t) => {
  const origin = await startOrigin(t);
  const proxy = await startProxy(t, httpTo([origin.address], '', 'timeouts: { response: 50ms }'));
  const text = await ask(t, proxy.port('web'), request('POST /', [LAST, 'Content-Length: 2'], 'hi'));
  assert.match(text, /^HTTP\/1\.1 504 /);
  await origin.peers[0]!.receiveAll();
  // Interim replies are no answer.
  const client = await connectPeer(t, proxy.port('web'));
  client.send(request('GET /', [LAST]));
  const peer = await origin.peer(1);
  await peer.receive('\r\n\r\n');
  peer.send('HTTP/1.1 102 Processing\r\n\r\n');
  assert.match(await client.receiveAll(), /^HTTP\/1\.1 102 [\s\S]*HTTP\/1\.1 504 /);
});

test('an origin that stops in the middle of its reply is given up, and the client sees it', async (t) => {
  const origin = await startOrigin(t);
  const proxy = await startProxy(t, httpTo([origin.address], '', 'timeouts: { idle: 50ms }'));
  const { client, peer } = await open(t, proxy, origin, 0);
  peer.send('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nsome');
  await client.until(() => client.closed, 'the reset');
  assert.match(client.text, /some$/);
  assert.equal(client.error?.code, 'ECONNRESET');
  await peer.receiveAll();
});

test('a head that comes too slowly gets 408, also when bytes keep coming', async (t) => {
  const proxy = await startProxy(t, httpTo(['127.0.0.1:1'], 'timeouts: { head: 150ms }'));
  const client = await connectPeer(t, proxy.port('web'));
  client.send('GET / HTTP/1.1\r\nHost: a\r\nX-Drip: ');
  const drip = setInterval(() => client.send('x'), 20);
  t.after(() => clearInterval(drip));
  const text = await client.receiveAll();
  clearInterval(drip);
  assert.match(text, /^HTTP\/1\.1 408 /);
  assert.equal(fieldOf(text, 'Connection'), 'close');
});

test('a client that never asks is closed without a word', async (t) => {
  const origin = await startOrigin(t, replying(reply('hi')));
  const proxy = await startProxy(t, httpTo([origin.address], 'timeouts: { head: 50ms, idle: 50ms }'));
  assert.equal(await (await connectPeer(t, proxy.port('web'))).receiveAll(), '');
  const text = await ask(t, proxy.port('web'), request('GET /'));
  assert.match(text, /^HTTP\/1\.1 200 OK[\s\S]*hi$/);
});

test('a body that stops gets 408, and one that keeps coming may take longer than the limit', async (t) => {
  const origin = await startOrigin(t, replying(reply('hi')));
  const proxy = await startProxy(t, httpTo([origin.address], 'timeouts: { body: 300ms }'));
  const text = await ask(t, proxy.port('web'), request('POST /', ['Content-Length: 10'], 'hello'));
  assert.match(text, /^HTTP\/1\.1 408 /);
  const peer = await origin.peer(0);
  await peer.receiveAll();
  const client = await connectPeer(t, proxy.port('web'));
  client.send(request('POST /', ['Content-Length: 10', LAST]));
  for (let piece = 0; piece < 10; piece++) {
    await new Promise((resolve) => setTimeout(resolve, 60));
    client.send('x');
  }
  assert.match(await client.receiveAll(), /^HTTP\/1\.1 200 /);
});

test('least-connections sends requests where the fewest are under way', async (t) => {
  const origins = [await startOrigin(t), await startOrigin(t)];
  const addresses = origins.map(({ address }) => address);
  const proxy = await startProxy(t, httpTo(addresses, '', 'balance: least-connections'));
  const clients: Peer[] = [];
  for (let number = 0; number < 6; number++) {
    const client = await connectPeer(t, proxy.port('web'));
    client.send(request('GET /'));
    clients.push(client);
    const busy = () => origins.reduce((sum, { peers }) => sum + peers.filter((peer) => peer.text !== '').length, 0);
    while (busy() <= number) await new Promise((resolve) => setImmediate(resolve));
  }
  assert.deepEqual(
    origins.map(({ peers }) => peers.length),
    [3, 3],
  );
});

test('what goes wrong upstream is logged with its cause and the id that the client was told', async (t) => {
  const origin = await startOrigin(t, replying('nonsense\r\n\r\n'));
  const proxy = await startProxy(t, httpTo([origin.address]));
  const text = await ask(t, proxy.port('web'), request('GET /', [LAST]));
  assert.match(headLines(text)[0]!, / 502 /);
  const line = proxy.log.find((entry) => entry['cause'] === 'bad_response');
  assert.equal(line?.['request'], fieldOf(text, 'X-Request-Id'));
  assert.equal(line?.['endpoint'], origin.address);
});
