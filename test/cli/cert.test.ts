// `millrace cert` as a process: what it keeps, who can read it, and what it says when something is wrong.

import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { ROOT, run, temporaryFolder } from '../support/process.ts';

const cert = (t: TestContext, ...args: string[]) =>
  run(t, process.execPath, [join(ROOT, 'lib/cli/main.ts'), 'cert', ...args]);

test('the authority is made once, even by several at a time, and only its owner can read its key', async (t) => {
  const folder = join(temporaryFolder(t), 'authority');
  const made = await Promise.all([1, 2, 3].map(() => cert(t, 'authority', '--folder', folder)));
  const prints = made.map(({ code, out, err }) => {
    assert.equal(code, 0, err);
    return /fingerprint\s+(\S+)/.exec(out)![1];
  });
  assert.equal(new Set(prints).size, 1);
  assert.equal(statSync(folder).mode & 0o777, 0o700);
  assert.equal(statSync(join(folder, 'authority.key')).mode & 0o777, 0o600);
  assert.deepEqual(readdirSync(folder).sort(), ['authority.key', 'authority.pem']);
  assert.doesNotMatch(readFileSync(join(folder, 'authority.pem'), 'utf8'), /PRIVATE/);
  assert.match(made[0]!.out, /curl --cacert/);
});

test('a leaf is written with its key, verifies by the authority, and overwrites nothing that it should not', async (t) => {
  const folder = temporaryFolder(t);
  const out = join(folder, 'out');
  const { code, err } = await cert(
    t,
    'leaf',
    'localhost',
    '*.app.test',
    '::1',
    '--folder',
    join(folder, 'ca'),
    '--out',
    out,
  );
  assert.equal(code, 0, err);
  const chain = readFileSync(join(out, 'localhost.pem'), 'utf8');
  const leaf = new X509Certificate(chain);
  assert.equal(leaf.subjectAltName, 'DNS:localhost, DNS:*.app.test, IP Address:0:0:0:0:0:0:0:1');
  const authority = new X509Certificate(readFileSync(join(folder, 'ca/authority.pem')));
  assert.ok(leaf.verify(authority.publicKey));
  assert.equal(statSync(join(out, 'localhost.key')).mode & 0o777, 0o600);
});

test('what is wrong is told with exit codes of its own: 2 for what was written, 1 for what was found', async (t) => {
  const folder = temporaryFolder(t);
  for (const [args, wanted] of [
    [['leaf'], /at least one NAME/],
    [['leaf', 'a b'], /neither a DNS name nor an address/],
    [['authority', 'x'], /unexpected argument/],
    [['authority', '--out', 'x'], /leaf alone/],
    [['root'], /unknown "root"/],
  ] as const) {
    const { code, err, out } = await cert(t, ...args);
    assert.equal(code, 2, err);
    assert.match(err, wanted);
    assert.equal(out, '');
  }
  writeFileSync(join(folder, 'authority.key'), 'not what it was', { mode: 0o600 });
  const damaged = await cert(t, 'authority', '--folder', folder);
  assert.equal(damaged.code, 1);
  assert.match(damaged.err, /authority\.key/);
  assert.equal(readFileSync(join(folder, 'authority.key'), 'utf8'), 'not what it was', 'left for somebody to look at');
});
