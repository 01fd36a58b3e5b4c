// Layer 4, which endpoint gets a connection: picking, going on to the next one, and giving up.

import assert from 'node:assert/strict';
import { connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { startOrigin } from '../support/origin.ts';
import { connectPeer } from '../support/peer.ts';
import { freePort, run, startProgram, temporaryFolder } from '../support/process.ts';
import { startProxy, type TestProxy, tcpTo } from '../support/proxy.ts';

/** Connects, and waits until `origin` has greeted. */
async function greeted(t: TestContext, proxy: TestProxy): Promise<Awaited<ReturnType<typeof connectPeer>>> {
  const client = await connectPeer(t, proxy.port('raw'));
  await client.receive(/^hello from \w+$/);
  return client;
}

function greeting(name: string) {
  return (peer: { send(data: string): void }): void => peer.send(`hello from ${name}`);
}

function active(proxy: TestProxy): number[] {
  return proxy.snapshot.clusters.get('api')!.endpoints.map((endpoint) => endpoint.active);
}

test('bytes pass unchanged in both directions, and each side ends by itself', async (t) => {
  const origin = await startOrigin(t);
  const proxy = await startProxy(t, tcpTo([origin.address]));
  const client = await connectPeer(t, proxy.port('raw'));
  client.send('\x00\xff\r\nquestion');
  const peer = await origin.peer(0);
  await peer.receive('\x00\xff\r\nquestion');
  client.end();
  await peer.receiveAll();
  peer.send('answer\x00\xfe');
  peer.end();
  assert.equal(await client.receiveAll(), 'answer\x00\xfe');
  assert.equal(peer.text, '\x00\xff\r\nquestion');
  await client.until(() => client.closed, 'the close');
  while (proxy.server.open > 0) await turn();
  assert.deepEqual(active(proxy), [0]);
});

test('endpoints take turns by weight', async (t) => {
  const one = await startOrigin(t, greeting('one'));
  const two = await startOrigin(t, greeting('two'));
  const proxy = await startProxy(
    t,
    `
listeners: { raw: { bind: "127.0.0.1:0", protocol: tcp, cluster: api } }
clusters:
  api:
    endpoints:
      - { address: "${one.address}", weight: 3 }
      - { address: "${two.address}", weight: 1 }
`,
  );
  const order: string[] = [];
  for (let number = 0; number < 16; number++) order.push((await greeted(t, proxy)).text.slice(11));
  assert.equal(order.filter((name) => name === 'one').length, 12);
  assert.equal(order.filter((name) => name === 'two').length, 4);
  for (let at = 0; at < 16; at += 4) assert.ok(order.slice(at, at + 4).includes('two'), 'spread evenly');
});

test('least-connections gives a new connection to the endpoint with the fewest open', async (t) => {
  const one = await startOrigin(t, greeting('one'));
  const two = await startOrigin(t, greeting('two'));
  const proxy = await startProxy(t, tcpTo([one.address, two.address], '', 'balance: least-connections'));
  const held = [];
  for (let number = 0; number < 6; number++) held.push(await greeted(t, proxy));
  assert.deepEqual([one.peers.length, two.peers.length], [3, 3]);
  for (const client of held.filter((client) => client.text.endsWith('two'))) client.socket.destroy();
  while (active(proxy)[1] !== 0) {
    for (const peer of two.peers) if (peer.ended) peer.end();
    await turn();
  }
  for (let number = 0; number < 3; number++) assert.match((await greeted(t, proxy)).text, /two$/);
  assert.deepEqual([one.peers.length, two.peers.length], [3, 6]);
});

test('an endpoint that refuses costs the client nothing: the next one is dialed, with the bytes sent meanwhile', async (t) => {
  const origin = await startOrigin(t);
  const refusing = `127.0.0.1:${await freePort()}`;
  const proxy = await startProxy(t, tcpTo([refusing, origin.address]));
  for (let number = 0; number < 4; number++) {
    const client = await connectPeer(t, proxy.port('raw'));
    client.send(`early ${number}`);
    await (await origin.peer(number)).receive(`early ${number}`);
  }
  const [first] = proxy.snapshot.clusters.get('api')!.endpoints;
  assert.ok(first!.stats.connectFailures > 0);
  assert.equal(first!.active, 0);
  assert.ok(proxy.log.some((line) => line['cause'] === 'connect_refused' && line['endpoint'] === refusing));
});

test('when every endpoint refuses, the client sees a reset, not an end', async (t) => {
  for (const count of [1, 2, 5]) {
    const refusing: string[] = [];
    for (let number = 0; number < count; number++) refusing.push(`127.0.0.1:${await freePort()}`);
    const endpoints = [...new Set(refusing)];
    const proxy = await startProxy(t, tcpTo(endpoints));
    const client = await connectPeer(t, proxy.port('raw'));
    await client.until(() => client.closed, 'the reset');
    assert.equal(client.error?.code, 'ECONNRESET');
    assert.deepEqual(
      active(proxy),
      endpoints.map(() => 0),
    );
    assert.ok(proxy.log.some((line) => line['cause'] === 'connect_refused'));
  }
});

/** A listening port whose queue is full, so that connecting to it takes for ever; null where that cannot be made. */
async function stuckPort(t: TestContext): Promise<number | null> {
  // Node accepts what it listens for, so another program has to be the one that does not.
  const probe = await run(t, 'python3', ['--version']).catch(() => null);
  if (probe === null || probe.code !== 0) return null;
  const program = startProgram(t, 'python3', [
    '-c',
    'import socket,sys;s=socket.socket();s.bind(("127.0.0.1",0));s.listen(0);print(s.getsockname()[1],flush=True);sys.stdin.read()',
  ]);
  await program.until(({ out }) => out.includes('\n'), 'its port');
  const port = Number(program.out);
  for (let number = 0; number < 8; number++) {
    const filler = connect(port, '127.0.0.1').on('error', () => {});
    t.after(() => filler.destroy());
    const connected = await Promise.race([
      new Promise<boolean>((resolve) => filler.once('connect', () => resolve(true))),
      new Promise<boolean>((resolve) => setTimeout(resolve, 300, false)),
    ]);
    if (!connected) return port;
  }
  return null;
}

test('an endpoint that does not accept in time is given up for the next one, or the client is reset', async (t) => {
  const port = await stuckPort(t);
  if (port === null) {
    t.diagnostic('SKIPPED: no port could be made that does not answer (needs python3)');
    t.skip('no way to make a connect that hangs');
    return;
  }
  const origin = await startOrigin(t, greeting('one'));
  const stuck = `127.0.0.1:${port}`;
  const proxy = await startProxy(t, tcpTo([stuck, origin.address], '', 'timeouts: { connect: 100ms }'));
  await greeted(t, proxy);
  await greeted(t, proxy);
  assert.ok(proxy.log.some((line) => line['cause'] === 'connect_timeout'));
  const alone = await startProxy(t, tcpTo([stuck], '', 'timeouts: { connect: 100ms }'));
  const client = await connectPeer(t, alone.port('raw'));
  await client.until(() => client.closed, 'the reset');
  assert.equal(client.error?.code, 'ECONNRESET');
  assert.deepEqual(active(alone), [0]);
});

test('a client that is gone before an endpoint is reached leaves nothing behind', async (t) => {
  const origin = await startOrigin(t);
  const proxy = await startProxy(t, tcpTo([origin.address]));
  for (let number = 0; number < 20; number++) {
    const client = await connectPeer(t, proxy.port('raw'));
    if (number % 2 === 0) client.socket.resetAndDestroy();
    else client.socket.destroy();
  }
  while (proxy.server.open > 0) {
    for (const peer of origin.peers) if (peer.ended) peer.end();
    await turn();
  }
  assert.deepEqual(active(proxy), [0]);
});

test('more connections than allowed are closed as they come, and accepted again when others have left', async (t) => {
  const origin = await startOrigin(t, greeting('one'));
  const proxy = await startProxy(t, tcpTo([origin.address], 'limits: { connections: 2 }'));
  const first = await greeted(t, proxy);
  await greeted(t, proxy);
  const third = await connectPeer(t, proxy.port('raw'));
  await third.receiveAll();
  assert.equal(third.text, '');
  first.socket.resetAndDestroy();
  while (proxy.server.open > 1) await turn();
  await greeted(t, proxy);
  assert.equal(origin.peers.length, 3);
});

test('a silent tunnel ends after the idle limit, on both sides', async (t) => {
  const origin = await startOrigin(t);
  const proxy = await startProxy(t, tcpTo([origin.address], 'timeouts: { tunnel: 100ms }'));
  const client = await connectPeer(t, proxy.port('raw'));
  const peer = await origin.peer(0);
  await Promise.all([client.receiveAll(), peer.receiveAll()]);
  while (proxy.server.open > 0) await turn();
  assert.deepEqual(active(proxy), [0]);
});

test('IPv6 and unix sockets work on either side, in any combination', async (t) => {
  const folder = temporaryFolder(t);
  const path = join(folder, 'origin');
  const local = await startOrigin(t, greeting('unix'), path);
  const sockets: Socket[] = [];
  const six = createServer((socket) => {
    sockets.push(socket);
    socket.on('error', () => {});
    socket.write('hello from six');
  });
  const bound = await new Promise<boolean>((resolve) => {
    six.once('error', () => resolve(false));
    six.listen(0, '::1', () => resolve(true));
  });
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    six.close();
  });
  if (!bound) {
    t.diagnostic('SKIPPED: this machine has no IPv6');
    t.skip('no IPv6');
    return;
  }
  const { port } = six.address() as { port: number };
  const proxy = await startProxy(
    t,
    `
listeners:
  six: { bind: "[::1]:0", protocol: tcp, cluster: local }
  both: { bind: ":0", protocol: tcp, cluster: six }
  local: { bind: "unix:${join(folder, 'proxy')}", protocol: tcp, cluster: six }
  chain: { bind: "unix:${join(folder, 'chain')}", protocol: tcp, cluster: local }
clusters:
  six: { endpoints: ["[::1]:${port}"] }
  local: { endpoints: ["${local.address}"] }
`,
  );
  const from = (host: string, listener: string): Promise<string> =>
    first(t, connect({ host, port: proxy.port(listener) }));
  assert.equal(await from('::1', 'six'), 'hello from unix');
  assert.equal(await from('::1', 'both'), 'hello from six');
  assert.equal(await from('127.0.0.1', 'both'), 'hello from six');
  assert.equal(await first(t, connect(join(folder, 'proxy'))), 'hello from six');
  assert.equal(await first(t, connect(join(folder, 'chain'))), 'hello from unix');
});

test('a unix client and a unix endpoint see an end where others would see a reset', async (t) => {
  const folder = temporaryFolder(t);
  const origin = await startOrigin(t, () => {}, join(folder, 'origin'));
  const proxy = await startProxy(
    t,
    `
listeners:
  raw: { bind: "unix:${join(folder, 'proxy')}", protocol: tcp, cluster: api }
  lost: { bind: "unix:${join(folder, 'lost')}", protocol: tcp, cluster: nobody }
clusters:
  api: { endpoints: ["${origin.address}"] }
  nobody: { endpoints: ["unix:${join(folder, 'nobody')}"] }
`,
  );
  const client = await connectPeer(t, join(folder, 'proxy'));
  const peer = await origin.peer(0);
  client.send('x');
  await peer.receive('x');
  proxy.server.close();
  await Promise.all([client.receiveAll(), peer.receiveAll()]);
  assert.equal(proxy.server.open, 0);
});

test('a unix client whose endpoint cannot be reached sees the end, and the proxy goes on', async (t) => {
  const folder = temporaryFolder(t);
  const document = `
listeners: { lost: { bind: "unix:${join(folder, 'lost')}", protocol: tcp, cluster: nobody } }
clusters: { nobody: { endpoints: ["unix:${join(folder, 'nobody')}"] } }
`;
  await startProxy(t, document);
  for (let number = 0; number < 2; number++) {
    const client = await connectPeer(t, join(folder, 'lost'));
    assert.equal(await client.receiveAll(), '');
  }
});

/** What comes first on a connection. */
function first(t: TestContext, socket: Socket): Promise<string> {
  t.after(() => socket.destroy());
  return new Promise((resolve, reject) => {
    socket.once('data', (chunk) => resolve(chunk.toString('latin1')));
    socket.once('error', reject);
  });
}

function turn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 5));
}
