// Where bodies begin and end, in both directions: lengths, chunks, close, interim replies, HTTP/1.0, pipelines and upgrades.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ask, bodyOf, fieldOf, headLines, reply, replying, request, unchunk } from '../support/http.ts';
import { startOrigin } from '../support/origin.ts';
import { connectPeer } from '../support/peer.ts';
import { httpTo, startProxy } from '../support/proxy.ts';

const LAST = 'Connection: close';
const CHUNKED = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n';

test('a chunked reply keeps its payload and trailers, and loses its extensions', async (t) => {
  const chunks =
    '5;a=b;c="d"\r\nhello\r\n6 ;x\r\n world\r\n0;last\r\nX-Sum: 1\r\nConnection: close\r\nX-Two: 2\r\n\r\n';
  const origin = await startOrigin(t, replying(CHUNKED + chunks.replace('6 ;x', '6;x'), reply('next')));
  const proxy = await startProxy(t, httpTo([origin.address]));
  const text = await ask(t, proxy.port('web'), request('GET /', ['TE: trailers']) + request('GET /', [LAST]));
  const [first, second] = text.split(/(?=HTTP\/1\.1 )/);
  assert.equal(fieldOf(first!, 'Transfer-Encoding'), 'chunked');
  assert.equal(fieldOf(first!, 'Content-Length'), null);
  assert.deepEqual(unchunk(bodyOf(first!)), { payload: 'hello world', trailers: ['X-Sum: 1', 'X-Two: 2'] });
  assert.equal(bodyOf(second!), 'next');
  assert.equal(origin.peers.length, 1, 'a chunked reply leaves its connection usable');
});

test('a chunked request keeps its payload and trailers, and loses its extensions', async (t) => {
  const origin = await startOrigin(t, (peer) => {
    peer.socket.on('data', () => {
      if (/0\r\n(.+\r\n)*\r\n/.test(peer.text)) peer.send(reply('hi'));
    });
  });
  const proxy = await startProxy(t, httpTo([origin.address]));
  const body = '5;a=b\r\nhello\r\n1\r\n!\r\n0\r\nX-Sum: 1\r\nConnection: x\r\nHost: b\r\nX-Two:\r\n\r\n';
  const client = await connectPeer(t, proxy.port('web'));
  for (let turn = 0; turn < 2; turn++) {
    client.send(request('POST /', ['Transfer-Encoding: chunked', 'Trailer: X-Sum'], body));
    await client.receive('hi', client.text.length);
  }
  // The first waited for its connection and the second did not: two ways, one outcome.
  for (const seen of origin.peers[0]!.text.split(/(?=POST)/)) {
    assert.equal(fieldOf(seen, 'Transfer-Encoding'), 'chunked');
    assert.equal(fieldOf(seen, 'Trailer'), 'X-Sum');
    assert.deepEqual(unchunk(bodyOf(seen)), { payload: 'hello!', trailers: ['X-Sum: 1', 'X-Two:'] });
  }
});

test('a reply without a length ends with its connection, and becomes chunked for HTTP/1.1', async (t) => {
  const origin = await startOrigin(t, (peer) => {
    peer.socket.once('data', () => {
      peer.send('HTTP/1.1 200 OK\r\n\r\nuntil ');
      peer.send('the end');
      peer.end();
    });
  });
  const proxy = await startProxy(t, httpTo([origin.address]));
  const client = await connectPeer(t, proxy.port('web'));
  client.send(request('GET /'));
  await client.receive('0\r\n\r\n');
  assert.equal(unchunk(bodyOf(client.text)).payload, 'until the end');
  client.send(request('GET /', [LAST]));
  await client.receiveAll();
  assert.equal(origin.peers.length, 2);
});

test('replies that never have a body leave both connections usable', async (t) => {
  const origin = await startOrigin(
    t,
    replying(
      'HTTP/1.1 200 OK\r\nContent-Length: 10\r\nX-N: 1\r\n\r\n',
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-N: 2\r\n\r\n',
      'HTTP/1.1 200 OK\r\nX-N: 3\r\n\r\n',
      'HTTP/1.1 204 No Content\r\nContent-Length: 0\r\nX-N: 4\r\n\r\n',
      'HTTP/1.1 304 Not Modified\r\nContent-Length: 10\r\nX-N: 5\r\n\r\n',
      'HTTP/1.1 304 Not Modified\r\nX-N: 6\r\n\r\n',
      'HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-N: 7\r\n\r\n',
      reply('end', '200 OK', ['X-N: 8']),
    ),
  );
  const proxy = await startProxy(t, httpTo([origin.address]));
  const client = await connectPeer(t, proxy.port('web'));
  const methods = ['HEAD', 'HEAD', 'HEAD', 'GET', 'GET', 'GET', 'GET', 'GET'];
  const lengths = ['10', null, null, null, '10', null, '0', '3'];
  for (const [turn, method] of methods.entries()) {
    const from = client.text.length;
    client.send(request(`${method} /`));
    await client.receive(/\r\n\r\n(end)?$/, from);
    const text = client.text.slice(from);
    assert.equal(fieldOf(text, 'X-N'), String(turn + 1));
    assert.equal(fieldOf(text, 'Content-Length'), lengths[turn], `reply ${turn + 1}`);
    assert.equal(fieldOf(text, 'Transfer-Encoding'), null, `reply ${turn + 1}`);
    assert.equal(bodyOf(text), turn === 7 ? 'end' : '');
  }
  assert.equal(origin.peers.length, 1);
});

test('100 Continue goes from the origin to the client before the body goes the other way', async (t) => {
  const origin = await startOrigin(t);
  const proxy = await startProxy(t, httpTo([origin.address]));
  const client = await connectPeer(t, proxy.port('web'));
  for (let turn = 0; turn < 2; turn++) {
    const from = client.text.length;
    client.send(request('POST /', ['Expect: 100-Continue', 'Content-Length: 5']));
    const peer = await origin.peer(0);
    const seen = peer.text.length;
    await peer.receive('\r\n\r\n', turn === 0 ? 0 : seen);
    assert.match(peer.text, /\r\nExpect: 100-Continue\r\n/);
    peer.send('HTTP/1.1 100 Continue\r\n\r\n');
    await client.receive('HTTP/1.1 100 Continue\r\n\r\n', from);
    client.send('hello');
    await peer.receive('hello', peer.text.lastIndexOf('\r\n\r\n'));
    peer.send(reply('thanks'));
    await client.receive('thanks', from);
  }
  assert.equal(origin.peers.length, 1);
});

test('a final reply instead of 100 Continue reaches the client, and the body is not waited for', async (t) => {
  const origin = await startOrigin(t, replying('HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno'));
  const proxy = await startProxy(t, httpTo([origin.address]));
  const client = await connectPeer(t, proxy.port('web'));
  client.send(request('PUT /', ['Expect: 100-continue', 'Transfer-Encoding: chunked']));
  // The script waits for no body.
  const text = await client.receiveAll();
  assert.match(text, /^HTTP\/1\.1 403 Forbidden\r\n/);
  assert.equal(fieldOf(text, 'Connection'), 'close');
  await origin.peers[0]!.receiveAll();
});

test('interim replies are passed on in order, and not to HTTP/1.0 clients', async (t) => {
  const interim =
    'HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\nConnection: x\r\nX: 1\r\n\r\n';
  const origin = await startOrigin(t, replying(interim + reply('hi')));
  const proxy = await startProxy(t, httpTo([origin.address]));
  const text = await ask(t, proxy.port('web'), request('GET /', [LAST]));
  assert.ok(
    text.startsWith('HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK'),
  );
  const old = await ask(t, proxy.port('web'), 'GET / HTTP/1.0\r\n\r\n');
  assert.ok(old.startsWith('HTTP/1.1 200 OK'), old);
  assert.equal(bodyOf(old), 'hi');
});

test('HTTP/1.0 clients get no chunks and keep their connection only when they ask', async (t) => {
  const origin = await startOrigin(
    t,
    replying(reply('one'), `${CHUNKED}3\r\ntwo\r\n0\r\nX-T: 1\r\n\r\n`, reply('three')),
  );
  const proxy = await startProxy(t, httpTo([origin.address]));
  const client = await connectPeer(t, proxy.port('web'));
  client.send('GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n');
  await client.receive('one');
  assert.equal(fieldOf(client.text, 'Connection'), 'keep-alive');
  const from = client.text.length;
  client.send('GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n');
  const text = (await client.receiveAll()).slice(from);
  assert.equal(fieldOf(text, 'Connection'), 'close', 'only the end of the connection ends this body');
  assert.equal(fieldOf(text, 'Transfer-Encoding'), null);
  assert.equal(bodyOf(text), 'two');
  const plain = await ask(t, proxy.port('web'), 'GET / HTTP/1.0\r\n\r\n');
  assert.equal(fieldOf(plain, 'Connection'), 'close');
  assert.equal(bodyOf(plain), 'three');
  assert.equal(origin.peers.length, 1);
});

test('HTTP/1.0 origins are spoken to in HTTP/1.1, and kept when they say so', async (t) => {
  const origin = await startOrigin(t, (peer, number) => {
    peer.socket.on('data', () => {
      if (number === 0) peer.send('HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 3\r\n\r\none');
      else peer.socket.end('HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\ntwo');
      if (number === 0 && peer.text.includes('/second')) peer.socket.end();
    });
  });
  const proxy = await startProxy(t, httpTo([origin.address]));
  const client = await connectPeer(t, proxy.port('web'));
  for (const path of ['/first', '/second', '/third', '/fourth']) {
    const from = client.text.length;
    client.send(request(`GET ${path}`));
    await client.receive(/one|two/, from);
    assert.match(client.text.slice(from), /^HTTP\/1\.1 200 OK\r\n/);
    const peer = origin.peers.at(-1)!;
    if (path !== '/first') await peer.until(() => peer.ended || peer.closed, 'the proxy’s end');
  }
  assert.equal(origin.peers.length, 3, 'kept once, then closed each time');
  assert.match(origin.peers[0]!.text, /^GET \/first HTTP\/1\.1\r\n/);
});

test('pipelined requests are answered in order although the first takes longest', async (t) => {
  const origin = await startOrigin(t, (peer) => {
    let answered = 0;
    peer.socket.on('data', () => {
      for (const [path] of [...peer.text.matchAll(/\/\d+(?= HTTP)/g)].slice(answered)) {
        answered++;
        if (path === '/0') setImmediate(() => setImmediate(() => peer.send(reply(path))));
        else peer.send(reply(path));
      }
    });
  });
  const proxy = await startProxy(t, httpTo([origin.address]));
  const count = 200;
  const many = Array.from({ length: count }, (_, number) =>
    number % 3 === 0
      ? request(`POST /${number}`, ['Content-Length: 4'], 'body')
      : request(`GET /${number}`, number === count - 1 ? [LAST] : []),
  );
  const text = await ask(t, proxy.port('web'), many.join(''));
  assert.deepEqual(
    [...text.matchAll(/\r\n\r\n(\/\d+)/g)].map((match) => match[1]),
    Array.from({ length: count }, (_, number) => `/${number}`),
  );
  assert.equal(origin.peers.length, 1);
});

test('empty lines between requests are skipped', async (t) => {
  const origin = await startOrigin(t, replying(reply('hi')));
  const proxy = await startProxy(t, httpTo([origin.address]));
  const text = await ask(t, proxy.port('web'), `\r\n\r\n${request('GET /')}\r\n${request('GET /', [LAST])}`);
  assert.equal(text.match(/200 OK/g)!.length, 2);
  assert.match(origin.peers[0]!.text, /^GET/);
});

test('Connection: close of the client ends its connection, and the origin’s is kept', async (t) => {
  const origin = await startOrigin(t, replying(reply('hi')));
  const proxy = await startProxy(t, httpTo([origin.address]));
  for (let turn = 0; turn < 3; turn++) {
    const text = await ask(t, proxy.port('web'), request('GET /', ['Connection: foo, CLOSE']));
    assert.equal(fieldOf(text, 'Connection'), 'close');
  }
  assert.equal(origin.peers.length, 1);
});

test('101 turns the exchange into a tunnel and carries the early bytes of both sides', async (t) => {
  const origin = await startOrigin(t);
  const proxy = await startProxy(t, httpTo([origin.address]));
  const client = await connectPeer(t, proxy.port('web'));
  client.send(`${request('GET /chat', ['Connection: keep-alive, Upgrade', 'Upgrade: websocket'])}early client`);
  const peer = await origin.peer(0);
  await peer.receive('\r\n\r\n');
  assert.equal(fieldOf(peer.text, 'Connection'), 'upgrade');
  assert.equal(fieldOf(peer.text, 'Upgrade'), 'websocket');
  assert.equal(bodyOf(peer.text), '', 'nothing goes on before the origin has agreed');
  peer.send('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nearly origin');
  await client.receive('early origin');
  await peer.receive('early client');
  assert.deepEqual(headLines(client.text), [
    'HTTP/1.1 101 Switching Protocols',
    'Upgrade: websocket',
    ...headLines(client.text).filter((line) => /^(Date|Connection)/.test(line)),
  ]);
  assert.equal(fieldOf(client.text, 'Connection'), 'upgrade');
  assert.equal(fieldOf(client.text, 'Transfer-Encoding'), null);
  client.send('GET / HTTP/1.1\n not http any more');
  await peer.receive('not http any more');
  peer.send(Buffer.from([0, 255, 13, 10]));
  await client.receive('\0\xff\r\n');
  client.end();
  await peer.receiveAll();
  peer.send('the last word');
  peer.end();
  assert.match(await client.receiveAll(), /the last word$/);
  const [cluster] = proxy.snapshot.clusters.values();
  await client.until(() => client.closed || client.ended, 'end');
  assert.equal(cluster!.endpoints[0]!.pool.open, 0);
  assert.equal(cluster!.endpoints[0]!.active, 0);
});

test('an upgrade that the origin does not want is answered normally, and what follows is a request', async (t) => {
  const origin = await startOrigin(t, replying(reply('no'), reply('next')));
  const proxy = await startProxy(t, httpTo([origin.address]));
  const upgrade = request('GET /', ['Connection: upgrade', 'Upgrade: websocket']);
  const text = await ask(t, proxy.port('web'), upgrade + request('GET /next', [LAST]));
  assert.match(text, /^HTTP\/1\.1 200 OK[\s\S]*\r\n\r\nno.*HTTP\/1\.1 200 OK[\s\S]*\r\n\r\nnext$/);
  assert.match(origin.peers[0]!.text, /GET \/next/);
});

test('an upgrade with a body sends it before the protocols change', async (t) => {
  const origin = await startOrigin(t, (peer) => {
    peer.socket.on('data', () => {
      if (peer.text.endsWith('body')) {
        peer.send('HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n');
      }
    });
  });
  const proxy = await startProxy(t, httpTo([origin.address]));
  const client = await connectPeer(t, proxy.port('web'));
  client.send(request('POST /', ['Connection: upgrade', 'Upgrade: x', 'Content-Length: 4'], 'bodytunnel'));
  await client.receive('101 Switching');
  await origin.peers[0]!.receive('bodytunnel');
});

test('an offer of h2c is not passed on, whatever else is offered', async (t) => {
  for (const offer of ['h2c', 'websocket, h2c']) {
    const origin = await startOrigin(t, replying(reply('hi')));
    const proxy = await startProxy(t, httpTo([origin.address]));
    const lines = ['Connection: Upgrade, HTTP2-Settings', `Upgrade: ${offer}`, 'HTTP2-Settings: AAMAAABkAAQAAP__'];
    const client = await connectPeer(t, proxy.port('web'));
    client.send(request('GET /', lines));
    await client.receive('\r\n\r\nhi');
    assert.doesNotMatch(origin.peers[0]!.text, /upgrade|h2c|http2/i);
  }
});

test('Upgrade without Connection, or in HTTP/1.0, is no upgrade', async (t) => {
  const origin = await startOrigin(t, replying(reply('hi')));
  const proxy = await startProxy(t, httpTo([origin.address]));
  await ask(t, proxy.port('web'), request('GET /', [LAST, 'Upgrade: websocket']));
  await ask(t, proxy.port('web'), 'GET / HTTP/1.0\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n');
  assert.doesNotMatch(origin.peers[0]!.text, /upgrade/i);
});

test('101 without Upgrade in its Connection is refused', async (t) => {
  const origin = await startOrigin(t, replying('HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n'));
  const proxy = await startProxy(t, httpTo([origin.address]));
  const text = await ask(t, proxy.port('web'), request('GET /', ['Connection: upgrade', 'Upgrade: x', LAST]));
  assert.match(text, /^HTTP\/1\.1 502 /);
});

test('an early good reply does not cost the client its connection: the rest of the body is dropped', async (t) => {
  const origin = await startOrigin(t, (peer) => {
    peer.socket.once('data', () => peer.send(reply('early')));
  });
  const proxy = await startProxy(t, httpTo([origin.address]));
  const client = await connectPeer(t, proxy.port('web'));
  client.send(request('POST /', ['Content-Length: 200000'], 'x'.repeat(1000)));
  await client.receive('early');
  assert.equal(fieldOf(client.text, 'Connection'), null);
  const from = client.text.length;
  client.send('x'.repeat(199_000) + request('GET /second', [LAST]));
  assert.match((await client.receiveAll()).slice(from), /^HTTP\/1\.1 200 OK[\s\S]*early$/);
  assert.equal(origin.peers.length, 2, 'the connection with the unread body is not used again');
  assert.match(origin.peers[1]!.text, /^GET \/second/);
});

test('an early error ends the connection, and the client can read it although it is still sending', async (t) => {
  const origin = await startOrigin(t, (peer) => {
    peer.socket.once('data', () => peer.send(reply('too much', '413 Content Too Large')));
  });
  const proxy = await startProxy(t, httpTo([origin.address]));
  const client = await connectPeer(t, proxy.port('web'));
  client.send(request('POST /', ['Content-Length: 1000000'], 'x'.repeat(1000)));
  await client.receive('too much');
  client.send('x'.repeat(200_000));
  await client.receiveAll();
  assert.equal(fieldOf(client.text, 'Connection'), 'close');
  assert.equal(client.error, null);
});
