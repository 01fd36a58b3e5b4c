// Endpoints that ask to be left alone for a while are, by the exchange that has heard it.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import { freePort } from '../support/process.ts';
import { httpTo, startProxy, type TestProxy } from '../support/proxy.ts';

/** An endpoint that is not well: when it was asked, and what it has to say (its n-th answer, the last one for good). */
async function ill(t: TestContext, ...answers: readonly { status?: number; after?: string | (() => string) }[]) {
  const asked: number[] = [];
  const server = createServer((_request, response) => {
    asked.push(performance.now());
    const { status = 503, after } = answers[Math.min(asked.length, answers.length) - 1]!;
    const value = typeof after === 'function' ? after() : after;
    response.writeHead(status, value === undefined ? {} : { 'Retry-After': value }).end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { asked, port: (server.address() as AddressInfo).port };
}

function proxyTo(t: TestContext, ports: readonly number[], retries: string): Promise<TestProxy> {
  const endpoints = ports.map((port) => `127.0.0.1:${port}`);
  const cluster = `balance: first\nejection: { max: 0% }\nretries: { on: [connect, 503], backoff: 1ms, ${retries} }`;
  return startProxy(t, httpTo(endpoints, '', cluster));
}

async function ask(proxy: TestProxy) {
  const { status, headers } = await fetch(`http://127.0.0.1:${proxy.port('web')}/`);
  return [status, headers.get('retry-after')];
}

test('an only endpoint is asked again when the time has come that it has named', async (t) => {
  const one = await ill(t, { after: '1' }, { status: 200 });
  assert.deepEqual(await ask(await proxyTo(t, [one.port], 'attempts: 3')), [200, null]);
  assert.equal(one.asked.length, 2);
  assert.ok(one.asked[1]! - one.asked[0]! > 990, String(one.asked));
});

test('its answer is passed on when that is too late, in seconds or as a date', async (t) => {
  const date = (ms: number) => () => new Date(Date.now() + ms).toUTCString();
  for (const after of ['2', date(60_000)]) {
    const one = await ill(t, { after });
    const [status, told] = await ask(await proxyTo(t, [one.port], 'attempts: 3'));
    assert.deepEqual([status, typeof told, one.asked.length], [503, 'string', 1]);
  }
  // A date that has passed, or that is none, asks for nothing.
  for (const after of [date(-60_000), 'Tue', '']) {
    const one = await ill(t, { after });
    assert.equal((await ask(await proxyTo(t, [one.port], 'attempts: 3')))[0], 503);
    assert.equal(one.asked.length, 4);
  }
});

test('so it is when the others are ill, who are no reason to ask it again', async (t) => {
  const one = await ill(t, { after: '60' });
  const proxy = await proxyTo(t, [one.port, await freePort()], 'attempts: 3');
  const cluster = proxy.snapshot.clusters.get('api')!;
  cluster.endpoints[1]!.standing.health = 'down';
  cluster.publish();
  assert.deepEqual([await ask(proxy), one.asked.length], [[503, '60'], 1]);
});

test('others are asked at once in its place, and again, but it is not', async (t) => {
  const one = await ill(t, { after: '60' });
  const other = await ill(t, {}, { status: 200 });
  const answer = await ask(await proxyTo(t, [one.port, other.port], 'attempts: 3'));
  assert.deepEqual([answer, one.asked.length, other.asked.length], [[200, null], 1, 2]);
  const both = [await ill(t, { after: '60' }), await ill(t, { after: '120' })];
  const passed = await ask(await proxyTo(t, [both[0]!.port, both[1]!.port], 'attempts: 3'));
  assert.deepEqual([passed, both[0]!.asked.length, both[1]!.asked.length], [[503, '120'], 1, 1]);
});

test('not even when the other turns out to be dead', async (t) => {
  const one = await ill(t, { after: '60' });
  const proxy = await proxyTo(t, [one.port, await freePort()], 'attempts: 3');
  assert.deepEqual([await ask(proxy), one.asked.length], [[502, null], 1]);
});
