// What is not HTTP is refused on both sides: nothing of it reaches anybody, and nothing behind it is taken for a message.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ask, fieldOf, headLines, REQUEST_VECTORS, RESPONSE_VECTORS, reply, request, spell } from '../support/http.ts';
import { answering, startOrigin } from '../support/origin.ts';
import { connectPeer } from '../support/peer.ts';
import { httpTo, startProxy } from '../support/proxy.ts';

const SMUGGLED = 'GET /smuggled HTTP/1.1\r\nHost: a.example\r\n\r\n';

test('requests that are not valid are refused with the right status and never forwarded', async (t) => {
  const origin = await startOrigin(t, answering(reply('hi')));
  const proxy = await startProxy(t, httpTo([origin.address]));
  const ids = new Set<string>();
  const faults: string[] = [];
  const refused = REQUEST_VECTORS.filter((vector) => vector.origin === 'nothing');
  assert.ok(refused.length >= 60);
  for (const { name, status, raw, alone } of refused) {
    const text = await ask(t, proxy.port('web'), spell(raw) + (alone ? '' : SMUGGLED));
    if (!text.startsWith(`HTTP/1.1 ${status} `)) {
      faults.push(`${name}: ${status}, not ${JSON.stringify(text.slice(0, 40))}`);
      continue;
    }
    assertRefusal(text, name);
    ids.add(fieldOf(text, 'X-Request-Id')!);
  }
  assert.deepEqual(faults, []);
  assert.equal(ids.size, refused.length, 'every refusal has an id of its own');
  // Had anything been forwarded before, the origin would know by the time that this has come and gone.
  await ask(t, proxy.port('web'), request('GET /good', ['Connection: close']));
  assert.equal(origin.peers.length, 1);
  assert.match(origin.peers[0]!.text, /^GET \/good /);
});

test('requests whose body turns out not to be valid are broken off, and what follows is no request', async (t) => {
  const origin = await startOrigin(t);
  const proxy = await startProxy(t, httpTo([origin.address]));
  const broken = REQUEST_VECTORS.filter((vector) => vector.origin === 'cut');
  for (const [number, { name, status, raw }] of broken.entries()) {
    // In one piece: the head waits for a connection while the fault is found, so the origin may see nothing at all.
    const text = await ask(t, proxy.port('web'), spell(raw) + SMUGGLED);
    assert.ok(text.startsWith(`HTTP/1.1 ${status} `), `${name}: ${JSON.stringify(text.slice(0, 200))}`);
    assertRefusal(text, name);
    // In two: the head is there before the body is.
    const client = await connectPeer(t, proxy.port('web'));
    const cut = spell(raw).indexOf('\r\n\r\n') + 4;
    const before = origin.peers.length;
    client.send(spell(raw).slice(0, cut));
    const peer = await origin.peer(before);
    await peer.receive('\r\n\r\n');
    client.send(spell(raw).slice(cut) + SMUGGLED);
    assert.ok((await client.receiveAll()).startsWith(`HTTP/1.1 ${status} `), name);
    await peer.receiveAll();
    assert.doesNotMatch(peer.text.slice(peer.text.indexOf('\r\n\r\n')), /0\r\n\r\n|HTTP\/1/, `${name} (${number})`);
    client.socket.destroy();
  }
  for (const peer of origin.peers) assert.doesNotMatch(peer.text, /smuggled/);
});

test('a refusal behind good requests comes in its turn and with an id of its own', async (t) => {
  const origin = await startOrigin(t, answering(reply('hi')));
  const proxy = await startProxy(t, httpTo([origin.address]));
  const text = await ask(t, proxy.port('web'), `${request('GET /a')}${request('GET /b')}GET / HTTP/1.1\n${SMUGGLED}`);
  assert.deepEqual(text.match(/HTTP\/1\.1 \d+/g), ['HTTP/1.1 200', 'HTTP/1.1 200', 'HTTP/1.1 400']);
  const given = [...origin.peers[0]!.text.matchAll(/X-Request-Id: (\w+)/g)].map((match) => match[1]);
  const refusal = fieldOf(text.slice(text.lastIndexOf('HTTP/1.1')), 'X-Request-Id');
  assert.equal(new Set([...given, refusal]).size, 3);
  assert.doesNotMatch(origin.peers[0]!.text, /smuggled/);
});

test('a refusal gets nothing of the route that an earlier request on the connection took', async (t) => {
  const origin = await startOrigin(t, answering(reply('hi')));
  const routes = 'rewrite: { setResponse: { x-route: taken } }';
  const proxy = await startProxy(
    t,
    httpTo([origin.address]).replace('{ cluster: api }', `{ cluster: api, ${routes} }`),
  );
  const text = await ask(t, proxy.port('web'), `${request('GET /a')}GET / HTTP/1.1\n`);
  assert.equal(fieldOf(text, 'x-route'), 'taken');
  assert.equal(fieldOf(text.slice(text.lastIndexOf('HTTP/1.1')), 'x-route'), null);
});

test('replies that are not valid become 502, and their connection is not used again', async (t) => {
  let bytes = '';
  let ends = false;
  const origin = await startOrigin(t, (peer) => {
    peer.socket.on('data', () => {
      peer.send(bytes);
      if (ends) peer.end();
    });
  });
  const proxy = await startProxy(
    t,
    httpTo([origin.address], '', 'timeouts: { response: 3s }\nretries: { attempts: 0 }'),
  );
  const vectors = RESPONSE_VECTORS.filter((vector) => vector.seen === '502');
  assert.ok(vectors.length >= 25);
  const faults: string[] = [];
  for (const vector of vectors) {
    bytes = spell(vector.raw);
    ends = vector.ends ?? false;
    const before = origin.peers.length;
    const text = await ask(t, proxy.port('web'), request('GET /', ['Connection: close']));
    if (!text.startsWith('HTTP/1.1 502 ')) {
      faults.push(`${vector.name}: ${JSON.stringify(text.slice(0, 40))}`);
      continue;
    }
    assertRefusal(text, vector.name);
    assert.equal(text.match(/HTTP\//g)!.length, 1, vector.name);
    assert.equal(origin.peers.length, before + 1, vector.name);
    await origin.peers[before]!.until(() => origin.peers[before]!.closed || origin.peers[before]!.ended, vector.name);
  }
  assert.deepEqual(faults, []);
  const [cluster] = proxy.snapshot.clusters.values();
  assert.equal(cluster!.endpoints[0]!.pool.open, 0);
});

test('replies that turn out not to be valid in their body are visibly cut off', async (t) => {
  let bytes = '';
  let ends = false;
  const origin = await startOrigin(t, (peer) => {
    peer.socket.on('data', () => {
      peer.send(bytes);
      if (ends) peer.end();
    });
  });
  const proxy = await startProxy(t, httpTo([origin.address]));
  for (const vector of RESPONSE_VECTORS.filter(({ seen }) => seen === 'cut')) {
    bytes = spell(vector.raw);
    ends = vector.ends ?? false;
    const client = await connectPeer(t, proxy.port('web'));
    client.send(request('GET /'));
    await client.until(() => client.closed, vector.name);
    assert.equal(client.error?.code, 'ECONNRESET', vector.name);
    // What the client got of it, if anything, is not a whole message.
    assert.doesNotMatch(client.text, /0\r\n\r\n$/, vector.name);
    if (client.text !== '') assert.match(headLines(client.text)[0]!, /^HTTP\/1\.1 200 OK$/);
  }
});

test('a client that goes on sending after it was refused can still read why', async (t) => {
  const origin = await startOrigin(t, answering(reply('hi')));
  const proxy = await startProxy(t, httpTo([origin.address]));
  for (const first of ['', request('GET /')]) {
    const client = await connectPeer(t, proxy.port('web'));
    client.send(first);
    for (const byte of `<GET> / HTTP/1.1\r\n${SMUGGLED}`) {
      client.send(byte);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await client.receiveAll();
    assert.equal(client.error, null);
    assert.match(client.text, /HTTP\/1\.1 400 /);
    assertRefusal(client.text.slice(client.text.lastIndexOf('HTTP/1.1')), 'in pieces');
  }
});

function assertRefusal(text: string, name: string): void {
  const id = fieldOf(text, 'X-Request-Id');
  assert.match(id ?? '', /^[0-9a-f]{32}$/, name);
  assert.equal(fieldOf(text, 'Connection'), 'close', name);
  assert.equal(fieldOf(text, 'Content-Type'), 'text/plain; charset=utf-8', name);
  const body = text.slice(text.indexOf('\r\n\r\n') + 4);
  assert.equal(Number(fieldOf(text, 'Content-Length')), body.length, name);
  assert.ok(body.includes(`Request id: ${id}\n`) && body.length < 300, name);
}
