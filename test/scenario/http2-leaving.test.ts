// Sessions of HTTP/2 that serve nobody new: what comes in their place, while their last streams take as long as they like.

import assert from 'node:assert/strict';
import type { ServerHttp2Session, ServerHttp2Stream } from 'node:http2';
import { type TestContext, test } from 'node:test';
import { startHttp2Origin } from '../support/http2.ts';
import { httpTo, startProxy, type TestProxy } from '../support/proxy.ts';
import { eventually } from '../support/wait.ts';

const api = (proxy: TestProxy) => proxy.snapshot.clusters.get('api')!;
const endpointOf = (proxy: TestProxy) => api(proxy).endpoints[0]!;

async function get(proxy: TestProxy, path = '/', method = 'GET'): Promise<string> {
  const reply = await fetch(`http://127.0.0.1:${proxy.port('web')}${path}`, { method });
  return `${reply.status} ${await reply.text()}`;
}

interface Stage {
  readonly proxy: TestProxy;
  /** Streams that are answered when the test says so. */
  readonly held: ServerHttp2Stream[];
  readonly sessions: Set<ServerHttp2Session>;
}

async function stage(t: TestContext, pool: string, settings = {}): Promise<Stage> {
  const held: ServerHttp2Stream[] = [];
  const sessions = new Set<ServerHttp2Session>();
  const origin = await startHttp2Origin(
    t,
    (stream, fields) => {
      sessions.add(stream.session as ServerHttp2Session);
      if (fields[':path'] === '/long') return void held.push(stream);
      stream.respond({ ':status': 200 });
      stream.end('ok');
    },
    settings,
  );
  const cluster = `protocol: h2\npool: { max: 1, queueTimeout: 1m${pool} }`;
  return { proxy: await startProxy(t, httpTo([`127.0.0.1:${origin.port}`], '', cluster)), held, sessions };
}

const WAYS: Record<string, { pool: string; leave(stage: Stage): unknown }> = {
  'its number of requests': { pool: ', maxRequests: 1', leave() {} },
  'its age': { pool: ', maxAge: 1ms', leave() {} },
  'word of the peer': { pool: '', leave: ({ sessions }) => [...sessions][0]!.close() },
  'a move of its endpoint': { pool: '', leave: ({ proxy }) => api(proxy).evict(endpointOf(proxy)) },
};

for (const [way, { pool, leave }] of Object.entries(WAYS)) {
  test(`a session that leaves by ${way} has another in its place before its last stream ends`, async (t) => {
    const on = await stage(t, pool);
    const { proxy, held } = on;
    const long = get(proxy, '/long');
    await eventually(() => held.length === 1, 'a stream');
    await leave(on);
    // Its age is looked at when a stream begins or ends.
    for (let i = 0; i < 3; i++) assert.equal(await get(proxy), '200 ok');
    assert.ok(on.sessions.size > 1, 'no other session');
    held[0]!.respond({ ':status': 200 });
    held[0]!.end('whole');
    assert.equal(await long, '200 whole');
    const end = endpointOf(proxy).pool;
    await eventually(() => end.leaving === 0 && end.open <= 1, 'the end of those that left');
    assert.equal(await get(proxy), '200 ok');
  });
}

test('who waits for a stream goes on elsewhere once its session leaves', async (t) => {
  const { proxy, held, sessions } = await stage(t, '', { maxConcurrentStreams: 1 });
  const long = get(proxy, '/long');
  await eventually(() => held.length === 1, 'a stream');
  const waits = get(proxy);
  await eventually(() => api(proxy).waiting === 1, 'one that waits');
  [...sessions][0]!.close();
  assert.equal(await waits, '200 ok');
  held[0]!.respond({ ':status': 200 });
  held[0]!.end('whole');
  assert.equal(await long, '200 whole');
});

test('all who wait have the session that comes after one that the peer has closed', async (t) => {
  const streams = 10;
  const { proxy, held, sessions } = await stage(t, '', { maxConcurrentStreams: streams });
  const long = Array.from({ length: streams }, () => get(proxy, '/long', 'POST'));
  await eventually(() => held.length === streams, 'as many streams as may be');
  const waits = Array.from({ length: streams }, () => get(proxy, '/long'));
  await eventually(() => api(proxy).waiting === waits.length, 'the queue');
  for (const session of sessions) session.destroy();
  // What may have been done is not done once more.
  assert.deepEqual([...new Set((await Promise.all(long)).map((answer) => answer.slice(0, 3)))], ['502']);
  // None of them is answered before all have been asked.
  await eventually(() => held.length === 2 * streams, 'all that waited');
  for (const stream of held.slice(streams)) {
    stream.respond({ ':status': 200 });
    stream.end('whole');
  }
  assert.deepEqual([...new Set(await Promise.all(waits))], ['200 whole']);
});
