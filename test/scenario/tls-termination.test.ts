// TLS towards clients, as OpenSSL, curl and Node's own client see it.

import assert from 'node:assert/strict';
import { createHash, randomBytes, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, request as plainRequest, type ServerResponse } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { type AddressInfo, createServer as createTcpServer, connect as dial } from 'node:net';
import { type TestContext, test } from 'node:test';
import { type ConnectionOptions, connect, createServer as createTlsServer, type TLSSocket } from 'node:tls';
import { makeAuthority, makeLeaf } from '../../certs/make.ts';
import { Certificates } from '../support/certificates.ts';
import { eventually, findProgram, openDescriptors, pause, run } from '../support/process.ts';
import { startProxy, type TestProxy } from '../support/proxy.ts';

const MIB = 1024 * 1024;

/** An origin that tells what it was asked. */
async function startEcho(t: TestContext): Promise<number> {
  const server = createServer((request: IncomingMessage, response: ServerResponse) => {
    const pieces: Buffer[] = [];
    request.on('data', (piece) => pieces.push(piece));
    request.on('end', () => {
      if (request.url === '/back') return void response.end(Buffer.concat(pieces));
      response.end(JSON.stringify({ url: request.url, headers: request.headers }));
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

/** A proxy with one listener `web` whose `tls` has these lines. */
async function start(t: TestContext, tls: string, listener = '', cluster = ''): Promise<TestProxy> {
  const port = await startEcho(t);
  return startProxy(
    t,
    `
listeners:
  web:
    bind: 127.0.0.1:0
    ${listener || 'cluster: app'}
    tls: { ${tls} }
clusters:
  app:
    endpoints: ["127.0.0.1:${port}"]
    ${cluster}
`,
  );
}

const file = (path: string): string => JSON.stringify(path);
const pair = ({ certFile, keyFile }: { certFile: string; keyFile: string }): string =>
  `{ cert: ${file(certFile)}, key: ${file(keyFile)} }`;

/** Makes a handshake; the error of one that fails. */
function shake(t: TestContext, port: number, options: ConnectionOptions): Promise<TLSSocket | Error> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false, ...options }, () => resolve(socket));
    socket.on('error', resolve);
    t.after(() => socket.destroy());
  });
}

interface Reply {
  readonly status: number;
  readonly headers: NodeJS.Dict<string | string[]>;
  readonly body: Buffer;
}

function ask(port: number, options: object, body: Buffer | string = ''): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const request = httpsRequest(
      { port, host: '127.0.0.1', rejectUnauthorized: false, agent: false, ...options },
      (response) => {
        const pieces: Buffer[] = [];
        response.on('data', (piece) => pieces.push(piece));
        response.on('error', reject);
        response.on('end', () =>
          resolve({ status: response.statusCode!, headers: response.headers, body: Buffer.concat(pieces) }),
        );
      },
    );
    request.on('error', reject);
    request.end(body);
  });
}

/** The name on the certificate that a client gets. */
async function named(t: TestContext, port: number, options: ConnectionOptions): Promise<string> {
  const socket = await shake(t, port, options);
  assert.ok(!(socket instanceof Error), String(socket));
  return socket.getPeerX509Certificate()!.subject.replace(/^CN=/, '');
}

test('bodies of megabytes go both ways byte by byte, several at once', async (t) => {
  const certificates = new Certificates(t);
  const proxy = await start(t, `certificates: [${pair(certificates.leaf(['a.test']))}]`);
  const bodies = [5 * MIB, 3 * MIB + 1, 16_384, 1369, 1].map((length) => randomBytes(length));
  const replies = await Promise.all(
    bodies.map((body) => ask(proxy.port('web'), { path: '/back', method: 'POST' }, body)),
  );
  for (const [at, { body }] of replies.entries()) {
    const sum = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');
    assert.equal(sum(body), sum(bodies[at]!));
  }
  // What an endpoint sees of it.
  const { headers } = JSON.parse(String((await ask(proxy.port('web'), { path: '/' })).body));
  assert.equal(headers['x-forwarded-proto'], 'https');
});

test('a client that reads slowly gets all of a long reply, and does not stop others', async (t) => {
  const certificates = new Certificates(t);
  const proxy = await start(t, `certificates: [${pair(certificates.leaf(['a.test']))}]`);
  const body = randomBytes(4 * MIB);
  const socket = await shake(t, proxy.port('web'), { servername: 'a.test' });
  assert.ok(!(socket instanceof Error));
  socket.write(`POST /back HTTP/1.1\r\nHost: a.test\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n`);
  socket.write(body);
  const pieces: Buffer[] = [];
  let paused = 0;
  socket.on('data', (piece) => {
    pieces.push(piece);
    if (paused++ % 50 !== 0) return;
    socket.pause();
    setTimeout(() => socket.resume(), 5);
  });
  const ended = once(socket, 'end');
  const other = await ask(proxy.port('web'), { path: '/other', servername: 'a.test', headers: { Host: 'a.test' } });
  assert.equal(other.status, 200);
  await ended;
  const reply = Buffer.concat(pieces);
  assert.ok(reply.subarray(reply.indexOf('\r\n\r\n') + 4).equals(body));
});

test('the server name chooses the certificate: exact, then wildcard of one label, then the first', async (t) => {
  const certificates = new Certificates(t);
  const leaves = [['first.test'], ['*.wild.test'], ['own.wild.test']].map((names) => pair(certificates.leaf(names)));
  const proxy = await start(t, `certificates: [${leaves.join(', ')}]`);
  const port = proxy.port('web');
  for (const [servername, wanted] of [
    ['first.test', 'first.test'],
    ['FIRST.test', 'first.test'],
    ['a.wild.test', '*.wild.test'],
    ['own.wild.test', 'own.wild.test'],
    ['a.b.wild.test', 'first.test'],
    ['unknown.test', 'first.test'],
    ['', 'first.test'],
  ] as const) {
    assert.equal(await named(t, port, { servername }), wanted, servername);
  }
});

test('of one name a client gets the certificate on ECDSA or RSA that its algorithms can check', async (t) => {
  const certificates = new Certificates(t);
  const rsa = certificates.write('rsa', makeLeaf(makeAuthority(), { names: ['a.test'] }));
  const proxy = await start(t, `certificates: [${pair(certificates.leaf(['a.test']))}, ${pair(rsa)}]`);
  const kind = async (sigalgs: string): Promise<string> => {
    const socket = await shake(t, proxy.port('web'), { servername: 'a.test', sigalgs });
    assert.ok(!(socket instanceof Error), String(socket));
    return socket.getPeerX509Certificate()!.publicKey.asymmetricKeyType!;
  };
  assert.equal(await kind('ecdsa_secp256r1_sha256'), 'ec');
  assert.equal(await kind('rsa_pss_rsae_sha256'), 'rsa');
  assert.equal(await kind('ecdsa_secp256r1_sha256:rsa_pss_rsae_sha256'), 'ec');
});

test('old versions and weak ciphers are refused, and `modern` is TLS 1.3 alone', async (t) => {
  const certificates = new Certificates(t);
  const leaf = pair(certificates.leaf(['a.test']));
  const proxy = await start(t, `certificates: [${leaf}]`);
  const weak = { ciphers: 'DEFAULT@SECLEVEL=0' };
  const outcome = async (at: TestProxy, options: ConnectionOptions): Promise<string> => {
    const socket = await shake(t, at.port('web'), { servername: 'a.test', ...options });
    return socket instanceof Error ? 'refused' : socket.getProtocol()!;
  };
  assert.equal(await outcome(proxy, { ...weak, minVersion: 'TLSv1.1', maxVersion: 'TLSv1.1' }), 'refused');
  assert.equal(await outcome(proxy, { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-AES128-SHA256' }), 'refused');
  assert.equal(await outcome(proxy, { maxVersion: 'TLSv1.2', ciphers: 'AES128-GCM-SHA256' }), 'refused');
  assert.equal(await outcome(proxy, { maxVersion: 'TLSv1.2' }), 'TLSv1.2');
  assert.equal(await outcome(proxy, {}), 'TLSv1.3');
  const modern = await start(t, `profile: modern, certificates: [${leaf}]`);
  assert.equal(await outcome(modern, { maxVersion: 'TLSv1.2' }), 'refused');
  assert.equal(await outcome(modern, {}), 'TLSv1.3');
});

test('ALPN agrees on the first of ours that the client speaks, and on nothing with others', async (t) => {
  const certificates = new Certificates(t);
  const leaf = pair(certificates.leaf(['a.test']));
  const proxy = await start(t, `certificates: [${leaf}]`);
  const agreed = async (...protocols: string[]): Promise<string | false | null> => {
    const socket = await shake(t, proxy.port('web'), { servername: 'a.test', ALPNProtocols: protocols });
    return socket instanceof Error ? 'refused' : socket.alpnProtocol;
  };
  assert.equal(await agreed('http/1.1', 'h2'), 'h2');
  assert.equal(await agreed('http/1.1'), 'http/1.1');
  assert.equal(await agreed(), false);
  // RFC 7301 3.2: a client that speaks nothing of what we do is told so.
  assert.equal(await agreed('spdy/3'), 'refused');
});

for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
  test(`a session of ${version} is resumed once the client comes back, and not where resumption is off`, async (t) => {
    const certificates = new Certificates(t);
    const leaf = pair(certificates.leaf(['a.test']));
    for (const [resumption, wanted] of [
      ['1d', true],
      ['0', false],
    ] as const) {
      const proxy = await start(t, `certificates: [${leaf}], resumption: ${resumption}`);
      const options: ConnectionOptions = { servername: 'a.test', minVersion: version, maxVersion: version };
      const first = await shake(t, proxy.port('web'), options);
      assert.ok(!(first instanceof Error));
      let session: Buffer | undefined;
      first.on('session', (given) => (session = given));
      first.write('GET / HTTP/1.1\r\nHost: a.test\r\n\r\n');
      await once(first, 'data');
      // TLS 1.2 tells of it within the handshake.
      if (version === 'TLSv1.2') session = first.getSession();
      const second = await shake(t, proxy.port('web'), { ...options, ...(session && { session }) });
      assert.ok(!(second instanceof Error), String(second));
      assert.equal(second.isSessionReused(), wanted);
    }
  });
}

test('client certificates are demanded or merely taken, told to endpoints, and never forged', async (t) => {
  const certificates = new Certificates(t);
  const leaf = pair(certificates.leaf(['a.test']));
  const clients = makeAuthority('clients');
  const caFile = certificates.write('clients', clients).certFile;
  const alice = makeLeaf(clients, { names: ['alice.test'] });
  const mallory = makeLeaf(makeAuthority('others'), { names: ['alice.test'] });
  const forged = { 'X-Client-Cert-Subject': 'CN=root', X_Client_Cert_San: 'DNS:root', 'Client-Cert': ':AAAA:' };
  const fields = async (proxy: TestProxy, options: object): Promise<NodeJS.Dict<string>> => {
    const { body } = await ask(proxy.port('web'), {
      servername: 'a.test',
      headers: { Host: 'a.test', ...forged },
      ...options,
    });
    return JSON.parse(String(body)).headers;
  };
  const required = await start(t, `certificates: [${leaf}], clientAuth: { ca: ${file(caFile)}, mode: require }`);
  const told = await fields(required, { cert: alice.cert, key: alice.key });
  assert.equal(told['x-client-cert-subject'], 'CN=alice.test');
  assert.equal(told['x-client-cert-san'], 'DNS:alice.test');
  const fingerprint = new X509Certificate(alice.cert).fingerprint256.replaceAll(':', '').toLowerCase();
  assert.equal(told['x-client-cert-fingerprint'], fingerprint);
  // RFC 9440 2.1: the certificate in DER as a byte sequence.
  assert.equal(told['client-cert'], `:${new X509Certificate(alice.cert).raw.toString('base64')}:`);
  assert.equal(told['x_client_cert_san'], undefined);
  await assert.rejects(fields(required, {}));
  await assert.rejects(fields(required, { cert: mallory.cert, key: mallory.key }));
  const optional = await start(t, `certificates: [${leaf}], clientAuth: { ca: ${file(caFile)}, mode: optional }`);
  const nobody = await fields(optional, {});
  for (const name of Object.keys(nobody)) assert.doesNotMatch(name, /client.cert/);
  assert.equal(
    (await fields(optional, { cert: alice.cert, key: alice.key }))['x-client-cert-subject'],
    'CN=alice.test',
  );
  await assert.rejects(fields(optional, { cert: mallory.cert, key: mallory.key }));
});

test('what does not belong on the port or the connection is told so: plain HTTP, other hosts', async (t) => {
  const certificates = new Certificates(t);
  const leaves = [['a.test', '*.sub.test'], ['b.test']].map((names) => pair(certificates.leaf(names)));
  const proxy = await start(t, `certificates: [${leaves.join(', ')}], hsts: { maxAge: 1d }`);
  const port = proxy.port('web');
  const plain = await new Promise<Reply>((resolve, reject) => {
    const request = plainRequest({ port, host: '127.0.0.1', agent: false }, (response) => {
      let body = '';
      response.on('data', (piece) => (body += piece));
      response.on('end', () => resolve({ status: response.statusCode!, headers: {}, body: Buffer.from(body) }));
    });
    request.on('error', reject);
    request.end();
  });
  assert.equal(plain.status, 400);
  assert.match(String(plain.body), /https/);
  const status = async (servername: string, Host: string): Promise<number> =>
    (await ask(port, { servername, headers: { Host } })).status;
  assert.equal(await status('a.test', 'a.test'), 200);
  assert.equal(await status('a.test', 'x.sub.test'), 200, 'the same certificate');
  assert.equal(await status('a.test', 'b.test'), 421);
  assert.equal(await status('a.test', 'unknown.test'), 421);
  assert.equal(await status('', 'unknown.test'), 200, 'a client that asked for no name');
  const { headers } = await ask(port, { servername: 'a.test', headers: { Host: 'a.test' } });
  assert.equal(headers['strict-transport-security'], 'max-age=86400');
});

test('hellos may come in pieces, and those that are cut, wrong or silent cost their connection alone', async (t) => {
  const certificates = new Certificates(t);
  const proxy = await start(t, `certificates: [${pair(certificates.leaf(['a.test']))}], handshakeTimeout: 200ms`);
  const port = proxy.port('web');
  // A relay that passes on what the client says one byte at a time.
  const relay = createTcpServer((near) => {
    const far = dial(port, '127.0.0.1');
    far.setNoDelay(true);
    far.on('error', () => near.destroy());
    near.on('error', () => far.destroy());
    far.pipe(near);
    let turn = Promise.resolve();
    near.on('data', (bytes) => {
      turn = turn.then(async () => {
        for (const byte of bytes) {
          far.write(Buffer.from([byte]));
          await new Promise((resolve) => setImmediate(resolve));
        }
      });
    });
    near.on('close', () => far.destroy());
  });
  relay.listen(0, '127.0.0.1');
  await once(relay, 'listening');
  t.after(() => relay.close());
  const slow = await ask((relay.address() as AddressInfo).port, { servername: 'a.test', headers: { Host: 'a.test' } });
  assert.equal(slow.status, 200);
  const ends = async (bytes: Buffer): Promise<void> => {
    const socket = dial(port, '127.0.0.1');
    socket.on('error', () => {});
    socket.write(bytes);
    socket.resume();
    await once(socket, 'close');
  };
  const hello = Buffer.from('16030100', 'hex');
  await Promise.all([
    ends(hello),
    ends(Buffer.concat([Buffer.from('1603010200010001fc0303', 'hex'), randomBytes(300)])),
    ends(Buffer.concat([Buffer.from('160301002f0100002b0303', 'hex'), randomBytes(60)])),
    ends(randomBytes(500)),
    ends(Buffer.alloc(0)),
  ]);
  assert.equal((await ask(port, { servername: 'a.test', headers: { Host: 'a.test' } })).status, 200);
});

test('no more handshakes are begun at once than allowed, and open connections go on meanwhile', async (t) => {
  const certificates = new Certificates(t);
  const proxy = await start(t, `certificates: [${pair(certificates.leaf(['a.test']))}], handshakes: 4`);
  const port = proxy.port('web');
  const open = await shake(t, port, { servername: 'a.test' });
  assert.ok(!(open instanceof Error));
  // Clients that stop in the middle: what a hello needs is copied from a real one.
  const hello = await new Promise<Buffer>((resolve) => {
    const server = createTcpServer((socket) =>
      socket.once('data', (bytes) => {
        resolve(bytes);
        socket.destroy();
        server.close();
      }),
    );
    server.listen(0, '127.0.0.1', () => {
      const { port: own } = server.address() as AddressInfo;
      connect({ port: own, host: '127.0.0.1', servername: 'a.test' }).on('error', () => {});
    });
  });
  const stuck = Array.from({ length: 4 }, () => dial(port, '127.0.0.1'));
  for (const socket of stuck) {
    socket.on('error', () => {});
    socket.write(hello);
    await once(socket, 'data');
  }
  assert.ok((await shake(t, port, { servername: 'a.test' })) instanceof Error);
  open.write('GET / HTTP/1.1\r\nHost: a.test\r\n\r\n');
  await once(open, 'data');
  for (const socket of stuck) socket.destroy();
  while ((await shake(t, port, { servername: 'a.test' })) instanceof Error) await pause(10);
  assert.ok(proxy.log.some(({ message }) => message === 'too many handshakes'));
});

test('a certificate is replaced under load without one failure, and a pair that does not match changes nothing', async (t) => {
  const certificates = new Certificates(t);
  const old = certificates.leaf(['a.test']);
  const proxy = await start(t, `certificates: [${pair(old)}]`);
  const port = proxy.port('web');
  let running = true;
  let asked = 0;
  const kept = await shake(t, port, { servername: 'a.test' });
  assert.ok(!(kept instanceof Error));
  /** In use, since one that asks nothing is closed before both certificates have been read. */
  const askKept = async (): Promise<void> => {
    const answered = Promise.race([once(kept, 'data'), once(kept, 'close').then(() => assert.fail('closed'))]);
    kept.write('GET / HTTP/1.1\r\nHost: a.test\r\n\r\n');
    await answered;
  };
  await askKept();
  const load = Array.from({ length: 4 }, async () => {
    while (running) {
      assert.equal((await ask(port, { servername: 'a.test', headers: { Host: 'a.test' } })).status, 200);
      asked++;
    }
  });
  const fingerprint = async (): Promise<string> => {
    const socket = await shake(t, port, { servername: 'a.test' });
    assert.ok(!(socket instanceof Error));
    const { fingerprint256 } = socket.getPeerX509Certificate()!;
    socket.destroy();
    return fingerprint256;
  };
  const before = await fingerprint();
  // First a certificate without its key.
  certificates.write('a.test', { cert: certificates.leaf(['a.test'], Date.now(), 'other').cert, key: old.key });
  while (!proxy.log.some(({ message }) => String(message).startsWith('certificate not read'))) await pause(50);
  assert.equal(await fingerprint(), before);
  const fresh = certificates.leaf(['a.test']);
  const wanted = new X509Certificate(fresh.cert).fingerprint256;
  while ((await fingerprint()) !== wanted) await pause(50);
  running = false;
  await Promise.all(load);
  assert.ok(asked > 10);
  await askKept();
  const told = JSON.stringify(proxy.log);
  assert.match(told, /does not belong to the certificate/);
  assert.doesNotMatch(told, /PRIVATE KEY/);
  for (const secret of [old.key, fresh.key]) assert.ok(!told.includes(secret.split('\n')[1]!));
});

test('a certificate that ends soon, or has ended, is warned about', async (t) => {
  const certificates = new Certificates(t);
  const day = 24 * 60 * 60 * 1000;
  const soon = certificates.leaf(['soon.test'], Date.now() - 80 * day);
  const over = certificates.leaf(['over.test'], Date.now() - 100 * day);
  const proxy = await start(t, `certificates: [${pair(soon)}, ${pair(over)}]`);
  const told = (names: string) => proxy.log.find((line) => line['names'] === names)?.['message'];
  assert.equal(told('soon.test'), 'certificate ends soon');
  assert.equal(told('over.test'), 'certificate has expired');
});

test('a connection ends with close_notify, so that nobody takes what was cut for the whole', async (t) => {
  const certificates = new Certificates(t);
  const proxy = await start(t, `certificates: [${pair(certificates.leaf(['a.test']))}]`);
  const openssl = findProgram('openssl', 'openssl');
  if (openssl === null) return t.skip('openssl is not installed');
  const args = [
    's_client',
    '-connect',
    `127.0.0.1:${proxy.port('web')}`,
    '-servername',
    'a.test',
    '-msg',
    '-quiet',
    '-no_ign_eof',
  ];
  const { out, err } = await run(t, openssl, args, 'GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n');
  assert.match(out + err, /<<< .*Alert.*close_notify|warning close_notify/);
});

test('an OCSP response is stapled for clients that ask', async (t) => {
  const openssl = findProgram('openssl', 'openssl');
  if (openssl === null) return t.skip('openssl is not installed');
  const certificates = new Certificates(t);
  const leaf = certificates.leaf(['a.test']);
  const ca = certificates.write('ca', certificates.authority);
  const made = await run(t, openssl, [
    ...[
      'ocsp',
      '-issuer',
      ca.certFile,
      '-cert',
      leaf.certFile,
      '-reqout',
      `${certificates.folder}/request`,
      '-no_nonce',
    ],
  ]);
  assert.equal(made.code, 0, made.err);
  const serial = new X509Certificate(leaf.cert).serialNumber;
  writeFileSync(`${certificates.folder}/index`, `V\t400101000000Z\t\t${serial}\tunknown\t/CN=a.test\n`);
  const answered = await run(t, openssl, [
    ...[
      'ocsp',
      '-index',
      `${certificates.folder}/index`,
      '-rsigner',
      ca.certFile,
      '-rkey',
      ca.keyFile,
      '-CA',
      ca.certFile,
    ],
    ...['-reqin', `${certificates.folder}/request`, '-respout', `${certificates.folder}/ocsp.der`, '-ndays', '7'],
  ]);
  assert.equal(answered.code, 0, answered.err);
  const ocsp = file(`${certificates.folder}/ocsp.der`);
  const proxy = await start(
    t,
    `certificates: [{ cert: ${file(leaf.certFile)}, key: ${file(leaf.keyFile)}, ocsp: ${ocsp} }]`,
  );
  const { out } = await run(t, openssl, [
    's_client',
    '-connect',
    `127.0.0.1:${proxy.port('web')}`,
    '-servername',
    'a.test',
    '-status',
  ]);
  assert.match(out, /OCSP Response Status: successful/);
  assert.match(out, /Cert Status: good/);
});

test('some names pass through, others are decrypted, and plain HTTP is served, all on one port', async (t) => {
  const certificates = new Certificates(t);
  const behind = certificates.leaf(['behind.test']);
  const server = createTlsServer({ cert: behind.cert, key: behind.key }, (socket) => socket.end('through'));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const { port: far } = server.address() as AddressInfo;
  const app = await startEcho(t);
  const proxy = await startProxy(
    t,
    `
listeners:
  web:
    bind: 127.0.0.1:0
    protocol: auto
    passthrough: { behind.test: far }
    cluster: app
    tls: { certificates: [${pair(certificates.leaf(['front.test']))}] }
clusters:
  far: { endpoints: ["127.0.0.1:${far}"] }
  app: { endpoints: ["127.0.0.1:${app}"] }
`,
  );
  const port = proxy.port('web');
  assert.equal(await named(t, port, { servername: 'behind.test' }), 'behind.test');
  const decrypted = await ask(port, { servername: 'front.test', headers: { Host: 'front.test' } });
  assert.equal(JSON.parse(String(decrypted.body)).headers['x-forwarded-proto'], 'https');
  const answer = await fetch(`http://127.0.0.1:${port}/plain`);
  assert.equal(((await answer.json()) as { url: string }).url, '/plain');
});

test('TLS before a tcp listener gives the cluster the plain bytes', async (t) => {
  const certificates = new Certificates(t);
  const server = createTcpServer((socket) => socket.pipe(socket));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const proxy = await startProxy(
    t,
    `
listeners:
  raw:
    bind: 127.0.0.1:0
    protocol: tcp
    cluster: echo
    tls: { certificates: [${pair(certificates.leaf(['a.test']))}] }
clusters:
  echo: { endpoints: ["127.0.0.1:${(server.address() as AddressInfo).port}"] }
`,
  );
  const socket = await shake(t, proxy.port('raw'), { servername: 'a.test' });
  assert.ok(!(socket instanceof Error), String(socket));
  const body = randomBytes(2 * MIB);
  socket.end(body);
  const pieces: Buffer[] = [];
  socket.on('data', (piece) => pieces.push(piece));
  await once(socket, 'end');
  assert.ok(Buffer.concat(pieces).equals(body));
});

test('connections that are cut while they end leave no descriptor behind', async (t) => {
  const certificates = new Certificates(t);
  const proxy = await start(t, `certificates: [${pair(certificates.leaf(['a.test']))}], alpn: [http/1.1]`);
  const before = openDescriptors(process.pid);
  const clients = await Promise.all(
    Array.from({ length: 5 }, async () => {
      const socket = await shake(t, proxy.port('web'), { servername: 'a.test', ALPNProtocols: ['http/1.1'] });
      assert.ok(!(socket instanceof Error));
      const body = Buffer.alloc(8 * MIB);
      // Nobody reads the reply, so the end of it waits behind what the kernel does not take.
      socket.write(
        `POST /back HTTP/1.1\r\nHost: a.test\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n`,
      );
      socket.write(body);
      return socket;
    }),
  );
  await pause(300);
  await proxy.server.close();
  for (const client of clients) client.destroy();
  await eventually(() => openDescriptors(process.pid) <= before + 1, 'descriptors are closed');
});

for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
  test(`a ${version} ticket of somebody else's, or of before a restart, costs a whole handshake and nothing else`, async (t) => {
    const certificates = new Certificates(t);
    const own = `certificates: [${pair(certificates.leaf(['a.test']))}]`;
    const options = { servername: 'a.test', minVersion: version, maxVersion: version };
    const before = await start(t, own);
    const socket = await shake(t, before.port('web'), options);
    assert.ok(!(socket instanceof Error));
    const session = await new Promise<Buffer>((resolve) => {
      if (version === 'TLSv1.2') return resolve(socket.getSession()!);
      socket.once('session', resolve);
      socket.write('GET / HTTP/1.1\r\nHost: a.test\r\n\r\n');
    });
    const after = await start(t, own);
    for (let tries = 0; tries < 2; tries++) {
      const again = await shake(t, after.port('web'), { ...options, session });
      assert.ok(!(again instanceof Error), String(again));
      assert.ok(!again.isSessionReused());
    }
  });
}

test('routes and endpoints know the fingerprints of a hello, and clients cannot make them up', async (t) => {
  const certificates = new Certificates(t);
  const own = `certificates: [${pair(certificates.leaf(['localhost']))}]`;
  const forged = { 'X-Client-Ja3': 'forged', 'x-client-ja4': 'forged' };
  const seenBy = async (proxy: TestProxy, options: ConnectionOptions = {}) => {
    const { body } = await ask(proxy.port('web'), {
      servername: 'localhost',
      headers: { host: 'localhost', ...forged },
      ...options,
    });
    return JSON.parse(String(body)) as { known?: number; headers: Record<string, string> };
  };
  const learning = await start(t, `${own}, fingerprint: true`);
  const { 'x-client-ja3': ja3 = '', 'x-client-ja4': ja4 = '' } = (await seenBy(learning)).headers;
  assert.match(ja3, /^[0-9a-f]{32}$/);
  assert.match(ja4, /^t13d\d{4}00_[0-9a-f]{12}_[0-9a-f]{12}$/);
  assert.equal((await seenBy(learning)).headers['x-client-ja4'], ja4);
  assert.match((await seenBy(learning, { maxVersion: 'TLSv1.2' })).headers['x-client-ja4']!, /^t12d/);
  const known = `{ match: { ja3: ["${ja3}"], ja4: "${ja4}" }, respond: { status: 200, body: '{"known":1}' } }`;
  const choosing = await start(t, own, `routes: [${known}, { cluster: app }]`);
  assert.equal((await seenBy(choosing)).known, 1);
  const { headers } = await seenBy(choosing, { maxVersion: 'TLSv1.2' });
  assert.equal(headers['x-client-ja4'], undefined);
});
