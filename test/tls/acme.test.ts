// The parts of ACME that need no authority: signatures, locks, and when a certificate is due.

import assert from 'node:assert/strict';
import { createHmac, createPublicKey, generateKeyPairSync, verify, X509Certificate } from 'node:crypto';
import { existsSync, readdirSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { AcmeFolder } from '../../lib/tls/acme/folder.ts';
import { renewalMs } from '../../lib/tls/acme/issuer.ts';
import { AccountKey } from '../../lib/tls/acme/jws.ts';
import { tryLock } from '../../lib/tls/acme/lock.ts';
import { challengeCertificate } from '../../lib/tls/acme/request.ts';
import type { Identity } from '../../lib/tls/identity.ts';
import { temporaryFolder } from '../support/process.ts';

const pem = (): string =>
  generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();

const decode = (text: string): Record<string, unknown> => JSON.parse(Buffer.from(text, 'base64url').toString());

test('a request is signed over its URL and nonce, with the key at first and by the name of the account later', () => {
  const key = new AccountKey(pem());
  for (const account of ['', 'https://ca.test/account/1']) {
    const body = JSON.parse(key.signRequest('https://ca.test/order', 'n1', account, '{"a":1}'));
    const head = decode(body.protected);
    assert.deepEqual([head['alg'], head['nonce'], head['url']], ['ES256', 'n1', 'https://ca.test/order']);
    assert.deepEqual([head['kid'], head['jwk']], account === '' ? [undefined, key.jwk] : [account, undefined]);
    assert.deepEqual(decode(body.payload), { a: 1 });
    const signed = Buffer.from(`${body.protected}.${body.payload}`);
    const signature = Buffer.from(body.signature, 'base64url');
    const check = { key: createPublicKey({ key: { ...key.jwk }, format: 'jwk' }), dsaEncoding: 'ieee-p1363' } as const;
    assert.ok(verify('sha256', signed, check, signature));
  }
  assert.equal(JSON.parse(key.signRequest('https://ca.test', 'n', 'a', '')).payload, '');
});

test('a binding is the public key under the MAC of the key that the authority gave', () => {
  const key = new AccountKey(pem());
  const secret = Buffer.from('a secret of the authority');
  const bound = key.bind('https://ca.test/new', 'id', secret.toString('base64url')) as Record<string, string>;
  const { protected: head = '', payload = '', signature } = bound;
  assert.deepEqual(decode(head), { alg: 'HS256', kid: 'id', url: 'https://ca.test/new' });
  assert.deepEqual(decode(payload), { ...key.jwk });
  assert.equal(signature, createHmac('sha256', secret).update(`${head}.${payload}`).digest('base64url'));
});

test('a lock has one holder, is free after its release, and is taken from who has died', (t) => {
  const file = join(temporaryFolder(t), 'lock');
  const first = tryLock(file);
  assert.ok(first !== null);
  assert.equal(tryLock(file), null);
  first.release();
  assert.ok(!existsSync(file));
  writeFileSync(file, 'somebody who has died');
  assert.equal(tryLock(file), null);
  const old = new Date(Date.now() - 120_000);
  utimesSync(file, old, old);
  const heir = tryLock(file);
  assert.ok(heir !== null);
  assert.equal(tryLock(file), null);
  // Whoever comes back from the dead takes nothing away from its heir.
  first.release();
  assert.ok(existsSync(file));
  heir.release();
  assert.deepEqual(readdirSync(join(file, '..')), []);
});

test('a certificate is due with a third of its life left, or up to a thirtieth earlier', () => {
  const day = 24 * 60 * 60 * 1000;
  const identity = { notBeforeMs: 0, notAfterMs: 90 * day } as Identity;
  const due = Array.from({ length: 200 }, () => renewalMs(identity) / day);
  assert.ok(Math.min(...due) >= 57 && Math.max(...due) <= 60);
  assert.ok(Math.max(...due) - Math.min(...due) > 1);
});

test('answers to challenges are found by what clients send, and nothing else of the folder is', (t) => {
  const folder = new AcmeFolder(temporaryFolder(t), 'https://ca.test/dir');
  folder.prepare();
  const token = 'DGyRejmCefe7v4NfDGDKfA';
  folder.keepAnswer(token, `${token}.thumb`);
  assert.equal(folder.answer(token), `${token}.thumb`);
  for (const other of ['', '../account.key', `${token}/`, `${token}.`, 'DGyRejmCefe7v4NfDGDKfB', 'x'.repeat(500)]) {
    assert.equal(folder.answer(other), '', other);
  }
  folder.dropAnswer(token);
  assert.equal(folder.answer(token), '');
  folder.keepProof('a.test', challengeCertificate('a.test', 'answer'));
  const leaf = new X509Certificate(folder.proof('a.test')!.chain);
  assert.equal(leaf.subjectAltName, 'DNS:a.test');
  assert.equal(folder.proof('b.test'), null);
});
