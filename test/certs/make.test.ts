import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { connect, createServer } from 'node:tls';
import { makeAuthority, makeLeaf, type Pair, writePair } from '../../certs/make.ts';

let authority: Pair;
before(() => {
  authority = makeAuthority();
});

/** What a client that trusts the authority makes of a server with this leaf: '' or the code of its refusal. */
async function judge(leaf: Pair, servername: string): Promise<string> {
  const server = createServer({ cert: leaf.cert, key: leaf.key }, (socket) => socket.on('error', () => {}).end());
  server.on('tlsClientError', () => {});
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const outcome = await new Promise<string>((resolve) => {
    const socket = connect({ host: '127.0.0.1', port, servername, ca: authority.cert }, () => resolve(''));
    socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    socket.on('close', () => server.close());
    socket.resume();
  });
  return outcome;
}

test('a client that trusts the authority accepts a leaf for every one of its names and for no other', async () => {
  const leaf = makeLeaf(authority, { names: ['localhost', '*.example.com', '127.0.0.1'] });
  assert.equal(await judge(leaf, 'localhost'), '');
  assert.equal(await judge(leaf, 'www.example.com'), '');
  assert.equal(await judge(leaf, 'example.org'), 'ERR_TLS_CERT_ALTNAME_INVALID');
});

test('a leaf names its addresses as addresses and is good for both sides of a connection', () => {
  const leaf = new X509Certificate(makeLeaf(authority, { names: ['a.test', '::1', '192.0.2.1'] }).cert);
  assert.equal(leaf.subjectAltName, 'DNS:a.test, IP Address:0:0:0:0:0:0:0:1, IP Address:192.0.2.1');
  assert.equal(leaf.checkIP('192.0.2.1'), '192.0.2.1');
  assert.deepEqual(leaf.keyUsage, ['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2']);
  assert.equal(leaf.ca, false);
  assert.ok(leaf.checkIssued(new X509Certificate(authority.cert)));
});

test('an expired leaf can be made, and clients refuse it for just that', async () => {
  assert.equal(await judge(makeLeaf(authority, { names: ['localhost'], days: -1 }), 'localhost'), 'CERT_HAS_EXPIRED');
});

test('a leaf of another authority is refused', async () => {
  const stranger = makeAuthority('somebody else');
  const leaf = makeLeaf(stranger, { names: ['localhost'] });
  assert.match(await judge(leaf, 'localhost'), /^(UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_)/);
});

test('two leaves never share a key or a serial number', () => {
  const [one, two] = [0, 1].map(() => new X509Certificate(makeLeaf(authority, { names: ['localhost'] }).cert));
  assert.notEqual(one!.serialNumber, two!.serialNumber);
  assert.notEqual(
    one!.publicKey.export({ type: 'spki', format: 'pem' }),
    two!.publicKey.export({ type: 'spki', format: 'pem' }),
  );
  assert.throws(() => makeLeaf(authority, { names: [] }), /at least one name/);
});

test('keys are written for their owner alone', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-certs-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const { certFile, keyFile } = writePair(join(folder, 'deep'), 'leaf', authority);
  assert.equal(statSync(keyFile).mode & 0o777, 0o600);
  assert.equal(readFileSync(certFile, 'utf8'), authority.cert);
});

test('the command makes an authority once and a pair of files for each leaf', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-certs-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const make = (...args: string[]) =>
    spawnSync(process.execPath, ['certs/make.ts', ...args], {
      cwd: join(import.meta.dirname, '../..'),
      encoding: 'utf8',
    });
  const first = make(folder, 'localhost,127.0.0.1', '--days', '2');
  assert.equal(first.status, 0, first.stderr);
  const ca = readFileSync(join(folder, 'ca.pem'), 'utf8');
  assert.equal(make(folder, '*.a.test').status, 0);
  assert.equal(readFileSync(join(folder, 'ca.pem'), 'utf8'), ca);
  assert.deepEqual(readdirSync(folder).sort(), [
    '_.a.test.key',
    '_.a.test.pem',
    'ca.key',
    'ca.pem',
    'localhost.key',
    'localhost.pem',
  ]);
  const leaf = new X509Certificate(readFileSync(join(folder, 'localhost.pem')));
  assert.ok(leaf.verify(new X509Certificate(ca).publicKey));
  assert.equal(make().status, 2);
  assert.match(make('--help').stderr, /FOLDER LEAF/);
});
