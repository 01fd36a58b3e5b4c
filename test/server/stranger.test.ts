// Who else listens where we do, as the kernel tells it.

import assert from 'node:assert/strict';
import fs from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { type Address, formatAddress } from '../../lib/base/address.ts';
import { findStrangers, whereListens } from '../../lib/server/stranger.ts';
import { ROOT, startProgram } from '../support/process.ts';

const linux = { skip: process.platform !== 'linux' };

test('sockets of others are told apart from our own, whoever came first', linux, async (t) => {
  const before = await listenElsewhere(t);
  const own = await listenHere(t, 0);
  const shared = await listenHere(t, before);
  const later = await listenElsewhere(t, own.port);
  assert.equal(later, own.port);
  const both = [`127.0.0.1:${before}`, `127.0.0.1:${own.port}`];
  assert.deepEqual(await taken([at(before), at(own.port), at(9, 'unix'), at(0)]), both);
  const bound = [
    { ...at(before), descriptor: shared.descriptor },
    { ...at(own.port), descriptor: own.descriptor },
  ];
  assert.deepEqual(await taken(bound), both);
  const alone = await listenHere(t, 0);
  assert.deepEqual(await taken([at(alone.port), { ...at(alone.port), descriptor: alone.descriptor }]), []);
});

test('of two at one address each is told the same of who may stay; who is not bound yet may not', linux, async (t) => {
  const own = await listenHere(t, 0);
  const look = `
    import { findStrangers } from ${JSON.stringify(join(ROOT, 'lib/server/stranger.ts'))};
    import { createServer } from 'node:net';
    const server = createServer().listen({ port: ${own.port}, host: '127.0.0.1', reusePort: true }, async () => {
      const address = { kind: 'tcp', host: '127.0.0.1', port: ${own.port}, path: '', fd: -1 };
      const [stranger] = await findStrangers([{ address, descriptor: server._handle.fd }]);
      console.log('may stay:', stranger?.mayStay);
    });`;
  const other = startProgram(t, process.execPath, ['--input-type=module', '-e', look]);
  await other.until(({ out }) => out.includes('may stay:'), 'its look');
  const [stranger] = await findStrangers([{ ...at(own.port), descriptor: own.descriptor }]);
  assert.equal(other.out, `may stay: ${!stranger!.mayStay}\n`);
  assert.deepEqual(
    (await findStrangers([at(own.port)])).map(({ mayStay }) => mayStay),
    [false],
  );
});

test(
  'the tables of the kernel are read once, however many addresses are asked for, and few descriptors at once',
  linux,
  async (t) => {
    const others = await Promise.all([listenElsewhere(t), listenElsewhere(t), listenElsewhere(t)]);
    const { readFile, readlink } = fs;
    let [tables, under, most] = [0, 0, 0];
    fs.readFile = ((...given: Parameters<typeof readFile>) => {
      tables++;
      return readFile(...given);
    }) as typeof readFile;
    fs.readlink = (async (...given: Parameters<typeof readlink>) => {
      most = Math.max(most, ++under);
      return readlink(...given).finally(() => under--);
    }) as typeof readlink;
    syncBuiltinESMExports();
    t.after(() => {
      Object.assign(fs, { readFile, readlink });
      syncBuiltinESMExports();
    });
    assert.equal((await taken(others.map((port) => at(port)))).length, 3);
    assert.equal(tables, 2);
    assert.ok(most >= 1 && most <= 4, `${most} at once`);
  },
);

test('where a socket of our own listens is told, and nothing of what does not listen', linux, async (t) => {
  const { port, descriptor } = await listenHere(t, 0);
  const named = { kind: 'fd', host: '', port: 0, path: '', fd: descriptor } as const;
  assert.equal(formatAddress((await whereListens(descriptor, named))!), `127.0.0.1:${port}`);
  const file = await fs.open('/dev/null');
  t.after(() => file.close());
  assert.equal(await whereListens(file.fd, named), null);
  assert.equal(await whereListens(1_000_000, named), null);
});

function at(port: number, kind: Address['kind'] = 'tcp'): { address: Address; descriptor: number } {
  return { address: { kind, host: '127.0.0.1', port, path: '', fd: -1 }, descriptor: -1 };
}

async function taken(asked: Parameters<typeof findStrangers>[0]): Promise<string[]> {
  return (await findStrangers(asked)).map(({ asked: { address } }) => formatAddress(address));
}

async function listenHere(t: TestContext, port: number): Promise<{ port: number; descriptor: number }> {
  const server = createServer();
  t.after(() => server.close());
  await new Promise<void>((resolve) => server.listen({ port, host: '127.0.0.1', reusePort: true }, resolve));
  const { _handle } = server as unknown as { _handle: { fd: number } };
  return { port: (server.address() as AddressInfo).port, descriptor: _handle.fd };
}

/** In another process; resolves to its port. */
async function listenElsewhere(t: TestContext, port = 0): Promise<number> {
  const code = `const server = require('node:net').createServer().listen({ port: ${port}, host: '127.0.0.1', reusePort: true },
    () => console.log('port', server.address().port));`;
  const program = startProgram(t, process.execPath, ['-e', code]);
  await program.until(({ out }) => /port \d+/.test(out), 'its port');
  return Number(/port (\d+)/.exec(program.out)![1]);
}
