// An order of a certificate that is broken off leaves nothing behind: no lock that others wait for, no record.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { chmodSync, existsSync, globSync, readFileSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { putUp } from '../../lib/tls/acme/challenge.ts';
import { AcmeFolder } from '../../lib/tls/acme/folder.ts';
import { AcmeIssuer } from '../../lib/tls/acme/issuer.ts';
import { eventually, startMillrace, temporaryFolder } from '../support/process.ts';

const QUIET = { debug() {}, info() {}, warn() {}, error() {}, limited: () => QUIET };

test('an issuer that is stopped in mid-order has let go of its lock when that is done', async (t) => {
  const folder = temporaryFolder(t);
  const directory = await silentAuthority(t);
  const issuer = new AcmeIssuer(
    {
      source: 'acme',
      names: ['a.test'],
      onDemand: [],
      folder,
      directory,
      ca: '',
      email: '',
      challenge: 'tls-alpn-01',
      dnsHook: '',
      binding: null,
    },
    QUIET,
  );
  issuer.start(() => {});
  await eventually(() => locksIn(folder).length === 1, 'the order');
  await issuer.stop();
  assert.deepEqual(locksIn(folder), []);
});

test('a proxy that ends in mid-order leaves no lock behind', async (t) => {
  const folder = temporaryFolder(t);
  const file = join(folder, 'millrace.yaml');
  const certificate = `{ auto: acme, names: [a.test], directory: "${await silentAuthority(t)}", folder: "${folder}" }`;
  writeFileSync(
    file,
    `
workers: 1
listeners: { web: { bind: "127.0.0.1:0", tls: { certificates: [${certificate}] }, routes: [{ respond: {} }] } }
`,
  );
  const proxy = startMillrace(t, ['run', '-c', file]);
  await proxy.address('web');
  await eventually(() => locksIn(folder).length === 1, 'the order');
  assert.equal(await proxy.end('SIGTERM'), 0);
  assert.deepEqual(locksIn(folder), []);
});

test('a record is removed again when its setting is broken off, and when all is to end', async (t) => {
  const folder = temporaryFolder(t);
  const [hook, log, slow] = ['hook', 'hook.log', 'slow'].map((name) => join(folder, name)) as [string, string, string];
  // The first time it never ends by itself, once it has done its work.
  writeFileSync(hook, `#!/bin/sh\necho "$1" >> "${log}"\n[ "$1" = remove ] || [ ! -e "${slow}" ] || exec sleep 60\n`);
  chmodSync(hook, 0o755);
  const said = (): string[] => (existsSync(log) ? readFileSync(log, 'utf8').trim().split('\n') : []);
  const keep = new AcmeFolder(folder, 'https://ca.test/');
  const ending = new AbortController();
  const set = (): ReturnType<typeof putUp> =>
    putUp('dns-01', { name: 'a.test', token: 't', answer: 'a' }, keep, hook, ending.signal);
  const up = await set();
  writeFileSync(slow, '');
  const broken = set();
  await eventually(() => said().length === 2, 'the second record');
  ending.abort();
  await assert.rejects(broken);
  assert.deepEqual(said(), ['set', 'set', 'remove']);
  await up.takeDown();
  assert.deepEqual(said(), ['set', 'set', 'remove', 'remove']);
});

/** The directory of an authority that never says a word. */
async function silentAuthority(t: TestContext): Promise<string> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
  });
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return `https://127.0.0.1:${(server.address() as AddressInfo).port}/directory`;
}

function locksIn(folder: string): string[] {
  return globSync('*/*.lock', { cwd: folder });
}
