// A server's life: binding all or nothing, draining, closing, and what happens at its limits.

import assert from 'node:assert/strict';
import { existsSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { createLog } from '../../lib/base/log.ts';
import { buildSnapshot } from '../../lib/config/build.ts';
import { readConfiguration } from '../../lib/config/read.ts';
import { Server } from '../../lib/server/server.ts';
import { answering, startOrigin } from '../support/origin.ts';
import { connectPeer, type Peer } from '../support/peer.ts';
import { freePort, startProgram, temporaryFolder } from '../support/process.ts';
import { httpTo, startProxy, tcpTo } from '../support/proxy.ts';

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi';
const GET = 'GET / HTTP/1.1\r\nHost: example\r\n\r\n';

/** Starts a server that may not start. */
async function tryStart(t: TestContext, document: string): Promise<Server | string> {
  const read = await readConfiguration(document, 'test.yaml');
  assert.ok('configuration' in read, JSON.stringify(read));
  const log = createLog({ level: 'error', format: 'json', colours: false, write: () => {}, now: Date.now });
  const started = await Server.start(buildSnapshot(read.configuration, log), log);
  if (!(started instanceof Server)) return started.fault;
  t.after(() => started.close());
  return started;
}

function listening(binds: readonly string[]): string {
  const listeners = binds.map((bind, number) => `  l${number}: { bind: ${JSON.stringify(bind)}, cluster: api }\n`);
  return `listeners:\n${listeners.join('')}clusters: { api: { endpoints: ["127.0.0.1:9"] } }\n`;
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  const free = await new Promise<boolean>((resolve) => {
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => resolve(true));
  });
  await new Promise((resolve) => server.close(resolve));
  return free;
}

test('what cannot be bound is told in words, all of it at once, and then nothing stays bound', async (t) => {
  const folder = temporaryFolder(t);
  const taken = await startOrigin(t);
  const free = await freePort();
  const fault = await tryStart(
    t,
    listening([
      `127.0.0.1:${free}`,
      `127.0.0.1:${taken.port}`,
      '192.0.2.1:0',
      `unix:${join(folder, 'missing', 'socket')}`,
      'no-such-host.invalid:0',
    ]),
  );
  assert.ok(typeof fault === 'string');
  assert.match(fault, new RegExp(`listener l1: 127\\.0\\.0\\.1:${taken.port}: the address is in use`));
  assert.match(fault, /listener l2: 192\.0\.2\.1:0: this machine does not have the address/);
  assert.match(fault, /listener l3: unix:[^;]*: the folder does not exist/);
  assert.match(fault, /listener l4: no-such-host\.invalid:0: \S+/);
  assert.doesNotMatch(fault, /l0/);
  assert.equal(await isFree(free), true);
});

test('a bind that is not permitted says what would permit it', async (t) => {
  if (process.getuid?.() === 0) {
    // Root may bind everything: another user is asked.
    const folder = temporaryFolder(t);
    const script = join(folder, 'bind.mts');
    const room = new URL('../../lib/server/', import.meta.url).pathname;
    writeFileSync(
      script,
      `import { createServer } from 'node:net';
process.setgid(65534); process.setuid(65534);
createServer().once('error', (error) => console.log(error.code)).listen(80, '127.0.0.1', () => console.log('bound'));
`,
    );
    const probe = startProgram(t, process.execPath, [script]);
    await probe.ended;
    if (!probe.out.includes('EACCES')) {
      t.diagnostic(`SKIPPED: every user may bind port 80 here (${probe.out.trim()}); ${room}`);
      t.skip('every user may bind port 80 here');
      return;
    }
    process.setegid!(65534);
    process.seteuid!(65534);
    t.after(() => {
      process.seteuid!(0);
      process.setegid!(0);
    });
  }
  const fault = await tryStart(t, listening(['127.0.0.1:80']));
  process.seteuid?.(0);
  assert.match(String(fault), /127\.0\.0\.1:80: permission denied; ports below 1024 need/);
});

test('a socket file that nobody answers is replaced; a live one and a file of another kind are left alone', async (t) => {
  const folder = temporaryFolder(t);
  const stale = join(folder, 'stale');
  const live = join(folder, 'live');
  const file = join(folder, 'file');
  // A process that is killed leaves its socket behind.
  const dead = startProgram(t, process.execPath, [
    '-e',
    `require('node:net').createServer().listen(${JSON.stringify(stale)}, () => console.log('up'))`,
  ]);
  await dead.until(({ out }) => out.includes('up'), 'its socket');
  await dead.end('SIGKILL');
  assert.ok(existsSync(stale));
  const owner = await startOrigin(t, (peer) => peer.send('mine'), live);
  writeFileSync(file, 'precious');

  assert.match(String(await tryStart(t, listening([`unix:${live}`]))), /live: the address is in use/);
  assert.match(String(await tryStart(t, listening([`unix:${file}`]))), /file: the address is in use/);
  assert.ok(existsSync(file), 'not ours to remove');
  await (await connectPeer(t, live)).receive('mine');
  assert.equal(owner.peers.length > 0, true);

  const server = await tryStart(t, listening([`unix:${stale}`]));
  assert.ok(server instanceof Server);
  assert.deepEqual(
    server.addresses.map(({ address }) => address),
    [`unix:${stale}`],
  );
  (await connectPeer(t, stale)).socket.destroy();
  server.close();
  while (existsSync(stale)) await turn();
});

test('a drain closes what is idle, lets an exchange finish as the last one, and accepts nothing new', async (t) => {
  const origin = await startOrigin(t);
  const proxy = await startProxy(t, httpTo([origin.address]));
  const port = proxy.port('web');
  const idle = await connectPeer(t, port);
  idle.send(GET);
  (await origin.peer(0)).send(OK);
  await idle.receive('hi');
  const fresh = await connectPeer(t, port);
  const busy = await connectPeer(t, port);
  busy.send(GET);
  const answering = origin.peers[0]!;
  await answering.until(() => answering.text.split('\r\n\r\n').length > 2, 'the second request');
  while (proxy.server.open < 3) await turn();

  let outcome: { cut: number } | null = null;
  const drained = proxy.server.drain(60_000).then((result) => {
    outcome = result;
  });
  await idle.receiveAll();
  assert.equal(outcome, null, 'an exchange is under way');
  await assert.rejects(connectPeer(t, port), /ECONNREFUSED/);
  // Who has only just come has a first request on the way, and it is served.
  assert.equal(fresh.ended, false);
  fresh.send(GET);
  const other = await origin.peer(1);
  await other.receive('\r\n\r\n');
  for (const peer of [answering, other]) peer.send(OK);
  for (const client of [busy, fresh]) {
    await client.receiveAll();
    assert.match(client.text, /^HTTP\/1\.1 200 OK\r\n[\s\S]*hi$/);
    assert.match(client.text, /^connection: close\r$/im);
  }
  for (const client of [idle, fresh, busy]) client.end();
  await drained;
  assert.deepEqual(outcome, { cut: 0 });
  assert.equal(proxy.server.open, 0);
  await answering.receiveAll();
});

test('tunnels get the time of the drain, then they are cut on both sides and counted', async (t) => {
  const origin = await startOrigin(t);
  const proxy = await startProxy(t, tcpTo([origin.address]));
  const clients = [];
  for (let number = 0; number < 3; number++) {
    const client = await connectPeer(t, proxy.port('raw'));
    client.send('x');
    await (await origin.peer(number)).receive('x');
    clients.push(client);
  }
  const drained = proxy.server.drain(150);
  clients[0]!.send('still');
  await origin.peers[0]!.receive('still');
  clients[0]!.end();
  origin.peers[0]!.end();
  assert.deepEqual(await drained, { cut: 2 });
  for (const peer of [...clients.slice(1), ...origin.peers.slice(1)]) {
    await peer.until(() => peer.closed, 'the reset');
    assert.equal(peer.error?.code, 'ECONNRESET');
  }
  while (proxy.server.open > 0) await turn();
  assert.equal(proxy.snapshot.clusters.get('api')!.endpoints[0]!.active, 0);
});

test('close breaks off exchanges, tunnels, dials and connections that said nothing yet, and leaves nothing open', async (t) => {
  const origin = await startOrigin(t);
  const proxy = await startProxy(
    t,
    `
listeners:
  web: { bind: "127.0.0.1:0", cluster: api }
  raw: { bind: "127.0.0.1:0", protocol: tcp, cluster: api }
  auto: { bind: "127.0.0.1:0", protocol: auto, fallback: api, detectTimeout: 60s, cluster: api }
clusters: { api: { endpoints: ["${origin.address}"] } }
`,
  );
  const web = await connectPeer(t, proxy.port('web'));
  web.send(GET);
  await (await origin.peer(0)).receive('\r\n\r\n');
  const raw = await connectPeer(t, proxy.port('raw'));
  await origin.peer(1);
  const auto = await connectPeer(t, proxy.port('auto'));
  auto.send('G');
  while (proxy.server.open < 3) await turn();
  proxy.server.close();
  proxy.server.close();
  for (const peer of [web, raw, auto, ...origin.peers]) await peer.until(() => peer.ended || peer.closed, 'the end');
  while (proxy.server.open > 0) await turn();
  assert.equal(proxy.snapshot.clusters.get('api')!.endpoints[0]!.active, 0);
});

test('a client that has stopped reading does not survive the drain, whatever its connection was doing', async (t) => {
  const large = `HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 30000000\r\n\r\n${'x'.repeat(30_000_000)}`;
  const origin = await startOrigin(t, answering(large));
  const proxy = await startProxy(t, httpTo([origin.address]));
  const client = await connectPeer(t, proxy.port('web'));
  client.socket.pause();
  client.send(GET);
  await origin.peer(0);
  while (proxy.server.open < 1) await turn();
  assert.deepEqual(await proxy.server.drain(100), { cut: 1 });
  while (proxy.server.open > 0) await turn();
});

test('one connection too many is told so in HTTP, and the next is served when another has left', async (t) => {
  const origin = await startOrigin(t, answering(OK));
  const proxy = await startProxy(t, httpTo([origin.address], 'limits: { connections: 2 }'));
  const port = proxy.port('web');
  const first = await connectPeer(t, port);
  const second = await connectPeer(t, port);
  for (const client of [first, second]) {
    client.send(GET);
    await client.receive('hi');
  }
  const third = await connectPeer(t, port);
  await third.receiveAll();
  assert.match(third.text, /^HTTP\/1\.1 503 Service Unavailable\r\n[\s\S]*Connection: close\r\n/);
  const [, length, body] = /Content-Length: (\d+)[\s\S]*?\r\n\r\n([\s\S]*)$/.exec(third.text)!;
  assert.equal(body!.length, Number(length));
  assert.ok(proxy.log.some((line) => line['limit'] === 2));
  first.socket.destroy();
  while (proxy.server.open > 1) await turn();
  const fourth = await connectPeer(t, port);
  fourth.send(GET);
  await fourth.receive('hi');
});

test('a listener that cannot accept sheds what is idle and goes on', async (t) => {
  const origin = await startOrigin(t, answering(OK));
  const accepting: { _handle: { onconnection(status: number): void } }[] = [];
  const listen = (await import('node:net')).Server.prototype.listen;
  // The listening socket is not reachable from outside: it is noted as it begins to listen.
  (await import('node:net')).Server.prototype.listen = function noted(this: unknown, ...args: never[]) {
    accepting.push(this as (typeof accepting)[number]);
    return (listen as (...all: unknown[]) => unknown).apply(this, args);
  } as never;
  const proxy = await startProxy(t, httpTo([origin.address]));
  (await import('node:net')).Server.prototype.listen = listen;
  const idle: Peer[] = [];
  for (let number = 0; number < 70; number++) {
    const client = await connectPeer(t, proxy.port('web'));
    client.send(GET);
    await client.receive('hi');
    idle.push(client);
  }
  assert.equal(origin.peers.length, 1, 'one upstream connection served them all');
  const { _handle: handle } = accepting[0]!;
  handle.onconnection(-24);
  handle.onconnection(-24);
  // The oldest ones go, and what is idle upstream; one call soon after another does nothing more.
  await Promise.all(idle.slice(0, 64).map((client) => client.receiveAll()));
  await origin.peers[0]!.receiveAll();
  for (const client of idle.slice(64)) {
    assert.equal(client.ended, false);
    client.text = '';
    client.send(GET);
    await client.receive('hi');
  }
  assert.ok(proxy.log.some((line) => line['cause'] === 'EMFILE'));
});

function turn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 5));
}
