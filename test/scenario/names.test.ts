// Endpoints by name: names that nobody knows (yet), and names with addresses of both families of which one is dead.

import assert from 'node:assert/strict';
import dns from 'node:dns';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { type AddressInfo, connect, isIP, type Socket } from 'node:net';
import { mock, type TestContext, test } from 'node:test';
import { disabledLevel } from '../../lib/base/log.ts';
import { NameKeeper } from '../../lib/discovery/names.ts';
import { reply, request } from '../support/http.ts';
import { startOrigin } from '../support/origin.ts';
import { connectPeer } from '../support/peer.ts';
import { startProgram } from '../support/process.ts';
import { httpTo, startProxy, type TestProxy } from '../support/proxy.ts';
import { eventually, glance, pause } from '../support/wait.ts';

const QUIET = { debug: disabledLevel, info: disabledLevel, warn: disabledLevel, error: disabledLevel };

/** What names of these tests resolve to; without an entry they are not known. */
const addresses = new Map<string, readonly { readonly address: string; readonly family: number }[]>();

// As net calls it: for all addresses, in the order in which they are to be tried.
const { lookup } = dns;
mock.method(dns, 'lookup', (name: string, ...rest: unknown[]) => {
  if (isIP(name) !== 0) return (lookup as (...all: unknown[]) => void)(name, ...rest);
  const told = rest.at(-1) as (...answer: unknown[]) => void;
  const found = addresses.get(name);
  const error = Object.assign(new Error(`getaddrinfo ENOTFOUND ${name}`), { code: 'ENOTFOUND' });
  process.nextTick(() => (found === undefined ? told(error) : told(null, found)));
});

async function serve(t: TestContext, text: string): Promise<number> {
  const server = createServer((_request, response) => response.end(text)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

async function ask(proxy: TestProxy): Promise<string> {
  const reply = await fetch(`http://127.0.0.1:${proxy.port('web')}/`);
  return `${reply.status} ${reply.status === 200 ? await reply.text() : ''}`;
}

const told = (proxy: TestProxy, message: string) => proxy.log.filter((line) => line['message'] === message);

test('with a name that nobody knows it starts, and checks say at once and once that the endpoint is down', async (t) => {
  const port = await serve(t, 'known');
  const health = 'health: { tcp: true, interval: 100ms, fastInterval: 100ms, timeout: 60s, fall: 2, rise: 1 }';
  const proxy = await startProxy(t, httpTo([`nowhere.test:${port}`, `127.0.0.1:${port}`], '', health));
  await eventually(() => told(proxy, 'endpoint is down').length > 0, 'the check');
  const [line] = told(proxy, 'endpoint is down');
  assert.deepEqual([line?.['endpoint'], line?.['level']], [`nowhere.test:${port}`, 'warn']);
  assert.match(String(line?.['reason']), /ENOTFOUND/);
  for (let i = 0; i < 4; i++) assert.equal(await ask(proxy), '200 known');
  assert.equal(told(proxy, 'endpoint is down').length, 1);
  assert.equal(told(proxy, 'endpoint not reached, trying another').length, 0);
  // Names are asked for anew with each connection.
  addresses.set('nowhere.test', [{ address: '127.0.0.1', family: 4 }]);
  t.after(() => addresses.delete('nowhere.test'));
  await eventually(() => told(proxy, 'endpoint is up').length > 0, 'its return');
});

test('without checks too it is down from the start, with its reason in the log, until somebody knows it', async (t) => {
  const port = await serve(t, 'known');
  const proxy = await startProxy(t, httpTo([`unknown.test:${port}`, `127.0.0.1:${port}`]));
  await eventually(() => told(proxy, 'endpoint is down').length > 0, 'the look-up');
  const [line] = told(proxy, 'endpoint is down');
  assert.equal(line?.['endpoint'], `unknown.test:${port}`);
  assert.match(String(line?.['reason']), /its name is not known: ENOTFOUND/);
  for (let i = 0; i < 6; i++) assert.equal(await ask(proxy), '200 known');
  assert.equal(told(proxy, 'endpoint not reached, trying another').length, 0);
  addresses.set('unknown.test', [{ address: '127.0.0.1', family: 4 }]);
  t.after(() => addresses.delete('unknown.test'));
  await eventually(() => told(proxy, 'endpoint is up').length > 0, 'its return');
  // A name that is not known any more says nothing of who stands behind it.
  addresses.delete('unknown.test');
  assert.equal(told(proxy, 'endpoint is down').length, 1);
  const alone = await startProxy(t, httpTo([`nobody.test:${port}`]));
  assert.equal(await ask(alone), '502 ');
});

test('an endpoint whose name leads elsewhere gets new connections: idle ones at once, busy ones after their exchange', async (t) => {
  const old = await startOrigin(t);
  addresses.set('moving.test', [{ address: '127.0.0.1', family: 4 }]);
  t.after(() => addresses.delete('moving.test'));
  const proxy = await startProxy(t, httpTo([`moving.test:${old.port}`]));
  const cluster = proxy.snapshot.clusters.get('api')!;
  const log = { ...QUIET, info: (message: string) => heard.push(message) };
  const heard: string[] = [];
  const keeper = new NameKeeper(cluster, { ...log, limited: () => log }, 20);
  keeper.start();
  t.after(() => keeper.stop());
  const clients = [await connectPeer(t, proxy.port('web')), await connectPeer(t, proxy.port('web'))];
  for (const client of clients) client.send(request('GET /'));
  const [idle, busy] = [await old.peer(0), await old.peer(1)];
  for (const peer of [idle, busy]) await peer.receive('GET /');
  idle.send(reply('first'));
  const [first] = clients;
  await eventually(() => clients.some(({ text }) => text.includes('first')), 'the first reply');
  addresses.set('moving.test', [{ address: '127.0.0.2', family: 4 }]);
  await idle.receiveAll();
  assert.deepEqual(heard, ['endpoint has moved']);
  assert.equal(busy.ended, false);
  busy.send(reply('second'));
  await eventually(() => clients.some(({ text }) => text.includes('second')), 'the second reply');
  await busy.receiveAll();
  await eventually(() => cluster.endpoints[0]!.pool.open === 0, 'the end of both connections');
  assert.equal(first!.ended, false);
});

test('a name whose first address refuses or swallows connections is reached by the next, of either family', async (t) => {
  const port = await serve(t, 'alive');
  const v6 = { address: '::1', family: 6 };
  const v4 = { address: '127.0.0.1', family: 4 };
  addresses.set('both.test', [v6, v4]);
  const refusing = await startProxy(t, httpTo([`both.test:${port}`], '', 'retries: { attempts: 0 }'));
  assert.equal(await ask(refusing), '200 alive');
  const swallowing = await startSwallowing(t, port);
  if (swallowing === null) return;
  const proxy = await startProxy(
    t,
    httpTo([`both.test:${port}`], '', 'retries: { attempts: 0 }\ntimeouts: { connect: 60s }'),
  );
  assert.equal(await ask(proxy), '200 alive');
  const [endpoint] = proxy.snapshot.clusters.get('api')!.endpoints;
  assert.deepEqual([endpoint!.stats.connectFailures, endpoint!.pool.open], [0, 1]);
});

test('an address that answers late is waited for while the others of its name refuse', async (t) => {
  const swallowing = await startSwallowing(t, 0);
  if (swallowing === null) return;
  addresses.set('late.test', [
    { address: '::1', family: 6 },
    { address: '127.0.0.1', family: 4 },
  ]);
  const proxy = await startProxy(
    t,
    httpTo([`late.test:${swallowing.port}`], '', 'retries: { attempts: 0 }\ntimeouts: { connect: 60s }'),
  );
  const asked = ask(proxy);
  // The other has had its turn, and has refused.
  await pause(500);
  swallowing.relent();
  assert.equal(await asked, '200 late');
  const [endpoint] = proxy.snapshot.clusters.get('api')!.endpoints;
  assert.deepEqual([endpoint!.stats.connectFailures, endpoint!.pool.open], [0, 1]);
});

/**
 * An HTTP server at ::1 that stands still and whose queue of connections is full: the kernel drops what is sent to it, until
 * it relents. null, and the test is skipped, where there is no IPv6.
 */
async function startSwallowing(t: TestContext, port: number) {
  const program = startProgram(t, process.execPath, [
    '-e',
    `const server = require('http').createServer((_, reply) => reply.end('late')).on('error', (error) => console.log(error.code));
    server.listen({ port: ${port}, host: '::1', backlog: 1 }, () => console.log('listening', server.address().port))`,
  ]);
  await program.until(({ out }) => out.includes('\n'), 'its port');
  const found = /^listening (\d+)/.exec(program.out);
  if (found === null) {
    t.skip(`no IPv6 here: ${program.out}`);
    return null;
  }
  program.kill('SIGSTOP');
  await program.standing();
  const at = Number(found[1]);
  const fillers: Socket[] = [];
  const empty = (): void => {
    for (const filler of fillers) filler.destroy();
  };
  t.after(empty);
  for (let swallowed = false; !swallowed; ) {
    const filler = connect(at, '::1');
    filler.on('error', () => {});
    fillers.push(filler);
    await Promise.race([once(filler, 'connect'), pause(300)]);
    // What the kernel connects it connects at once; this process may have been away.
    await glance();
    swallowed = filler.connecting;
  }
  return {
    port: at,
    relent(): void {
      empty();
      program.kill('SIGCONT');
    },
  };
}
