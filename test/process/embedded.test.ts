// The proxy inside another program: starts, goes over to another document, tells of itself, and ends.

import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { test } from 'node:test';
import { ConfigurationError, createProxy } from '../../lib/index.ts';
import { run } from '../support/process.ts';

const respond = (body: string) => ({
  workers: 0,
  listeners: { web: { bind: '127.0.0.1:0', routes: [{ respond: { status: 200, body } }] } },
});
const ask = async (address: string): Promise<string> =>
  (await fetch(`http://${address}/`, { headers: { connection: 'close' } })).text();

test('a program starts a proxy, reloads it, and drains it, and hears of each', async () => {
  const heard: string[] = [];
  const lines: string[] = [];
  const proxy = await createProxy(respond('one'), { log: (level, message) => lines.push(`${level} ${message}`) });
  proxy.on('configured', (generation) => heard.push(`configured ${generation}`));
  proxy.on('draining', () => heard.push('draining'));
  proxy.on('ended', (ending) => heard.push(`ended ${ending}`));
  const { address } = proxy.addresses[0]!;
  assert.equal(await ask(address), 'one');
  await proxy.reload(respond('two'));
  assert.equal(await ask(address), 'two');
  assert.equal((await proxy.status()).listeners[0]!.exchanges, 2);
  assert.equal(await proxy.drain(), 'drained');
  assert.deepEqual(heard, ['configured 2', 'draining', 'ended drained']);
  assert.ok(lines.includes('info drained'));
  await assert.rejects(ask(address));
});

test('event loops in threads serve a program just the same, and stop when told to', async () => {
  const proxy = await createProxy({ ...respond('threads'), workers: 2 });
  const { address } = proxy.addresses[0]!;
  for (let i = 0; i < 8; i++) assert.equal(await ask(address), 'threads');
  assert.equal((await proxy.status()).listeners[0]!.accepted, 8);
  await proxy.stop();
  await assert.rejects(ask(address));
});

test('documents that are not valid, and addresses that are taken, are errors that say so', async (t) => {
  const wrong = { listeners: { web: { bind: '127.0.0.1:0', cluster: 'nowhere' } } };
  await assert.rejects(createProxy(wrong), (error) => {
    assert.ok(error instanceof ConfigurationError);
    assert.match(error.message, /listeners\.web\.cluster: there is no cluster "nowhere"/);
    assert.equal(error.errors.length, 1);
    return true;
  });
  const taken = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => taken.once('listening', resolve));
  t.after(() => taken.close());
  const { port } = taken.address() as { port: number };
  const there = { ...respond('x'), listeners: { web: { ...respond('x').listeners.web, bind: `127.0.0.1:${port}` } } };
  await assert.rejects(createProxy(there), /the address is in use/);
  const proxy = await createProxy(respond('stays'));
  t.after(() => proxy.stop());
  await assert.rejects(proxy.reload(wrong), ConfigurationError);
  await assert.rejects(proxy.reload(there), /the address is in use/);
  assert.equal(await ask(proxy.addresses[0]!.address), 'stays');
});

test('an embedded proxy does not start the program around it once more', async () => {
  const lines: string[] = [];
  const proxy = await createProxy(
    { ...respond('x'), admin: { bind: '127.0.0.1:0' } },
    { log: (_, message, fields) => lines.push(`${message} ${fields['address']}`) },
  );
  const address = lines
    .find((line) => line.startsWith('admin API'))!
    .split(' ')
    .at(-1);
  const answer = await fetch(`http://${address}/v1/upgrade`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: '{}',
  });
  assert.equal(answer.status, 409);
  assert.match(await answer.text(), /runs within another program/);
  await proxy.stop();
});

test('the example of an embedded proxy runs to its end', async (t) => {
  const { code, out } = await run(t, process.execPath, ['examples/embedded/server.ts']);
  assert.equal(code, 0);
  assert.match(out, /\/one from the origin/);
  assert.match(out, /configuration 2 serves/);
  assert.match(out, /from the proxy itself/);
  assert.match(out, /ended: drained/);
});
