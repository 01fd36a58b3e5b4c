// Certificates by ACME from an authority that nobody here wrote: every challenge, renewal, and what happens when the
// authority says no or nothing.

import assert from 'node:assert/strict';
import type { X509Certificate } from 'node:crypto';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { connect } from 'node:tls';
import { pebble, startAuthority, writeHook } from '../support/acme.ts';
import { eventually, freePort, pause, startMillrace, temporaryFolder } from '../support/process.ts';

const skip = pebble === null;

interface Served {
  readonly error: string;
  readonly leaf: X509Certificate | null;
}

/** What a client that believes `root` gets for a name. */
function shake(port: number, servername: string, root: string): Promise<Served> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1', servername, ca: root, ALPNProtocols: ['http/1.1'] }, () => {
      resolve({ error: '', leaf: socket.getPeerX509Certificate() ?? null });
      socket.destroy();
    });
    socket.on('error', (error: NodeJS.ErrnoException) => resolve({ error: error.code ?? error.message, leaf: null }));
  });
}

async function untilServed(port: number, name: string, root: string, log = (): string => ''): Promise<X509Certificate> {
  for (let tries = 0; ; tries++) {
    const { error, leaf } = await shake(port, name, root);
    if (leaf !== null) return leaf;
    assert.ok(tries < 600, `no certificate for ${name}: ${error} ${log()}`);
    await pause(100);
  }
}

interface Setup {
  readonly tlsPort: number;
  readonly httpPort?: number;
  readonly tls: string;
  readonly plain?: string;
}

function start(t: TestContext, folder: string, { tlsPort, httpPort, tls, plain }: Setup) {
  const file = join(folder, `m${tlsPort}.yaml`);
  const routes = 'routes: [{ respond: { status: 200, body: served } }]';
  writeFileSync(
    file,
    `listeners:
  web: { bind: "127.0.0.1:${tlsPort}", ${routes}, tls: { certificates: [{ auto: acme, folder: ${folder}/state, ${tls} }] } }
${httpPort === undefined ? '' : `  plain: { bind: "127.0.0.1:${httpPort}", ${plain ?? routes} }\n`}clusters: {}
`,
  );
  return startMillrace(t, ['run', '-c', file], { MILLRACE_STATE: folder });
}

test('a certificate is got by TLS-ALPN-01, kept for nobody else to read, and used again after a restart', {
  skip,
}, async (t) => {
  const authority = await startAuthority(t);
  const folder = temporaryFolder(t);
  const { tlsPort, root } = authority;
  const setup = { tlsPort, tls: `names: [www.example.org, example.org], email: ops@example.org, ${authority.lines}` };
  const first = start(t, folder, setup);
  await first.address('web');
  const leaf = await untilServed(tlsPort, 'www.example.org', root, () => first.err);
  assert.equal((await shake(tlsPort, 'example.org', root)).error, '');
  assert.match(leaf.subjectAltName ?? '', /DNS:example\.org/);
  await eventually(() => /certificate issued/.test(first.err), 'the log');
  const kept = join(folder, 'state', readdirSync(join(folder, 'state'))[0]!);
  const files = readdirSync(kept).filter((name) => name !== 'challenges');
  assert.equal(files.length, 2, files.join());
  for (const name of files) assert.equal(statSync(join(kept, name)).mode & 0o777, 0o600, name);
  assert.deepEqual(readdirSync(join(kept, 'challenges')), []);
  assert.doesNotMatch(first.err, /PRIVATE/);
  await first.end('SIGTERM');
  const again = start(t, folder, setup);
  await again.address('web');
  const after = await shake(tlsPort, 'www.example.org', root);
  assert.equal(after.leaf?.fingerprint256, leaf.fingerprint256);
  assert.equal(authority.issued(), 1);
});

test('HTTP-01 is answered before redirects and routes, for the names that are ours alone', { skip }, async (t) => {
  const authority = await startAuthority(t);
  const folder = temporaryFolder(t);
  const { tlsPort, httpPort, root } = authority;
  const millrace = start(t, folder, {
    tlsPort,
    httpPort,
    tls: `names: [a.example.org], challenge: http-01, ${authority.lines}`,
    plain: 'httpsRedirect: true, routes: [{ respond: { status: 200, body: passed } }]',
  });
  await millrace.address('plain');
  await untilServed(tlsPort, 'a.example.org', root);
  const ask = (host: string, path: string): Promise<number> =>
    new Promise((resolve, reject) => {
      request({ port: httpPort, host: '127.0.0.1', path, headers: { host }, agent: false }, (reply) => {
        reply.resume();
        resolve(reply.statusCode ?? 0);
      })
        .on('error', reject)
        .end();
    });
  const token = 'x'.repeat(43);
  assert.equal(await ask('a.example.org', `/.well-known/acme-challenge/${token}`), 404);
  assert.equal(await ask('a.example.org', '/.well-known/acme-challenge/..%2f..%2faccount.key'), 404);
  // Others may have an authority of their own look behind us.
  assert.equal(await ask('b.example.org', `/.well-known/acme-challenge/${token}`), 308);
  assert.equal(await ask('a.example.org', '/'), 308);
});

test('a wildcard is got by DNS-01 with a hook, whose record is taken down again', { skip }, async (t) => {
  const authority = await startAuthority(t);
  const folder = temporaryFolder(t);
  const { tlsPort, root } = authority;
  const hook = writeHook(folder, authority.dnsUrl);
  const names = 'names: ["*.example.org", example.org], challenge: dns-01';
  const millrace = start(t, folder, { tlsPort, tls: `${names}, dnsHook: ${hook}, ${authority.lines}` });
  await millrace.address('web');
  await untilServed(tlsPort, 'any.example.org', root);
  assert.equal((await shake(tlsPort, 'example.org', root)).error, '');
  const log = readFileSync(join(folder, 'hook.log'), 'utf8').trim().split('\n');
  assert.deepEqual(log, [
    'set _acme-challenge.example.org',
    'remove _acme-challenge.example.org',
    'set _acme-challenge.example.org',
    'remove _acme-challenge.example.org',
  ]);
});

test('an account is bound with the key that the authority gave, and its want is told in words', { skip }, async (t) => {
  const key = 'zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W';
  const authority = await startAuthority(t, { bindings: { 'kid-1': key } });
  const { tlsPort, root } = authority;
  const unbound = start(t, temporaryFolder(t), { tlsPort, tls: `names: [a.example.org], ${authority.lines}` });
  await unbound.until(({ err }) => /certificate not issued.*set binding/.test(err), 'the refusal');
  await unbound.end('SIGTERM');
  const binding = `binding: { keyId: kid-1, key: ${key} }`;
  const bound = start(t, temporaryFolder(t), {
    tlsPort,
    tls: `names: [a.example.org], ${binding}, ${authority.lines}`,
  });
  await bound.address('web');
  await untilServed(tlsPort, 'a.example.org', root);
  assert.ok(!bound.err.includes(key));
});

test('a certificate is renewed in time while clients come, and the old one serves on when that fails', {
  skip,
}, async (t) => {
  const authority = await startAuthority(t, { validityS: 15 });
  const { tlsPort, root } = authority;
  const millrace = start(t, temporaryFolder(t), { tlsPort, tls: `names: [a.example.org], ${authority.lines}` });
  await millrace.address('web');
  const first = await untilServed(tlsPort, 'a.example.org', root);
  let second = first;
  // On a machine that is too slow for such short lives a certificate may be over before the next is there.
  const over = ({ validTo }: X509Certificate): boolean => Date.now() > Date.parse(validTo);
  await eventually(async () => {
    const { error, leaf } = await shake(tlsPort, 'a.example.org', root);
    if (!over(first)) assert.equal(error, '');
    if (leaf !== null) second = leaf;
    return second.fingerprint256 !== first.fingerprint256;
  }, 'the next certificate');
  await authority.program.end('SIGKILL');
  await millrace.until(({ err }) => /certificate not renewed/.test(err), 'the failure');
  const { leaf } = await shake(tlsPort, 'a.example.org', root);
  if (leaf !== null || !over(second)) assert.equal(leaf?.fingerprint256, second.fingerprint256);
  assert.match(millrace.err, /"againInS":\d+/);
});

test('of several processes that share a folder one orders, and all serve', { skip }, async (t) => {
  const authority = await startAuthority(t);
  const folder = temporaryFolder(t);
  const { tlsPort, root } = authority;
  const setup = { tls: `names: [a.example.org], ${authority.lines}` };
  const other = await freePort();
  // The authority looks at the first, whichever of them orders.
  await start(t, folder, { ...setup, tlsPort }).address('web');
  start(t, folder, { ...setup, tlsPort: other });
  const [one, two] = await Promise.all([
    untilServed(tlsPort, 'a.example.org', root),
    untilServed(other, 'a.example.org', root),
  ]);
  assert.equal(one.fingerprint256, two.fingerprint256);
  assert.equal(authority.issued(), 1);
});

test('names that are allowed get a certificate when a client first asks, and no others', { skip }, async (t) => {
  const authority = await startAuthority(t);
  const { tlsPort, root } = authority;
  const tls = `onDemand: ["*.example.org"], ${authority.lines}`;
  const millrace = start(t, temporaryFolder(t), { tlsPort, tls });
  await millrace.address('web');
  const many = await Promise.all(['x', 'x', 'y', 'x'].map((name) => shake(tlsPort, `${name}.example.org`, root)));
  assert.deepEqual(
    many.map(({ error }) => error),
    ['', '', '', ''],
  );
  assert.equal(authority.issued(), 2);
  for (const name of ['example.org', 'x.example.com', 'badexample.org']) {
    assert.notEqual((await shake(tlsPort, name, root)).error, '', name);
  }
  assert.equal(authority.ordered(), 2);
});

test('a name that the authority refuses is told with its reason, and asked for again later alone', {
  skip,
}, async (t) => {
  const authority = await startAuthority(t);
  const { httpPort, tlsPort, root } = authority;
  // Nothing listens at the port of the challenge.
  const tls = `names: [a.example.org], onDemand: [b.example.org], challenge: http-01, ${authority.lines}`;
  const millrace = start(t, temporaryFolder(t), { tlsPort, tls });
  await millrace.until(({ err }) => /certificate not issued.*"againInS"/.test(err), 'the refusal');
  assert.match(millrace.err, new RegExp(`a\\.example\\.org: .*:${httpPort}/.*connection refused`));
  assert.notEqual((await shake(tlsPort, 'b.example.org', root)).error, '');
  const before = authority.ordered();
  assert.notEqual((await shake(tlsPort, 'b.example.org', root)).error, '');
  assert.equal(authority.ordered(), before);
});
