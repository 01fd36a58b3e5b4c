// Every configuration in examples/tls/, with certificates made as its comment says, started and asked by curl for what it
// is there to show, and for what it refuses.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { copyFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { AddressInfo, Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, type TestContext, test } from 'node:test';
import { pebble, startAuthority } from '../support/acme.ts';
import { makeCertificatesFor } from '../support/certificates.ts';
import {
  findProgram,
  type Millrace,
  ROOT,
  run,
  startMillrace,
  startProgram,
  temporaryFolder,
} from '../support/process.ts';

const skip = findProgram('curl', 'curl') === null || findProgram('openssl', 'openssl') === null;
/** An authority and leaves for all, since making them takes longer than all else. */
const certs = mkdtempSync(join(tmpdir(), 'millrace-certs-'));
after(() => rmSync(certs, { recursive: true, force: true }));

/** By file, so that an example without a test shows. */
const EXERCISES: Readonly<Record<string, (t: TestContext) => Promise<void>>> = {
  'files.yaml': async (t) => {
    const proxy = await start(t, 'files.yaml', { APP: await web(t, 'app') });
    const port = await proxy.port('web');
    const url = `https://localhost:${port}/a`;
    assert.deepEqual(await curl(t, [...TRUSTED, url]), { code: 0, text: 'app /a' });
    // Without the authority nobody believes it: 60 is curl's word for that.
    assert.equal((await curl(t, [url])).code, 60);
    const plain = await curl(t, ['-i', `http://localhost:${port}/`]);
    assert.match(plain.text, /^HTTP\/1\.1 400 Bad Request\r\n.*use https:\/\/ instead of http:\/\//s);
    for (const [version, code] of [
      ['1.1', 35],
      ['1.2', 0],
      ['1.3', 0],
    ] as const) {
      const asked = await curl(t, [...TRUSTED, '--tls-max', version, '--ciphers', 'DEFAULT@SECLEVEL=0', url]);
      assert.equal(asked.code, code, `TLS ${version}`);
    }
  },

  'names.yaml': async (t) => {
    const proxy = await start(t, 'names.yaml', { SHOP: await web(t, 'shop'), BLOGS: await web(t, 'blogs') });
    const to = ['--connect-to', `::127.0.0.1:${await proxy.port('web')}`];
    for (const [name, text] of [
      ['shop.example.com', 'shop /'],
      ['example.org', 'blogs /'],
      ['blog.example.org', 'blogs /'],
    ]) {
      assert.deepEqual(await curl(t, [...TRUSTED, ...to, `https://${name}/`]), { code: 0, text });
    }
    // Nothing holds for this name, so it gets the first certificate, which is not for it either.
    assert.equal((await curl(t, [...TRUSTED, ...to, 'https://other.example.net/'])).code, 60);
    // Another site than the one whose certificate was shown.
    const strayed = ['-i', ...to, '-H', 'Host: blog.example.org', 'https://shop.example.com/'];
    assert.match((await curl(t, [...TRUSTED, ...strayed])).text, /^HTTP\/2 421 /);
    assert.equal((await curl(t, [...TRUSTED, ...to, '--tls-max', '1.2', 'https://example.org/'])).code, 35);
  },

  'acme.yaml': async (t) => {
    if (pebble === null) return t.skip('no authority');
    const authority = await startAuthority(t);
    const env = {
      APP: await web(t, 'app'),
      MILLRACE_STATE: temporaryFolder(t),
      HTTPS_PORT: String(authority.tlsPort),
      HTTP_PORT: String(authority.httpPort),
      ACME_DIRECTORY: authority.directory,
      NODE_EXTRA_CA_CERTS: authority.caFile,
    };
    const proxy = await start(t, 'acme.yaml', env);
    await proxy.until(({ err }) => err.includes('certificate issued'), 'the certificate');
    const root = join(temporaryFolder(t), 'root.pem');
    writeFileSync(root, authority.root);
    const to = ['--cacert', root, '--connect-to', `::127.0.0.1:${authority.tlsPort}`];
    assert.deepEqual(await curl(t, [...to, 'https://www.example.com/a']), { code: 0, text: 'app /a' });
  },

  'local.yaml': async (t) => {
    const state = mkdtempSync(join(certs, 'state-'));
    const proxy = await start(t, 'local.yaml', { APP: await web(t, 'app'), MILLRACE_STATE: state });
    const port = await proxy.port('web');
    const trusted = ['--cacert', join(state, 'authority/authority.pem')];
    for (const host of ['localhost', '127.0.0.1', 'blog.app.test']) {
      const to = ['--connect-to', `::127.0.0.1:${port}`];
      assert.deepEqual(
        await curl(t, [...trusted, ...to, `https://${host}:${port}/`]),
        { code: 0, text: 'app /' },
        host,
      );
    }
    const told = startMillrace(t, ['cert', 'authority'], { MILLRACE_STATE: state });
    assert.equal(await told.ended, 0);
    assert.ok(told.out.includes(join(state, 'authority/authority.pem')), told.out);
  },

  'clients.yaml': async (t) => {
    const seen: (string | undefined)[] = [];
    const app = await listening(
      t,
      createServer(({ headers }, response) => {
        const fields = ['subject', 'san', 'fingerprint'].map((part) => headers[`x-client-cert-${part}`]);
        seen.push(...fields.map(String));
        response.end('app');
      }),
    );
    const proxy = await start(t, 'clients.yaml', { APP: app });
    const url = `https://localhost:${await proxy.port('web')}/`;
    const alice = ['--cert', join(certs, 'alice.pem'), '--key', join(certs, 'alice.key')];
    const forged = ['-H', 'X-Client-Cert-Subject: CN=root', url];
    assert.deepEqual(await curl(t, [...TRUSTED, ...alice, ...forged]), { code: 0, text: 'app' });
    const fingerprint = await printOf(t, 'alice.pem');
    assert.deepEqual(seen, ['CN=alice', 'DNS:alice', fingerprint]);
    assert.notEqual((await curl(t, [...TRUSTED, url])).code, 0);
    await proxy.until(({ err }) => err.includes('client_certificate none'), 'the reason');
    assert.equal(seen.length, 3);
  },

  'redirect.yaml': async (t) => {
    const state = mkdtempSync(join(certs, 'state-'));
    const env = { APP: await web(t, 'app'), MILLRACE_STATE: state, PLAIN_PORT: '0' };
    const proxy = await start(t, 'redirect.yaml', env);
    const plain = await curl(t, ['-i', `http://localhost:${await proxy.port('plain')}/some/where?x=1`]);
    assert.match(plain.text, /^HTTP\/1\.1 308 .*\r\nLocation: https:\/\/localhost:8443\/some\/where\?x=1\r\n/is);
    const trusted = ['--cacert', join(state, 'authority/authority.pem')];
    const secure = await curl(t, ['-i', ...trusted, `https://localhost:${await proxy.port('web')}/`]);
    assert.match(secure.text, /\r\nStrict-Transport-Security: max-age=86400\r\n/i);
  },

  'mixed.yaml': async (t) => {
    const state = mkdtempSync(join(certs, 'state-'));
    const vault = await secureWeb(t, 'vault.example.com', {}, (_request, response) => response.end('vault'));
    const proxy = await start(t, 'mixed.yaml', { APP: await web(t, 'app'), VAULT: vault, MILLRACE_STATE: state });
    const port = await proxy.port('all');
    const to = ['--connect-to', `::127.0.0.1:${port}`];
    // Verified against the vault's own authority: nobody has decrypted it on the way.
    const passed = await curl(t, [...TRUSTED, ...to, 'https://vault.example.com/']);
    assert.deepEqual(passed, { code: 0, text: 'vault' });
    const trusted = ['--cacert', join(state, 'authority/authority.pem')];
    assert.deepEqual(await curl(t, [...trusted, `https://localhost:${port}/`]), { code: 0, text: 'app /' });
    assert.deepEqual(await curl(t, [`http://localhost:${port}/`]), { code: 0, text: 'app /' });
  },

  'upstream.yaml': async (t) => {
    const asked: string[] = [];
    const options = { requestCert: true, rejectUnauthorized: true, ca: readFileSync(join(certs, 'ca.pem')) };
    const internal = await secureWeb(t, 'internal.example', options, ({ socket, url = '' }, response) => {
      const { subject } = (
        socket as unknown as { getPeerCertificate(): { subject: { CN: string } } }
      ).getPeerCertificate();
      asked.push(`${subject.CN} ${url}`);
      response.end('internal');
    });
    const env = { INTERNAL: internal, PIN: await printOf(t, 'internal.example.pem') };
    const proxy = await start(t, 'upstream.yaml', env);
    const url = `http://localhost:${await proxy.port('web')}`;
    for (const path of ['/', '/pinned']) {
      assert.deepEqual(await curl(t, [`${url}${path}`]), { code: 0, text: 'internal' }, path);
    }
    assert.match((await curl(t, ['-i', `${url}/strict`])).text, /^HTTP\/1\.1 502 /);
    await proxy.until(({ err }) => /tls_failed.*certificate/.test(err), 'the reason');
    assert.deepEqual(asked, ['proxy /', 'proxy /pinned']);
    const stranger = await start(t, 'upstream.yaml', { ...env, PIN: '0'.repeat(64) });
    const refused = await curl(t, ['-i', `http://localhost:${await stranger.port('web')}/pinned`]);
    assert.match(refused.text, /^HTTP\/1\.1 502 /);
    assert.equal(asked.length, 2);
  },
};

test('every example of TLS has an exercise here', () => {
  assert.deepEqual(readdirSync(join(ROOT, 'examples/tls')).sort(), Object.keys(EXERCISES).sort());
});

for (const [file, exercise] of Object.entries(EXERCISES)) {
  test(`examples/tls/${file} does what it says`, { skip }, (t) => {
    makeCertificatesFor(`tls/${file}`, certs);
    return exercise(t);
  });
}

test('files that change are served from the next connection on, and half a change is not', { skip }, async (t) => {
  makeCertificatesFor('tls/files.yaml', certs);
  makeCertificatesFor('tls/names.yaml', certs);
  const folder = mkdtempSync(join(certs, 'changing-'));
  const copy = (from: string, end: string): void =>
    copyFileSync(join(certs, `${from}.${end}`), join(folder, `localhost.${end}`));
  copy('localhost', 'pem');
  copy('localhost', 'key');
  const proxy = await start(t, 'files.yaml', { APP: await web(t, 'app'), CERTS: folder });
  const port = await proxy.port('web');
  const ask = (name: string): Promise<{ code: number | string; text: string }> =>
    curl(t, [...TRUSTED, '--connect-to', `::127.0.0.1:${port}`, `https://${name}/`]);
  assert.equal((await ask('localhost')).text, 'app /');
  copy('shop.example.com', 'pem');
  await proxy.until(({ err }) => err.includes('the one before goes on serving'), 'the refusal of half a change');
  assert.equal((await ask('localhost')).text, 'app /');
  copy('shop.example.com', 'key');
  await proxy.until(({ err }) => err.includes('certificate replaced'), 'the whole change');
  assert.equal((await ask('shop.example.com')).text, 'app /');
  assert.ok(!proxy.err.includes('PRIVATE KEY'));
});

const TRUSTED = ['--cacert', join(certs, 'ca.pem')];

/** `millrace run -c examples/tls/FILE` on free ports. */
async function start(t: TestContext, file: string, env: Record<string, string>): Promise<Millrace> {
  return startMillrace(t, ['run', '-c', join('examples/tls', file)], { PORT: '0', CERTS: certs, ...env });
}

/** What curl prints, and its exit code. */
async function curl(t: TestContext, args: readonly string[]): Promise<{ code: number | string; text: string }> {
  const program = startProgram(t, 'curl', ['-sS', '--max-time', '10', ...args]);
  const code = await program.ended;
  return { code, text: program.out };
}

/** The SHA-256 fingerprint as openssl tells it, in lower case and without colons. */
async function printOf(t: TestContext, file: string): Promise<string> {
  const { out } = await run(t, 'openssl', ['x509', '-in', join(certs, file), '-noout', '-fingerprint', '-sha256']);
  return out.replace(/^.*=/, '').trim().replaceAll(':', '').toLowerCase();
}

/** An HTTP origin that says its name and what it was asked for; answers its port. */
function web(t: TestContext, name: string): Promise<string> {
  return listening(
    t,
    createServer((request, response) => response.end(`${name} ${request.url}`)),
  );
}

function secureWeb(t: TestContext, name: string, options: object, answer: RequestListener): Promise<string> {
  const [cert, key] = ['pem', 'key'].map((end) => readFileSync(join(certs, `${name}.${end}`)));
  return listening(t, createSecureServer({ cert, key, ...options } as object, answer));
}

async function listening(t: TestContext, server: Server & { closeAllConnections(): void }): Promise<string> {
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return String((server.address() as AddressInfo).port);
}
