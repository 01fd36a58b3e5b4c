// An endpoint on trial: whose exchange that is, and who may be next when it comes to nothing.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type RequestListener, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import { request } from '../support/http.ts';
import { connectPeer } from '../support/peer.ts';
import { eventually } from '../support/process.ts';
import { httpTo, startProxy } from '../support/proxy.ts';

async function serve(t: TestContext, handle: RequestListener): Promise<string> {
  const server = createServer(handle).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

test('a client that goes away from an endpoint on trial does not hand out the trial of another', async (t) => {
  const asked: string[] = [];
  const address = await serve(t, ({ url }) => void asked.push(url!));
  const proxy = await startProxy(t, httpTo([address], '', 'ejection: { failures: 3 }'));
  const cluster = proxy.snapshot.clusters.get('api')!;
  const { standing } = cluster.endpoints[0]!;
  standing.trial = 'wanted';
  cluster.publish();
  const send = async (path: string) => {
    const client = await connectPeer(t, proxy.port('web'));
    client.send(request(`GET ${path}`));
    await eventually(() => asked.includes(path), path);
    return client;
  };
  const trial = await send('/trial');
  // There is nobody else to ask.
  const beside = await send('/beside');
  beside.socket.destroy();
  await eventually(() => cluster.active === 1, 'its end');
  assert.equal(standing.trial, 'underway');
  trial.socket.destroy();
  await eventually(() => cluster.active === 0, 'the end of the trial');
  assert.equal(standing.trial, 'wanted');
});

test('a second copy that is outrun gives the trial of its endpoint back', async (t) => {
  const held: ServerResponse[] = [];
  const copies: string[] = [];
  const first = await serve(t, (_request, response) => held.push(response));
  const second = await serve(t, ({ url }) => void copies.push(url!));
  const options = 'balance: first\nejection: { failures: 3 }\nretries: { hedge: 5ms }';
  const proxy = await startProxy(t, httpTo([first, second], '', options));
  const cluster = proxy.snapshot.clusters.get('api')!;
  const { standing } = cluster.endpoints[1]!;
  standing.trial = 'wanted';
  cluster.publish();
  const reply = fetch(`http://127.0.0.1:${proxy.port('web')}/`);
  await eventually(() => copies.length === 1, 'the second copy');
  assert.equal(standing.trial, 'underway');
  held[0]!.end('first');
  assert.equal(await (await reply).text(), 'first');
  await eventually(() => cluster.active === 0, 'the end of both');
  assert.equal(standing.trial, 'wanted');
});
