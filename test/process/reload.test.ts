// A reload is the difference of two configurations: what is the same goes on as if nothing had happened, what is new begins,
// what is gone ends in its own time, and what cannot be done changes nothing.

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { queryObjects } from 'node:v8';
import { Listener } from '../../lib/server/listener.ts';
import { Port } from '../../lib/server/port.ts';
import { Cluster } from '../../lib/upstream/cluster.ts';
import { ask, bodyOf, reply, replying, request } from '../support/http.ts';
import { startOrigin } from '../support/origin.ts';
import { connectPeer, type Peer } from '../support/peer.ts';
import { eventually, temporaryFolder } from '../support/process.ts';
import { supervise } from '../support/supervisor.ts';

/** A document with a listener `web` of these routes and clusters of these lines. */
const documentOf = (routes: string, clusters: Readonly<Record<string, string>>, more = ''): string => `
drainTimeout: 2s
listeners:
  web: { bind: "127.0.0.1:0", routes: [${routes}] }
  ${more}
clusters: { ${Object.entries(clusters)
  .map(([name, lines]) => `${name}: { ${lines} }`)
  .join(', ')} }
`;
const respond = (body: string): string => `{ respond: { status: 200, body: ${body} } }`;
const to = (...addresses: readonly string[]): string =>
  `endpoints: [${addresses.map((address) => JSON.stringify(address)).join(', ')}]`;

/** The body of the next reply on a connection that is kept. */
async function next(client: Peer, path = '/'): Promise<string> {
  const from = client.text.length;
  client.send(request(`GET ${path}`));
  await client.receive(/\r\n\r\n[\s\S]/, from);
  return bodyOf(client.text.slice(from));
}

test('clients that keep their connection get new routes with their next request', async (t) => {
  const proxy = await supervise(t, documentOf(respond('one'), {}));
  const client = await connectPeer(t, proxy.port('web'));
  assert.equal(await next(client), 'one');
  const port = proxy.port('web');
  await proxy.reload(documentOf(respond('two'), {}));
  assert.equal(await next(client), 'two');
  assert.equal(proxy.port('web'), port);
  assert.equal(client.ended, false);
});

test('a request that is under way ends under the configuration that it began with', async (t) => {
  const [old, fresh] = [await startOrigin(t), await startOrigin(t, replying(reply('fresh')))];
  const proxy = await supervise(t, documentOf('{ cluster: api }', { api: to(old.address) }));
  const client = await connectPeer(t, proxy.port('web'));
  client.send(request('GET /slow'));
  const peer = await old.peer(0);
  await peer.receive('GET /slow');
  await proxy.reload(documentOf('{ cluster: other }', { other: to(fresh.address) }));
  assert.equal(bodyOf(await askClosing(t, proxy.port('web'))), 'fresh');
  peer.send(reply('old'));
  await client.receive('\r\n\r\nold');
  assert.equal(await next(client), 'fresh');
  // Nobody needs it any more.
  await peer.receiveAll();
});

test('a cluster that is the same, or has other numbers, keeps its connections; one with another pool does not', async (t) => {
  const origin = await startOrigin(t, replying(reply('hi')));
  const document = (lines: string): string =>
    documentOf('{ cluster: api }', { api: `${to(origin.address)}, ${lines}` });
  const proxy = await supervise(t, document('timeouts: { response: 5s }'));
  const client = await connectPeer(t, proxy.port('web'));
  await next(client);
  for (const lines of ['timeouts: { response: 6s }', 'retries: { attempts: 0 }', 'panic: 0%, balance: latency']) {
    const { changes } = await proxy.reload(document(lines));
    assert.match(changes[0]!.effect, /^keeps its connections/);
    await next(client);
  }
  assert.equal(origin.peers.length, 1);
  const { changes } = await proxy.reload(document('pool: { idle: 3 }'));
  assert.match(changes[0]!.effect, /^begins with new connections/);
  assert.equal(await next(client), 'hi');
  assert.equal(origin.peers.length, 2);
  await origin.peers[0]!.receiveAll();
});

test('endpoints that go finish what they have, those that stay keep their connections', async (t) => {
  const [stays, goes] = [await startOrigin(t), await startOrigin(t)];
  const proxy = await supervise(t, documentOf('{ cluster: api }', { api: to(stays.address, goes.address) }));
  const clients = [await connectPeer(t, proxy.port('web')), await connectPeer(t, proxy.port('web'))];
  for (const client of clients) client.send(request('GET /'));
  const [here, gone] = [await stays.peer(0), await goes.peer(0)];
  await proxy.reload(documentOf('{ cluster: api }', { api: to(stays.address) }));
  here.send(reply('here'));
  gone.send(reply('gone'));
  for (const [at, client] of clients.entries()) await client.receive(at === 0 ? 'here' : 'gone');
  await gone.receiveAll();
  for (const client of clients) {
    const from = here.text.length;
    client.send(request('GET /again'));
    await here.receive('GET /again', from);
    here.send(reply('again'));
    await client.receive('\r\n\r\nagain');
  }
  assert.equal(stays.peers.length, 1);
});

test('tunnels outlive every reload that leaves their listener: also of their route and cluster', async (t) => {
  const origin = await startOrigin(t, (peer) => {
    peer.socket.once('data', () => {
      if (peer.text.startsWith('GET')) {
        peer.send('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n');
      }
    });
  });
  const raw = 'raw: { bind: "127.0.0.1:0", protocol: tcp, cluster: api }';
  const proxy = await supervise(t, documentOf('{ cluster: api }', { api: to(origin.address) }, raw));
  const upgraded = await connectPeer(t, proxy.port('web'));
  upgraded.send(request('GET /', ['Connection: Upgrade', 'Upgrade: echo']));
  await upgraded.receive('101 Switching');
  const tunnel = await connectPeer(t, proxy.port('raw'));
  tunnel.send('hello');
  await (await origin.peer(1)).receive('hello');
  for (const document of [
    documentOf('{ cluster: api }', { api: `${to(origin.address)}, timeouts: { response: 1s }` }, raw),
    documentOf('{ cluster: api }', { api: `${to(origin.address)}, pool: { idle: 1 }` }, raw),
    documentOf(respond('gone'), { other: to(origin.address) }, raw.replace('api', 'other')),
  ]) {
    await proxy.reload(document);
    for (const [at, client] of [upgraded, tunnel].entries()) {
      const peer = origin.peers[at]!;
      const [sent, received] = [peer.text.length, client.text.length];
      client.send('ping');
      await peer.receive('ping', sent);
      peer.send('pong');
      await client.receive('pong', received);
    }
  }
});

test('listeners come and go, and a bound address moves from one to another without being closed', async (t) => {
  const proxy = await supervise(t, documentOf(respond('one'), {}));
  await proxy.reload(documentOf(respond('one'), {}, `second: { bind: "127.0.0.1:0", routes: [${respond('second')}] }`));
  const second = proxy.port('second');
  const kept = await connectPeer(t, second);
  assert.equal(await next(kept), 'second');
  const renamed = `third: { bind: "127.0.0.1:${second}", routes: [${respond('third')}] }`;
  // From port 0 to the port that was found: another address, which is bound beside the one that is being closed.
  await proxy.reload(documentOf(respond('one'), {}, renamed));
  await kept.receiveAll();
  assert.equal(bodyOf(await askClosing(t, second)), 'third');
  await proxy.reload(documentOf(respond('one'), {}, renamed.replace('third', 'fourth')));
  assert.equal(bodyOf(await askClosing(t, second)), 'third');
});

test('a listener that speaks something else serves new connections so, and lets those before finish', async (t) => {
  const origin = await startOrigin(t, replying(reply('raw')));
  const document = (lines: string): string => `
listeners:
  web: { bind: "127.0.0.1:0", ${lines} }
clusters: { api: { ${to(origin.address)} } }
`;
  const proxy = await supervise(t, document(`routes: [${respond('http')}]`));
  const client = await connectPeer(t, proxy.port('web'));
  assert.equal(await next(client), 'http');
  await proxy.reload(document('protocol: tcp, cluster: api'));
  assert.equal(await next(await connectPeer(t, proxy.port('web'))), 'raw');
  await client.receiveAll();
});

test('what cannot be bound changes nothing and says why, and nothing that was bound meanwhile stays bound', async (t) => {
  const proxy = await supervise(t, documentOf(respond('one'), {}));
  const taken = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => taken.once('listening', resolve));
  t.after(() => taken.close());
  const { port } = taken.address() as { port: number };
  const more = `free: { bind: "127.0.0.1:0", cluster: api }
  taken: { bind: "127.0.0.1:${port}", cluster: api }`;
  const result = await proxy.tryReload(documentOf(respond('two'), { api: to('127.0.0.1:1') }, more));
  assert.ok('fault' in result, JSON.stringify(result));
  assert.match(result.fault, new RegExp(`listener taken: 127\\.0\\.0\\.1:${port}: the address is in use`));
  assert.equal(bodyOf(await askClosing(t, proxy.port('web'))), 'one');
  assert.equal(proxy.supervisor.generation, 1);
  const status = await proxy.supervisor.status();
  assert.match(status.reloadFault, /the address is in use/);
  assert.ok(proxy.log.some(({ message }) => message === 'not reloaded, nothing has changed'));
});

test('a document with errors changes nothing, and all its errors are told', async (t) => {
  const proxy = await supervise(t, documentOf(respond('one'), {}));
  const result = await proxy.tryReload(documentOf('{ cluster: nowhere }', { api: 'balance: fastest' }));
  assert.ok('errors' in result);
  assert.equal(result.errors.length, 3);
  assert.match(
    result.errors[0]!,
    /^test\.yaml:\d+:\d+: listeners\.web\.routes\[0\]\.cluster: there is no cluster "nowhere"/,
  );
  assert.equal(bodyOf(await askClosing(t, proxy.port('web'))), 'one');
  assert.equal((await proxy.supervisor.status()).generation, 1);
});

test('a plan tells what would change and what that does, and changes nothing', async (t) => {
  const proxy = await supervise(t, documentOf('{ cluster: api }', { api: to('127.0.0.1:1'), old: to('127.0.0.1:2') }));
  const plan = await proxy.tryReload(
    documentOf(respond('two'), { api: to('127.0.0.1:3'), fresh: to('127.0.0.1:4') }),
    true,
  );
  assert.ok('changes' in plan);
  assert.deepEqual(
    plan.changes.map(({ kind, name, what, keys }) => [kind, name, what, keys]),
    [
      ['listener', 'web', 'changed', ['routes']],
      ['cluster', 'api', 'changed', ['endpoints']],
      ['cluster', 'fresh', 'added', []],
      ['cluster', 'old', 'removed', []],
    ],
  );
  assert.match(plan.changes[1]!.effect, /new: 127\.0\.0\.1:3; draining: 127\.0\.0\.1:1$/);
  assert.equal(proxy.supervisor.generation, 1);
  // And one that is the same has nothing to tell.
  const nothing = await proxy.tryReload(
    documentOf('{ cluster: api }', { api: to('127.0.0.1:1'), old: to('127.0.0.1:2') }),
  );
  assert.ok('changes' in nothing && nothing.changes.length === 0 && nothing.generation === 1);
});

test('what an operator has said of endpoints, and what checks have found, holds over a reload', async (t) => {
  const [one, two] = [await startOrigin(t, replying(reply('one'))), await startOrigin(t, replying(reply('two')))];
  const document = (lines: string): string =>
    documentOf('{ cluster: api }', { api: `${to(one.address, two.address)}, ${lines}` });
  const proxy = await supervise(t, document('timeouts: { response: 5s }'));
  const { supervisor } = proxy;
  assert.equal(await supervisor.change('api', { kind: 'set', name: one.address, draining: true }), null);
  const answers = async (): Promise<Set<string>> => {
    const all = new Set<string>();
    for (let i = 0; i < 4; i++) all.add(bodyOf(await askClosing(t, proxy.port('web'))));
    return all;
  };
  assert.deepEqual(await answers(), new Set(['two']));
  await proxy.reload(document('timeouts: { response: 6s }'));
  assert.deepEqual(await answers(), new Set(['two']));
  // Another pool makes another cluster of it.
  await proxy.reload(document('pool: { idle: 1 }'));
  assert.deepEqual(await answers(), new Set(['two']));
  assert.equal(await supervisor.change('api', { kind: 'set', name: one.address, draining: false }), null);
  assert.deepEqual(await answers(), new Set(['one', 'two']));
});

test('event loops in threads are added, and are fewer only in the next process', async (t) => {
  const document = (workers: number): string => `workers: ${workers}\n${documentOf(respond('hi'), {})}`;
  const proxy = await supervise(t, document(1));
  const port = proxy.port('web');
  const kept = await connectPeer(t, port);
  assert.equal(await next(kept), 'hi');
  for (const wanted of [3, 2, 0]) {
    const { changes } = await proxy.reload(document(wanted));
    assert.match(changes.find(({ name }) => name === 'workers')!.effect, /fewer, .* come with the next process/);
    const { workers } = await proxy.supervisor.status();
    assert.deepEqual(
      workers.map(({ worker, state }) => [worker, state]),
      [0, 1, 2].map((worker) => [worker, 'serving']),
    );
    for (let i = 0; i < 10; i++) assert.equal(bodyOf(await askClosing(t, port)), 'hi');
    assert.equal(await next(kept), 'hi');
  }
  assert.equal(proxy.log.filter(({ message }) => /come with the next process/.test(String(message))).length, 2);
});

test('the main thread stays alone until the next process', async (t) => {
  const proxy = await supervise(t, documentOf(respond('hi'), {}));
  await proxy.reload(`workers: 2\n${documentOf(respond('two'), {})}`);
  assert.equal(proxy.supervisor.workers, 0);
  assert.equal(bodyOf(await askClosing(t, proxy.port('web'))), 'two');
});

test('a reload that is under way when the proxy is told to end gives up, and nothing listens afterwards', async (t) => {
  for (const end of ['drain', 'stop'] as const) {
    const document = (workers: number, more = ''): string =>
      `workers: ${workers}\n${documentOf(respond('hi'), {}, more)}`;
    const proxy = await supervise(t, document(1));
    const port = proxy.port('web');
    const reload = proxy.tryReload(document(2, `late: { bind: "127.0.0.1:0", routes: [${respond('late')}] }`));
    // Threads are being started by then.
    await new Promise((resolve) => setImmediate(resolve));
    proxy.supervisor[end]();
    assert.equal(await proxy.supervisor.ended, end === 'drain' ? 'drained' : 'stopped');
    const result = await reload;
    assert.ok('fault' in result && /it is draining|has ended/.test(result.fault), JSON.stringify(result));
    await assert.rejects(connectPeer(t, port), { code: 'ECONNREFUSED' });
    assert.deepEqual(proxy.supervisor.generation, 1);
  }
});

test('what a reload replaces is not held on to', async (t) => {
  const document = (at: number): string =>
    documentOf(
      '{ cluster: api }',
      { api: `${to('127.0.0.1:1')}, pool: { idle: ${at + 1} }` },
      `l${at}: { bind: "127.0.0.1:0", cluster: api }`,
    );
  const proxy = await supervise(t, document(0));
  for (let at = 1; at <= 10; at++) await proxy.reload(document(at));
  await eventually(() => proxy.supervisor.addresses.length === 2, 'two listeners');
  const counts = (): number[] =>
    [Listener, Cluster, Port].map((kind) => queryObjects(kind as never, { format: 'count' }));
  // What other tests of this file have left is none of this one's; what is being let go may take a turn.
  const before = counts();
  for (let at = 11; at <= 22; at++) await proxy.reload(document(at));
  await eventually(
    () => counts().every((count, kind) => count <= before[kind]! + 2),
    `as many as before (${before}, now ${counts()})`,
  );
});

test('an endpoint that checks have taken out is used again when nobody checks any more', async (t) => {
  let well = true;
  const origin = await startOrigin(t, (peer) => {
    peer.socket.on('data', () => peer.send(reply(well ? 'one' : 'ill', well ? '200 OK' : '500 No')));
  });
  const other = await startOrigin(t, replying(reply('two')));
  const checked = 'health: { path: /, interval: 100ms, fastInterval: 100ms, fall: 1 }, panic: 0%';
  const document = (lines: string): string =>
    documentOf('{ cluster: api }', { api: `${to(origin.address, other.address)}, ${lines}` });
  for (const workers of [0, 1]) {
    well = false;
    const proxy = await supervise(t, `workers: ${workers}\n${document(checked)}`);
    await eventually(() => proxy.log.some(({ message }) => message === 'endpoint is down'), 'one down');
    well = true;
    await proxy.reload(`workers: ${workers}\n${document('panic: 0%')}`);
    const answers = new Set<string>();
    for (let i = 0; i < 6; i++) answers.add(bodyOf(await askClosing(t, proxy.port('web'))));
    assert.deepEqual(answers, new Set(['one', 'two']));
  }
});

test('a cluster that a source has endpoints for is asked about before requests come', async (t) => {
  const origin = await startOrigin(t, replying(reply('found')));
  const file = join(temporaryFolder(t), 'endpoints.yaml');
  writeFileSync(file, `- ${origin.address}\n`);
  const proxy = await supervise(t, documentOf(respond('before'), {}));
  const client = await connectPeer(t, proxy.port('web'));
  await next(client);
  await proxy.reload(documentOf('{ cluster: api }', { api: `discovery: { file: ${JSON.stringify(file)} }` }));
  assert.equal(await next(client), 'found');
});

function askClosing(t: import('node:test').TestContext, port: number): Promise<string> {
  return ask(t, port, request('GET /', ['Connection: close']));
}
