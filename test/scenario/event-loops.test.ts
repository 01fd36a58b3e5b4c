// What is shared by event loops, and what becomes of it when one of them is lost: only what it had itself goes with it.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Admin } from '../support/admin.ts';
import { Load } from '../support/load.ts';
import { connectPeer, type Peer } from '../support/peer.ts';
import { eventually, Millrace, type Program, ROOT, startProgram, temporaryFolder } from '../support/process.ts';
import { startRecording } from '../support/servers.ts';

test('an event loop that ends takes its own exchanges with it and no others, and another takes its place', async (t) => {
  const origin = await startRecording(t, 5);
  const proxy = startSupervised(t, documentFor(origin.port));
  const port = await proxy.port('web');
  const admin = await Admin.of(proxy);
  const waiting = await Promise.all(Array.from({ length: 12 }, () => connectPeer(t, port)));
  for (const peer of waiting) {
    peer.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    await peer.receive(/\r\n\r\n\//);
  }
  const [waitingOfFirst] = (await admin.status()).workers.map(({ connections }) => connections);
  const kept = new Load(t, { to: port, kept: 12 });
  await kept.round();
  const before = await admin.status();
  assert.equal(before.connections, 24);
  assert.equal(before.workers[0]!.connections + before.workers[1]!.connections, 24, 'event loops add up');
  assert.equal(before.listeners[0]!.connections, 24);
  assert.equal(before.listeners[0]!.accepted, 24);

  const crowd = new Load(t, { to: port, fresh: 6, pauseMs: 1 });
  await crowd.further(50);
  proxy.process.stdin!.write('end 0\n');
  await proxy.until(({ err }) => err.includes('"event loop replaced"'), 'the replacement');
  t.diagnostic(`replaced after ${/"event loop replaced",.*"tookMs":(\d+)/.exec(proxy.err)![1]} ms`);
  assert.match(proxy.err, /"event loop is lost with its connections","worker":0,"cause":"ended"/);
  const lost = (): number => waiting.filter(({ closed, ended }) => closed || ended).length;
  await eventually(() => lost() === waitingOfFirst, 'the end of those that waited there');
  // Whoever lost a request there has noticed by the time of the next answer.
  await Promise.all([crowd.round(), kept.round()]);
  const faults = [...crowd.faults, ...kept.faults];
  await crowd.further(100);
  await kept.further(100);
  await Promise.all([crowd.stop(), kept.stop()]);
  assert.equal(lost(), waitingOfFirst, 'all of its connections, and no other');
  assert.equal(kept.interrupted, before.workers[0]!.connections - waitingOfFirst!, 'and of those that were in use');
  assert.deepEqual([...crowd.faults, ...kept.faults], faults, 'nothing fails any more');
  // What it had, and what had been put into its queue; nobody was turned away.
  for (const fault of faults) assert.match(fault, /: (closed without an answer|\w+: (ECONNRESET|EPIPE))$/);
  const { workers } = await admin.status();
  assert.deepEqual(
    workers.map(({ worker, state, restarts }) => [worker, state, restarts]),
    [
      [0, 'serving', 1],
      [1, 'serving', 0],
    ],
  );
  for (const peer of waiting) peer.end();
  assert.equal(await proxy.end('SIGTERM'), 0);
});

test('an event loop whose heap is full is replaced like one that has ended', async (t) => {
  const origin = await startRecording(t, 0);
  const proxy = startSupervised(t, `workerMemory: 64MiB\n${documentFor(origin.port)}`);
  const port = await proxy.port('web');
  const admin = await Admin.of(proxy);
  proxy.process.stdin!.write('grow 1\n');
  await replaced(t, proxy, 1, 'out of memory');
  const load = new Load(t, { to: port, kept: 8, fresh: 4 });
  await load.further(100);
  await load.stop();
  assert.deepEqual(load.faults, []);
  assert.deepEqual(
    (await admin.status()).workers.map(({ state, restarts }) => [state, restarts]),
    [
      ['serving', 0],
      ['serving', 1],
    ],
  );
  assert.equal(await proxy.end('SIGTERM'), 0);
});

test('an event loop that stands still is replaced like one that has ended', async (t) => {
  const origin = await startRecording(t, 0);
  // On a machine that is starved the other may stand still for so long as well, and is then replaced too.
  const proxy = startSupervised(t, documentFor(origin.port), 2000);
  const port = await proxy.port('web');
  const admin = await Admin.of(proxy);
  proxy.process.stdin!.write('block 0\n');
  await replaced(t, proxy, 0, 'does not turn');
  const load = new Load(t, { to: port, kept: 8, fresh: 4 });
  await load.round();
  await load.stop();
  await eventually(
    async () => (await admin.status()).workers.every(({ state }) => state === 'serving'),
    'all event loops to serve',
  );
  assert.ok((await admin.status()).workers[0]!.restarts >= 1);
  assert.equal(await proxy.end('SIGTERM'), 0);
});

test('a limit of connections holds over all event loops, and what one held when it ended is free again', async (t) => {
  const origin = await startRecording(t, 0);
  const proxy = startSupervised(t, documentFor(origin.port, 'limits: { connections: 8 }'));
  const port = await proxy.port('web');
  const admin = await Admin.of(proxy);
  const fill = async (): Promise<{ served: Peer[]; refused: number }> => {
    const served: Peer[] = [];
    for (let refused = 0; ; ) {
      const peer = await connectPeer(t, port);
      peer.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
      await peer.receive(/\r\n\r\n[\s\S]/);
      if (peer.text.startsWith('HTTP/1.1 200')) served.push(peer);
      else if (!peer.text.startsWith('HTTP/1.1 503')) assert.fail(peer.text);
      // Both event loops are asked, whichever the kernel chooses.
      else if (++refused === 8) return { served, refused };
    }
  };
  const { served, refused } = await fill();
  assert.equal(served.length, 8);
  const { workers, listeners } = await admin.status();
  assert.deepEqual([listeners[0]!.connections, listeners[0]!.refused], [8, refused]);
  proxy.process.stdin!.write('end 1\n');
  await proxy.until(({ err }) => err.includes('"event loop replaced"'), 'the replacement');
  const lost = (): number => served.filter(({ closed, ended }) => closed || ended).length;
  await eventually(() => lost() === workers[1]!.connections, 'the end of those that it had');
  assert.equal((await fill()).served.length, lost());
});

test('an event loop that holds a socket which was handed over ends the proxy with it, so that it can be handed over again', async (t) => {
  const { server, port } = await listening(t);
  const origin = await startRecording(t, 0);
  const proxy = startSupervised(
    t,
    documentFor(origin.port).replace('"127.0.0.1:0", routes', '"fd:3", routes'),
    STANDSTILL_MS,
    [descriptorOf(server)],
  );
  server.close();
  await proxy.until(({ err }) => err.includes('"listening"'), 'its listener');
  const client = await connectPeer(t, port);
  client.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  await client.receive(/\r\n\r\n\//);
  proxy.process.stdin!.write('end 0\n');
  assert.equal(await proxy.ended, 1);
  assert.match(proxy.err, /a socket that was handed over is lost with its event loop/);
});

/** Resolves once the log tells of an event loop's loss and of its replacement. */
async function replaced(t: TestContext, proxy: Program, worker: number, cause: string): Promise<void> {
  const lost = new RegExp(
    `lost with its connections","worker":${worker},"cause":"${cause}"[\\s\\S]*"event loop replaced","worker":${worker},"tookMs":(\\d+)`,
  );
  await proxy.until(({ err }) => lost.test(err), `the replacement of one that ${cause}`);
  t.diagnostic(`${cause}: replaced after ${lost.exec(proxy.err)![1]} ms`);
}

/** Longer than an event loop stands still on any machine. */
const STANDSTILL_MS = 10 * 60_000;

/** A proxy whose event loops can be harmed. */
function startSupervised(
  t: TestContext,
  document: string,
  standstillMs = STANDSTILL_MS,
  descriptors: readonly number[] = [],
): Program & Pick<Millrace, 'port' | 'address'> {
  const file = join(temporaryFolder(t), 'millrace.yaml');
  writeFileSync(file, document);
  const support = join(ROOT, 'test/support');
  const args = ['--import', join(support, 'torment.ts'), join(support, 'supervised.ts'), file, String(standstillMs)];
  const program = startProgram(t, process.execPath, args, {}, descriptors);
  return Object.assign(program, { port: Millrace.prototype.port, address: Millrace.prototype.address });
}

function documentFor(origin: number, listener = ''): string {
  return `
workers: 2
admin: { bind: "127.0.0.1:0" }
listeners: { web: { bind: "127.0.0.1:0", routes: [{ cluster: api }], ${listener} } }
clusters: { api: { endpoints: ["127.0.0.1:${origin}"] } }
`;
}

/** A listening socket to hand over: to be closed here once that is done. */
async function listening(t: TestContext): Promise<{ server: ReturnType<typeof createTcpServer>; port: number }> {
  const server = createTcpServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => void server.close());
  return { server, port: (server.address() as AddressInfo).port };
}

function descriptorOf(server: ReturnType<typeof createTcpServer>): number {
  return (server as unknown as { _handle: { fd: number } })._handle.fd;
}
