// Event loops that begin while files of certificates are missing or half written, as in the middle of a renewal: they serve
// with what was there before, or not at all.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { renameSync, rmSync, writeFileSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { connect, type TLSSocket } from 'node:tls';
import { makeAuthority, makeLeaf } from '../../certs/make.ts';
import { readConfiguration } from '../../lib/config/read.ts';
import { Certificates } from '../support/certificates.ts';
import { eventually } from '../support/process.ts';
import { type Supervised, supervise } from '../support/supervisor.ts';

/** So many new connections come to both of two event loops, but for one time in some thousands of millions. */
const ENOUGH = 33;

test('an event loop that is replaced while a key is missing serves with what the others read of it before', async (t) => {
  const { certificates, proxy, files } = await start(t, 2);
  renameSync(files.keyFile, `${files.keyFile}.away`);
  await replaceLoop(proxy, 1);
  await assertServed(t, certificates, proxy);
  const said = JSON.stringify(proxy.log);
  assert.match(said, /certificate not read, the one before goes on serving/);
  assert.doesNotMatch(said, /PRIVATE KEY/);
});

test('all event loops are lost while a certificate is half written: those that follow serve with the one before', async (t) => {
  const { certificates, proxy, files } = await start(t, 1);
  writeFileSync(files.certFile, files.cert.slice(0, 200));
  await replaceLoop(proxy, 0);
  await assertServed(t, certificates, proxy);
});

test('an event loop is replaced while the authorities of clients are empty: nobody else is believed meanwhile', async (t) => {
  const certificates = new Certificates(t);
  const clients = makeAuthority('clients');
  const { certFile: caFile } = certificates.write('clients', clients);
  const { proxy } = await start(t, 1, certificates, `, clientAuth: { ca: ${JSON.stringify(caFile)}, mode: require }`);
  writeFileSync(caFile, '');
  await replaceLoop(proxy, 0);
  const [known, unknown] = [clients, makeAuthority('others')].map((by) => makeLeaf(by, { names: ['client'] }));
  await assertServed(t, certificates, proxy, known);
  await assert.rejects(shake(t, certificates, proxy, unknown));
  await assert.rejects(shake(t, certificates, proxy));
});

test('a new event loop that finds no certificate, and is told of none, does not serve without', async (t) => {
  const { certificates, proxy, files, document } = await start(t, 1);
  // Files that nobody has read yet, gone between the check of the document and the event loops' own look.
  const other = certificates.leaf(['other.test']);
  const next = document.replaceAll(files.certFile, other.certFile).replaceAll(files.keyFile, other.keyFile);
  const read = await readConfiguration(next, 'test.yaml');
  assert.ok('configuration' in read);
  rmSync(other.keyFile);
  assert.match(await proxy.supervisor.configure(read.configuration), /listener web: .*other\.test\.key: ENOENT/);
  await assertServed(t, certificates, proxy);
});

async function start(
  t: TestContext,
  workers: number,
  certificates = new Certificates(t),
  more = '',
): Promise<{
  certificates: Certificates;
  proxy: Supervised;
  files: ReturnType<Certificates['leaf']>;
  document: string;
}> {
  const files = certificates.leaf(['a.test']);
  const { certFile, keyFile } = files;
  const document = `
workers: ${workers}
listeners:
  web:
    bind: "127.0.0.1:0"
    tls: { certificates: [{ cert: ${JSON.stringify(certFile)}, key: ${JSON.stringify(keyFile)} }]${more} }
    routes: [{ respond: { status: 200, body: hi } }]
`;
  return { certificates, proxy: await supervise(t, document), files, document };
}

async function replaceLoop({ supervisor, log }: Supervised, place: number): Promise<void> {
  supervisor.seats[place]!.kill();
  const replaced = (): boolean => log.some(({ message }) => message === 'event loop replaced');
  await eventually(replaced, 'the replacement', 60_000);
}

/** Every one of many new connections is served. */
async function assertServed(
  t: TestContext,
  certificates: Certificates,
  proxy: Supervised,
  own: { cert?: string; key?: string } = {},
): Promise<void> {
  for (let count = 0; count < ENOUGH; count++) (await shake(t, certificates, proxy, own)).destroy();
}

/** A connection over which a request was answered. */
async function shake(
  t: TestContext,
  { authority }: Certificates,
  proxy: Supervised,
  own: { cert?: string; key?: string } = {},
): Promise<TLSSocket> {
  const socket = connect({
    host: '127.0.0.1',
    port: proxy.port('web'),
    servername: 'a.test',
    ca: authority.cert,
    ...own,
  });
  t.after(() => socket.destroy());
  await once(socket, 'secureConnect');
  socket.write('GET / HTTP/1.1\r\nHost: a.test\r\n\r\n');
  // In TLS 1.3 a server refuses a client after its handshake is over.
  const refused = once(socket, 'close').then(() => assert.fail('closed'));
  const [reply] = (await Promise.race([once(socket, 'data'), refused])) as [Buffer];
  refused.catch(() => {});
  assert.match(reply.toString(), /^HTTP\/1\.1 200 /);
  return socket;
}
