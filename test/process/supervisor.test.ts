// What the supervisor waits for, and what waits for it: a step that hangs must hold up neither the end nor the replacement of
// event loops.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { createLog, type Log } from '../../lib/base/log.ts';
import { type ReadResult, readConfiguration } from '../../lib/config/read.ts';
import type { Ending } from '../../lib/process/departure.ts';
import { Supervisor, type SupervisorOptions } from '../../lib/process/supervisor.ts';
import { reply, replying } from '../support/http.ts';
import { startOrigin } from '../support/origin.ts';
import { connectPeer } from '../support/peer.ts';
import { eventually, freePort } from '../support/process.ts';

const RESPOND = 'routes: [{ respond: { status: 200, body: hi } }]';
const WEB = `listeners: { web: { bind: "127.0.0.1:0", ${RESPOND} } }`;

test('a reload whose configuration is never read is given up, and the next one is read', async (t) => {
  let reads = 0;
  const read = (): Promise<ReadResult> => (++reads === 1 ? never() : document(`workers: 0\n${WEB}\ndrainDelay: 1ms`));
  const { supervisor } = await start(t, `workers: 0\n${WEB}`, { read, readWithinMs: 50 });
  const first = await supervisor.reload();
  assert.ok('fault' in first);
  assert.match(first.fault, /could not be read within 0\.05s/);
  assert.equal((await supervisor.status()).reloadFault, first.fault);
  const second = await supervisor.reload();
  assert.ok('errors' in second && second.generation === 2, JSON.stringify(second));
});

test('reads that never end are not begun for ever', async (t) => {
  let reads = 0;
  const read = (): Promise<ReadResult> => {
    reads++;
    return never();
  };
  const { supervisor } = await start(t, `workers: 0\n${WEB}`, { read, readWithinMs: 10 });
  const faults = [];
  for (let i = 0; i < 4; i++) faults.push((await supervisor.reload(true)) as { fault: string });
  assert.equal(reads, 2);
  assert.match(faults[3]!.fault, /earlier attempts/);
});

for (const [what, end, expected] of [
  ['drain', (supervisor: Supervisor) => void supervisor.drain(), 'drained'],
  ['stop', (supervisor: Supervisor) => supervisor.stop(), 'stopped'],
] as const) {
  test(`a proxy that is told to ${what} does not wait for a configuration that is being read`, async (t) => {
    const { read, begun } = hanging();
    const { supervisor } = await start(t, `workers: 1\n${WEB}`, { read });
    const reloaded = supervisor.reload();
    await begun;
    end(supervisor);
    assert.equal(await supervisor.ended, expected);
    assert.deepEqual(await reloaded, { status: 409, fault: 'it is draining' });
  });
}

test('event loops are replaced while a configuration is being read', async (t) => {
  const { read, begun } = hanging();
  const { supervisor, log } = await start(t, `workers: 2\n${WEB}`, { read });
  const [reload, plan] = [supervisor.reload(), supervisor.reload(true)];
  await begun;
  supervisor.seats[1]!.kill();
  await eventually(() => log.some(({ message }) => message === 'event loop replaced'), 'the replacement');
  supervisor.stop();
  await Promise.all([plan, reload]);
});

test('event loops that are lost after a reload to no workers come back in threads of their own', async (t) => {
  let text = `workers: 1\n${WEB}`;
  const { supervisor, log } = await start(t, text, { read: () => document(text) });
  text = `workers: 0\n${WEB}`;
  assert.ok('errors' in (await supervisor.reload()));
  supervisor.seats[0]!.kill();
  await eventually(() => log.some(({ message }) => message === 'event loop replaced'), 'the replacement');
  assert.equal(supervisor.workers, 1);
  // Only a thread can be lost once more.
  supervisor.seats[0]!.kill();
  await eventually(() => log.filter(({ message }) => message === 'event loop replaced').length === 2, 'the next one');
});

test('an event loop that dies between getting ready and going over is replaced once', async (t) => {
  let text = `workers: 2\n${WEB}`;
  const { supervisor, log } = await start(t, text, { read: () => document(text) });
  const second = supervisor.seats[1]!;
  const { prepare, replaceSoon } = second;
  let replacements = 0;
  second.replaceSoon = (replace) => {
    replacements++;
    replaceSoon.call(second, replace);
  };
  second.prepare = async (order) => {
    second.prepare = prepare;
    const fault = await second.prepare(order);
    second.kill();
    await eventually(() => !second.serving, 'its death');
    return fault;
  };
  text = text.replace('hi', 'ho');
  assert.ok('errors' in (await supervisor.reload()));
  await eventually(() => log.some(({ message }) => message === 'event loop replaced'), 'the replacement');
  assert.equal(replacements, 1);
  assert.equal((await supervisor.status()).generation, 2);
});

test('a proxy is sound while any of its event loops serves', async (t) => {
  const { supervisor, log } = await start(t, `workers: 2\n${WEB}`);
  assert.equal(supervisor.sound, true);
  const looks: boolean[][] = [];
  log.push = (...lines) => {
    if (String(lines[0]!['message']).startsWith('event loop is lost'))
      looks.push([supervisor.seats[0]!.serving, supervisor.sound]);
    return Array.prototype.push.apply(log, lines);
  };
  supervisor.seats[0]!.kill();
  await eventually(() => looks.length > 0, 'the loss');
  assert.deepEqual(looks, [[false, true]]);
});

test('a proxy that is stopped during its drainDelay ends then, and says nothing more', async (t) => {
  const { supervisor, log } = await start(t, `workers: 0\ndrainDelay: 10m\n${WEB}`);
  const timers = (): number => process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length;
  const before = timers();
  supervisor.drain();
  assert.equal(timers(), before + 1);
  supervisor.stop();
  assert.equal(await supervisor.ended, 'stopped');
  assert.ok(timers() <= before, 'nothing keeps the program alive');
  assert.ok(log.some(({ message }) => message === 'not ready any more, draining soon'));
  assert.ok(!log.some(({ message }) => message === 'draining'));
});

test('when a reload is told to have failed, no event loop holds what it had bound for it', async (t) => {
  let text = `workers: 2\n${WEB}`;
  const { supervisor } = await start(t, text, { read: () => document(text) });
  const port = await freePort();
  text = `workers: 2
listeners:
  web: { bind: "127.0.0.1:0", ${RESPOND} }
  more: { bind: "127.0.0.1:${port}", ${RESPOND} }`;
  const [first, second] = supervisor.seats;
  let bound = false;
  second!.prepare = async () => {
    bound = isBound(port);
    return 'it will not';
  };
  assert.deepEqual(await supervisor.reload(), { status: 409, fault: 'it will not' });
  assert.deepEqual([bound, isBound(port)], [true, false]);
  assert.equal(first!.serving, true);
});

test('what event loops have counted outlives them, and what they had open does not', async (t) => {
  const origin = await startOrigin(t, replying(reply('hi')));
  const { supervisor, log } = await start(
    t,
    `
workers: 2
listeners: { web: { bind: "127.0.0.1:0", cluster: a } }
clusters: { a: { endpoints: ["${origin.address}"] } }`,
    { standstillMs: 5000 },
  );
  const port = Number(/\d+$/.exec(supervisor.addresses[0]!.address)![0]);
  const clients = await Promise.all(Array.from({ length: 12 }, () => connectPeer(t, port)));
  for (const client of clients) {
    client.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    await client.receive('hi');
  }
  // Nobody has asked for it: it is taken down all the same.
  const noted = (): number =>
    supervisor.seats.reduce((sum, { known }) => sum + (known?.listeners[0]?.exchanges ?? 0), 0);
  await eventually(() => noted() === 12, 'all exchanges to be known');
  for (const [at, seat] of supervisor.seats.entries()) {
    seat.kill();
    await eventually(
      () => log.filter(({ message }) => message === 'event loop replaced').length === at + 1,
      'the replacement',
    );
  }
  const { listeners, connections } = await supervisor.status();
  const { accepted, exchanges, connections: open } = listeners[0]!;
  assert.deepEqual(
    { accepted, exchanges, open, connections },
    { accepted: 12, exchanges: 12, open: 0, connections: 0 },
  );
  const [cluster] = await supervisor.clusters();
  const [endpoint] = cluster!.endpoints;
  assert.deepEqual([endpoint!.exchanges, endpoint!.connections, endpoint!.state], [12, 0, 'up']);
  assert.equal(listeners.length, 1);
});

for (const lost of [false, true]) {
  test(`what a drain cuts off is told by listener${lost ? ', also of an event loop that dies meanwhile' : ' and kind'}`, async (t) => {
    const origin = await startOrigin(t);
    const { supervisor, log } = await start(
      t,
      `
workers: 1
drainTimeout: ${lost ? '10m' : '50ms'}
listeners:
  web: { bind: "127.0.0.1:0", cluster: a }
  raw: { bind: "127.0.0.1:0", protocol: tcp, cluster: a }
  idle: { bind: "127.0.0.1:0", cluster: a }
clusters: { a: { endpoints: ["${origin.address}"] } }`,
    );
    const port = (name: string): number =>
      Number(/\d+$/.exec(supervisor.addresses.find(({ listener }) => listener === name)!.address)![0]);
    for (let at = 0; at < 2; at++) (await connectPeer(t, port('raw'))).send('GET /raw\r\n');
    (await connectPeer(t, port('web'))).send('GET /web HTTP/1.1\r\nHost: a\r\n\r\n');
    for (let at = 0; at < 3; at++) await (await origin.peer(at)).receive('GET /');
    supervisor.drain();
    if (lost) supervisor.seats[0]!.kill();
    assert.equal(await supervisor.ended, 'cut');
    const { cut, listeners } = log.find(({ message }) => message === 'drain timeout: connections were cut off')!;
    const expected = lost ? { raw: { lost: 2 }, web: { lost: 1 } } : { raw: { tunnels: 2 }, web: { http: 1 } };
    assert.deepEqual({ cut, listeners }, { cut: 3, listeners: expected });
  });
}

test('a start that is broken off leaves nothing behind', async () => {
  const port = await freePort();
  const first = await document(`workers: 2\nlisteners: { web: { bind: "127.0.0.1:${port}", ${RESPOND} } }`);
  assert.ok('configuration' in first);
  const ending = new AbortController();
  const started = Supervisor.start(first.configuration, logTo([]), { signal: ending.signal });
  ending.abort();
  assert.ok('fault' in (await started));
  assert.equal(isBound(port), false);
});

test('the first process of a container starts no successor, which would end with it', async (t) => {
  const { supervisor } = await start(t, `workers: 0\n${WEB}`, { upgradable: true, pid: 1 });
  const refusal = await supervisor.upgrade();
  assert.ok('fault' in refusal && refusal.status === 409);
  assert.match(refusal.fault, /it is process 1 here/);
  assert.equal(supervisor.ready, true);
});

function never(): Promise<never> {
  return new Promise(() => {});
}

async function document(text: string): Promise<ReadResult> {
  return readConfiguration(text, 'test.yaml');
}

/** A read that never ends, and when it has begun. */
function hanging(): { read: () => Promise<never>; begun: Promise<void> } {
  const { promise: begun, resolve } = Promise.withResolvers<void>();
  const read = (): Promise<never> => {
    resolve();
    return never();
  };
  return { read, begun };
}

/** Whether somebody listens on this port of 127.0.0.1 at this very moment. */
function isBound(port: number): boolean {
  const address = `0100007F:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  return readFileSync('/proc/net/tcp', 'latin1')
    .split('\n')
    .some((line) => line.includes(` ${address} `) && / 0A /.test(line));
}

function logTo(lines: Record<string, unknown>[]): Log {
  const write = (line: string): void => void lines.push(JSON.parse(line));
  return createLog({ level: 'debug', format: 'json', colours: false, write, now: Date.now });
}

/** A supervisor with its log; stopped when the test ends. */
async function start(
  t: TestContext,
  text: string,
  options: SupervisorOptions = {},
): Promise<{ supervisor: Supervisor; log: Record<string, unknown>[] }> {
  const log: Record<string, unknown>[] = [];
  const writer = logTo(log);
  const first = await document(text);
  assert.ok('configuration' in first, JSON.stringify(first));
  const supervisor = await Supervisor.start(first.configuration, writer, options);
  assert.ok(supervisor instanceof Supervisor, JSON.stringify(supervisor));
  t.after((): Promise<Ending> => {
    supervisor.stop();
    return supervisor.ended;
  });
  return { supervisor, log };
}
