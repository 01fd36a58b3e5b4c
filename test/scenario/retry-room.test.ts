// A request that is tried again while other endpoints have no room.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type RequestListener, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
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

/** The first endpoint is busy with a long request, all that it has room for; the second answers as told. */
async function start(t: TestContext, handle: RequestListener) {
  const held: ServerResponse[] = [];
  const busy = await serve(t, (_request, response) => held.push(response));
  const other = await serve(t, handle);
  const options = 'balance: first\nejection: { max: 0% }\npool: { max: 1, queueTimeout: 10s }';
  const retries = 'retries: { attempts: 2, on: [503], backoff: 1ms }';
  const proxy = await startProxy(t, httpTo([busy, other], '', `${options}\n${retries}`));
  const ask = async (path: string) => {
    const reply = await fetch(`http://127.0.0.1:${proxy.port('web')}${path}`);
    return `${reply.status} ${await reply.text()}`;
  };
  const long = ask('/long');
  await eventually(() => held.length === 1, 'the long request');
  return { ask, held, long, cluster: proxy.snapshot.clusters.get('api')! };
}

test('a request that was answered with an error is tried again where it was when nobody else has room', async (t) => {
  let asked = 0;
  const { ask, held, long } = await start(t, (_request, response) => {
    if (++asked === 1) response.writeHead(503).end('ill');
    else response.end('well');
  });
  assert.equal(await ask('/'), '200 well');
  held[0]!.end();
  await long;
});

test('the answer that is passed on in the end is that of the endpoint, and not that there is no room', async (t) => {
  let asked = 0;
  const { ask, held, long } = await start(t, (_request, response) => {
    asked++;
    response.writeHead(503).end('ill');
  });
  assert.deepEqual([await ask('/'), asked], ['503 ill', 3]);
  held[0]!.end();
  await long;
});

test('an endpoint that wants to be left alone is not asked again for want of room: the request waits', async (t) => {
  let asked = 0;
  const { ask, held, long, cluster } = await start(t, (_request, response) => {
    asked++;
    response.writeHead(503, { 'Retry-After': '3600' }).end('ill');
  });
  const answer = ask('/');
  await eventually(() => cluster.waiting === 1, 'it to wait');
  held.shift()!.end('long');
  await eventually(() => held.length === 1, 'its turn');
  held.shift()!.end('late');
  assert.deepEqual([await answer, asked], ['200 late', 1]);
  await long;
});

test('a connection that dies under a request is not made anew to an endpoint that has been put out of use', async (t) => {
  const held = new Map<string, ServerResponse>();
  let answered = 0;
  const first = await serve(t, (request, response) => {
    answered++;
    if (request.url === '/warm') response.end('warm');
    else held.set(request.url!, response);
  });
  const second = await serve(t, (request, response) => {
    if (request.url === '/long') held.set(request.url, response);
    else response.end('second');
  });
  const options = 'balance: first\npool: { max: 1, queueTimeout: 10s }\nretries: { attempts: 0 }';
  const proxy = await startProxy(t, httpTo([first, second], '', options));
  const cluster = proxy.snapshot.clusters.get('api')!;
  const ask = async (path: string) => (await fetch(`http://127.0.0.1:${proxy.port('web')}${path}`)).text();
  assert.equal(await ask('/warm'), 'warm');
  const dying = ask('/dying');
  await eventually(() => held.has('/dying'), 'the request');
  const long = ask('/long');
  await eventually(() => held.has('/long'), 'the other endpoint to be busy');
  assert.equal(cluster.change({ kind: 'set', name: first, draining: true }), null);
  held.get('/dying')!.socket!.destroy();
  await eventually(() => cluster.waiting === 1 || answered > 2, 'what comes of it');
  held.get('/long')!.end('long');
  assert.deepEqual([await long, await dying, answered], ['long', 'second', 2]);
});
