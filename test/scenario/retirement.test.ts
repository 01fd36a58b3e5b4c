// Connections to endpoints are retired: at their age, after their number of requests, and when their endpoint has moved.

import assert from 'node:assert/strict';
import type { ServerHttp2Stream } from 'node:http2';
import { test } from 'node:test';
import { Warmer } from '../../lib/http/warmer.ts';
import { reply } from '../support/http.ts';
import { startHttp2Origin } from '../support/http2.ts';
import { answering, startOrigin } from '../support/origin.ts';
import { eventually } from '../support/process.ts';
import { httpTo, startProxy, type TestProxy } from '../support/proxy.ts';

const get = async (proxy: TestProxy, path = '/') =>
  (await fetch(`http://127.0.0.1:${proxy.port('web')}${path}`)).text();
const endpointOf = (proxy: TestProxy) => proxy.snapshot.clusters.get('api')!.endpoints[0]!;

test('a connection is used until its age, and no longer', async (t) => {
  const origin = await startOrigin(t, answering(reply('ok')));
  const young = await startProxy(t, httpTo([origin.address], '', 'pool: { maxAge: 1h }'));
  for (let i = 0; i < 20; i++) assert.equal(await get(young), 'ok');
  assert.equal(origin.peers.length, 1);
  const aging = await startProxy(t, httpTo([origin.address], '', 'pool: { maxAge: 50ms }'));
  for (let asked = 0; origin.peers.length < 4; asked++) {
    assert.equal(await get(aging), 'ok');
    assert.ok(asked < 10_000);
  }
  await eventually(() => endpointOf(aging).pool.open <= 1, 'the end of the old ones');
});

test('a session of HTTP/2 takes no more streams than it may, and closes after the last', async (t) => {
  const origin = await startHttp2Origin(t, (stream) => {
    stream.respond({ ':status': 200 });
    stream.end('ok');
  });
  const proxy = await startProxy(
    t,
    httpTo(
      [origin.port].map((port) => `127.0.0.1:${port}`),
      '',
      'protocol: h2\npool: { maxRequests: 3 }',
    ),
  );
  for (let i = 0; i < 7; i++) assert.equal(await get(proxy), 'ok');
  assert.equal(origin.sessions(), 3);
  await eventually(() => endpointOf(proxy).pool.open === 1, 'the end of the first two');
  // Those who come at once share what is left, and the others have their own.
  const all = await Promise.all(Array.from({ length: 10 }, () => get(proxy)));
  assert.deepEqual([...new Set(all)], ['ok']);
  assert.equal(origin.sessions(), 6);
});

test('a session of HTTP/2 that has come to its age ends the streams that it has, and no others begin on it', async (t) => {
  const held: ServerHttp2Stream[] = [];
  const origin = await startHttp2Origin(t, (stream, fields) => {
    stream.respond({ ':status': 200 });
    if (fields[':path'] === '/long') held.push(stream);
    else stream.end('ok');
  });
  const proxy = await startProxy(t, httpTo([`127.0.0.1:${origin.port}`], '', 'protocol: h2\npool: { maxAge: 100ms }'));
  const long = get(proxy, '/long');
  await eventually(() => held.length === 1, 'a stream');
  const { session } = held[0]!;
  for (let asked = 0; origin.sessions() < 3; asked++) {
    assert.equal(await get(proxy), 'ok');
    assert.ok(asked < 10_000);
  }
  assert.equal(session!.destroyed, false);
  held[0]!.end('whole');
  assert.equal(await long, 'whole');
  await eventually(() => session!.destroyed, 'its end');
  await eventually(() => endpointOf(proxy).pool.open <= 1, 'the end of the old ones');
});

test('a connection that was dialed before its endpoint moved is not kept', async (t) => {
  const origin = await startOrigin(t, answering(reply('ok')));
  const known = await startHttp2Origin(t, (stream) => stream.end('ok'));
  for (const [address, protocol] of [
    [origin.address, 'auto'],
    [`127.0.0.1:${known.port}`, 'h2'],
  ] as const) {
    const proxy = await startProxy(t, httpTo([address], '', `protocol: ${protocol}`));
    const cluster = proxy.snapshot.clusters.get('api')!;
    const { pool } = endpointOf(proxy);
    const warmer = new Warmer(cluster, 1);
    warmer.start();
    warmer.stop();
    assert.equal(pool.open, 1);
    cluster.evict(endpointOf(proxy));
    await eventually(() => pool.open === 0 || pool.idle > 0 || pool.share() !== null, 'the connection');
    assert.deepEqual([pool.open, pool.idle, pool.share()], [0, 0, null]);
  }
});
