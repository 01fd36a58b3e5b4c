// The queue of a cluster, as clients see it: who need not wait, and what becomes of those that do when something of ours fails.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { test } from 'node:test';
import { reply } from '../support/http.ts';
import { answering, startOrigin } from '../support/origin.ts';
import { startProxy, type TestProxy } from '../support/proxy.ts';
import { eventually } from '../support/wait.ts';

const document = (endpoint: string, more: string) => `
listeners:
  web: { bind: 127.0.0.1:0, routes: [{ cluster: api }] }
  raw: { bind: 127.0.0.1:0, protocol: tcp, cluster: api }
clusters:
  api: { endpoints: [${endpoint}], ${more} }
`;
const api = (proxy: TestProxy) => proxy.snapshot.clusters.get('api')!;
const get = (proxy: TestProxy) => fetch(`http://127.0.0.1:${proxy.port('web')}/`);

/** A client of TCP; resolves to what it ends with. */
async function tunnel(proxy: TestProxy): Promise<string> {
  const socket = connect(proxy.port('raw'), '127.0.0.1');
  try {
    await once(socket, 'close');
    return 'closed';
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? '';
  }
}

test('a request is refused at once where every endpoint is draining, or down and never used in a panic', async (t) => {
  const more = 'pool: { queueTimeout: 1h }, panic: 0%';
  const draining = await startProxy(t, document('{ address: "127.0.0.1:9", draining: true }', more));
  const down = await startProxy(t, document('"127.0.0.1:9"', more));
  api(down).found(api(down).endpoints[0]!, 'down', 'x');
  api(down).publish();
  for (const proxy of [draining, down]) {
    assert.equal((await get(proxy)).status, 503);
    assert.equal(await tunnel(proxy), 'ECONNRESET');
    assert.equal(api(proxy).waiting, 0);
  }
});

test('an exception of ours in one that is woken ends that one alone', async (t) => {
  const origin = await startOrigin(t, answering(reply('ok')));
  const proxy = await startProxy(t, document(`"${origin.address}"`, 'pool: { max: 1, queueTimeout: 1h }'));
  const cluster = api(proxy);
  const { pool } = cluster.endpoints[0]!;
  pool.opened();
  const asked = get(proxy);
  await eventually(() => cluster.waiting === 1, 'a request that waits');
  const tunneled = tunnel(proxy);
  await eventually(() => cluster.waiting === 2, 'a client of TCP that waits');
  const last = get(proxy);
  await eventually(() => cluster.waiting === 3, 'another request');
  const { pickAvailable } = cluster;
  let left = 2;
  cluster.pickAvailable = (...wanted) => {
    if (left-- > 0) throw new Error('ours');
    return pickAvailable.apply(cluster, wanted);
  };
  pool.open--;
  // As for a change of endpoints, in a turn of its own, where nobody would catch it.
  cluster.wakeSoon();
  assert.equal((await asked).status, 502);
  assert.equal(await tunneled, 'ECONNRESET');
  assert.equal(await (await last).text(), 'ok');
  assert.deepEqual([cluster.active, cluster.waiting], [0, 0]);
});
