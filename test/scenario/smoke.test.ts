import assert from 'node:assert/strict';
import { test } from 'node:test';
import { answering, startOrigin } from '../support/origin.ts';
import { connectPeer } from '../support/peer.ts';
import { httpTo, startProxy } from '../support/proxy.ts';

test('a request reaches the origin and its reply the client, twice on one connection', async (t) => {
  const origin = await startOrigin(t, answering('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi'));
  const proxy = await startProxy(t, httpTo([origin.address]));
  const client = await connectPeer(t, proxy.port('web'));
  client.send('GET /a HTTP/1.1\r\nHost: example\r\n\r\n');
  await client.receive('\r\n\r\nhi');
  client.send('GET /b HTTP/1.1\r\nHost: example\r\n\r\n');
  await client.receive(/hi[\s\S]*\r\n\r\nhi/);
  assert.equal(origin.peers.length, 1);
  assert.match(origin.peers[0]!.text, /GET \/b HTTP\/1.1\r\nHost: example\r\n/);
});
