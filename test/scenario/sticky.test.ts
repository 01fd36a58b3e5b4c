// Clients that belong to an endpoint are no exception to what holds for all: caps, the queue, and trials.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import { eventually } from '../support/process.ts';
import { httpTo, startProxy, type TestProxy } from '../support/proxy.ts';

/** Endpoints that answer with their number, the first of them only when told. */
async function start(t: TestContext, cluster: string) {
  const held: { readonly path: string; readonly response: ServerResponse }[] = [];
  let holding = false;
  const serve = async (name: string) => {
    const server = createServer((request, response) => {
      if (holding && name === '0') held.push({ path: request.url!, response });
      else response.end(name);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    t.after(() => {
      server.closeAllConnections();
      server.close();
    });
    return `127.0.0.1:${(server.address() as AddressInfo).port}`;
  };
  const endpoints = [await serve('0'), await serve('1')];
  const proxy = await startProxy(t, httpTo(endpoints, '', `balance: first\nsticky: { cookie: seat }\n${cluster}`));
  const ask = async (proxy: TestProxy, path: string, cookie = '') => {
    const reply = await fetch(`http://127.0.0.1:${proxy.port('web')}${path}`, { headers: { cookie } });
    return { text: await reply.text(), cookie: reply.headers.get('set-cookie')?.split(';')[0] ?? '' };
  };
  const first = await ask(proxy, '/');
  assert.equal(first.text, '0');
  holding = true;
  return {
    cluster: proxy.snapshot.clusters.get('api')!,
    held,
    bound: (path: string) => ask(proxy, path, first.cookie),
    unbound: (path: string) => ask(proxy, path),
  };
}

for (const cap of ['requests: 1', 'adaptive: { min: 1, max: 1 }']) {
  test(`a client with an endpoint of its own waits its turn under ${cap}`, async (t) => {
    const { cluster, held, bound, unbound } = await start(t, `${cap}\npool: { queueTimeout: 20s }`);
    const all = [bound('/1')];
    await eventually(() => held.length === 1, 'the first');
    all.push(unbound('/2'));
    await eventually(() => cluster.waiting === 1, 'the second to wait');
    all.push(bound('/3'));
    await eventually(() => cluster.waiting === 2 || held.length > 1, 'the third to wait');
    for (let i = 1; i <= 3; i++) {
      await eventually(() => held.length > 0, 'the next');
      assert.deepEqual([held.length, held[0]!.path, cluster.active], [1, `/${i}`, 1]);
      held.shift()!.response.end('0');
    }
    await Promise.all(all);
  });
}

test('an endpoint on trial gets one of the clients that belong to it, the others go elsewhere meanwhile', async (t) => {
  const { cluster, held, bound } = await start(t, 'ejection: { failures: 3 }');
  const [endpoint] = cluster.endpoints;
  endpoint!.standing.trial = 'wanted';
  cluster.publish();
  const first = bound('/1');
  await eventually(() => held.length === 1, 'the trial');
  assert.deepEqual([(await bound('/2')).text, (await bound('/3')).text], ['1', '1']);
  assert.equal(held.length, 1);
  held[0]!.response.end('0');
  assert.equal((await first).text, '0');
  assert.equal(endpoint!.standing.trial, 'none');
  const back = bound('/4');
  await eventually(() => held.length === 2, 'their return');
  held[1]!.response.end('0');
  assert.deepEqual(await back, { text: '0', cookie: '' });
});

test('a client whose endpoint is only busy is answered elsewhere and comes back, one whose endpoint is ill moves', async (t) => {
  const { cluster, held, bound } = await start(t, 'pool: { max: 1 }');
  const long = bound('/long');
  await eventually(() => held.length === 1, 'its endpoint to be busy');
  assert.deepEqual(await bound('/elsewhere'), { text: '1', cookie: '' });
  held.shift()!.response.end('0');
  await long;
  const back = bound('/back');
  await eventually(() => held.length === 1, 'its return');
  held.shift()!.response.end('0');
  assert.deepEqual(await back, { text: '0', cookie: '' });
  cluster.found(cluster.endpoints[0]!, 'down', 'x');
  const moved = await bound('/moved');
  assert.equal(moved.text, '1');
  assert.match(moved.cookie, /^seat=/);
});
