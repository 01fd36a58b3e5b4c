// A reload is the difference of two configurations: what is the same goes on as if nothing had happened, what is new begins,
// what is gone ends in its own time, and what cannot be done changes nothing.

import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { test } from 'node:test';
import { ask, bodyOf, reply, replying, request } from '../support/http.ts';
import { startOrigin } from '../support/origin.ts';
import { connectPeer, type Peer } from '../support/peer.ts';
import { eventually } from '../support/process.ts';
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
  // From port 0 to the port that was found is another address, so the one is closed and the other opened: not at once.
  const refused = await proxy.tryReload(documentOf(respond('one'), {}, renamed));
  assert.ok('fault' in refused && /the address is in use/.test(refused.fault), JSON.stringify(refused));
  await proxy.reload(documentOf(respond('one'), {}));
  await kept.receiveAll();
  await eventually(() => proxy.supervisor.addresses.length === 1, 'one listener');
  await proxy.reload(documentOf(respond('one'), {}, renamed));
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

test('event loops in threads are added and taken away, and serve alike', async (t) => {
  const document = (workers: number): string => `workers: ${workers}\n${documentOf(respond('hi'), {})}`;
  const proxy = await supervise(t, document(1));
  const port = proxy.port('web');
  const kept = await connectPeer(t, port);
  assert.equal(await next(kept), 'hi');
  await proxy.reload(document(3));
  const { workers } = await proxy.supervisor.status();
  assert.deepEqual(
    workers.map(({ worker, state }) => [worker, state]),
    [0, 1, 2].map((worker) => [worker, 'serving']),
  );
  for (let i = 0; i < 20; i++) assert.equal(bodyOf(await askClosing(t, port)), 'hi');
  await proxy.reload(document(1));
  assert.equal((await proxy.supervisor.status()).workers.length, 1);
  for (let i = 0; i < 20; i++) assert.equal(bodyOf(await askClosing(t, port)), 'hi');
  assert.equal(await next(kept), 'hi');
});

function askClosing(t: import('node:test').TestContext, port: number): Promise<string> {
  return ask(t, port, request('GET /', ['Connection: close']));
}
