// Endpoints that come and go, found by DNS, in a file and from a service, and checked in every way: without one request
// lost on the way.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { renameSync, writeFileSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { createServer as createTlsServer } from 'node:tls';
import { Server, ServerCredentials, type UntypedServiceImplementation } from '@grpc/grpc-js';
import { Certificates } from '../support/certificates.ts';
import { Crowd } from '../support/crowd.ts';
import {
  eventually,
  findProgram,
  freePort,
  startOnFreePort,
  startProgram,
  temporaryFolder,
} from '../support/process.ts';
import { startProxy, type TestProxy } from '../support/proxy.ts';

async function serve(t: TestContext, handle: RequestListener | string, host = '127.0.0.1', port = 0): Promise<number> {
  const listener: RequestListener = typeof handle === 'string' ? (_request, response) => response.end(handle) : handle;
  const server = createServer(listener).listen(port, host);
  await once(server, 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

function proxyWith(t: TestContext, cluster: string): Promise<TestProxy> {
  return startProxy(
    t,
    `
listeners:
  web: { bind: "127.0.0.1:0", cluster: api }
clusters:
  api:
    ${cluster}
`,
  );
}

const names = (proxy: TestProxy): string[] => proxy.snapshot.clusters.get('api')!.endpoints.map(({ name }) => name);
const health = (proxy: TestProxy): string[] =>
  proxy.snapshot.clusters.get('api')!.endpoints.map(({ standing }) => standing.health);
const told = (proxy: TestProxy, message: string) => proxy.log.filter((line) => line['message'] === message);

async function ask(proxy: TestProxy): Promise<string> {
  const reply = await fetch(`http://127.0.0.1:${proxy.port('web')}/`);
  return reply.status === 200 ? reply.text() : String(reply.status);
}

test('a file that is replaced changes the endpoints under load, and one that is wrong changes nothing', async (t) => {
  const [a, b] = [await serve(t, 'a'), await serve(t, 'b')];
  const file = join(temporaryFolder(t), 'endpoints.yaml');
  const write = (text: string): void => {
    writeFileSync(`${file}.new`, text);
    renameSync(`${file}.new`, file);
  };
  write(`["127.0.0.1:${a}"]`);
  const proxy = await proxyWith(t, `discovery: { file: ${JSON.stringify(file)} }`);
  await eventually(() => names(proxy).length === 1, 'the first list');
  const crowd = new Crowd(t, proxy.port('web'), { clients: 8 });
  await eventually(() => (crowd.answers.get('a') ?? 0) > 5, 'answers of the first');
  write(`endpoints:\n  - { address: "127.0.0.1:${b}", weight: 3 }\n`);
  await eventually(() => names(proxy)[0] === `127.0.0.1:${b}`, 'the second list');
  await eventually(() => (crowd.answers.get('b') ?? 0) > 5, 'answers of the second');
  await crowd.stop();
  assert.deepEqual(crowd.faults, []);
  for (const [text, fault] of [
    ['endpoints: [nonsense]', /endpoints\[0\]/],
    ['[', /Flow sequence/],
    ['{}', /endpoints/],
  ] as const) {
    const before = told(proxy, 'endpoints are not found, those before are kept').length;
    write(text);
    await eventually(() => told(proxy, 'endpoints are not found, those before are kept').length > before, text);
    assert.match(String(told(proxy, 'endpoints are not found, those before are kept').at(-1)!['fault']), fault);
    assert.equal(await ask(proxy), 'b');
  }
});

test('a service is asked again with its ETag, and what it said holds while it fails', async (t) => {
  const a = await serve(t, 'a');
  const seen: string[] = [];
  let fail = false;
  const service = await serve(t, (request, response) => {
    seen.push(String(request.headers['if-none-match']));
    if (fail) return void response.writeHead(500).end();
    if (request.headers['if-none-match'] === '"v1"') return void response.writeHead(304).end();
    response.writeHead(200, { ETag: '"v1"' }).end(JSON.stringify({ endpoints: [`127.0.0.1:${a}`] }));
  });
  const proxy = await proxyWith(t, `discovery: { http: { url: "http://127.0.0.1:${service}/list", every: 100ms } }`);
  await eventually(() => seen.length > 3, 'some questions');
  assert.deepEqual([seen[0], seen[1], seen[2]], ['undefined', '"v1"', '"v1"']);
  assert.equal(await ask(proxy), 'a');
  assert.equal(told(proxy, 'endpoints have changed').length, 1);
  fail = true;
  await eventually(() => told(proxy, 'endpoints are not found, those before are kept').length > 0, 'the failure');
  assert.equal(await ask(proxy), 'a');
});

const dns = findProgram('pebble-challtestsrv', 'pebble');

test('DNS that changes all the time costs no request, and one that fails leaves what was known', {
  skip: dns === null,
}, async (t) => {
  const dnsPort = await freePort();
  const management = await startOnFreePort((port) =>
    startProgram(t, dns!, [
      ...['-http01', '', '-https01', '', '-tlsalpn01', '', '-defaultIPv4', '', '-defaultIPv6', ''],
      ...['-dns01', `127.0.0.1:${dnsPort}`, '-management', `127.0.0.1:${port}`],
    ]),
  );
  const set = async (addresses: string[]): Promise<void> => {
    const at = `http://127.0.0.1:${management.port}`;
    await fetch(`${at}/clear-a`, { method: 'POST', body: JSON.stringify({ host: 'app.test.' }) });
    await fetch(`${at}/add-a`, { method: 'POST', body: JSON.stringify({ host: 'app.test.', addresses }) });
  };
  const port = await serve(t, '1', '127.0.0.1', await freePort());
  for (const name of ['2', '3', '4']) await serve(t, name, `127.0.0.${name}`, port);
  await set(['127.0.0.1']);
  const proxy = await proxyWith(
    t,
    `discovery: { dns: { name: app.test, port: ${port}, every: 100ms, minTtl: 100ms, servers: ["127.0.0.1:${dnsPort}"] } }
    pool: { queueTimeout: 5s }`,
  );
  await eventually(() => names(proxy).length === 1, 'the first answer');
  const crowd = new Crowd(t, proxy.port('web'), { clients: 8 });
  const answersOf = (address: string): number => crowd.answers.get(address.slice(-1)) ?? 0;
  for (let i = 0; i < 10; i++) {
    const wanted = [1 + (i % 4), 1 + ((i + 1) % 4)].map((last) => `127.0.0.${last}`);
    await set(wanted);
    const expected = wanted.map((address) => `${address}:${port}`).sort();
    await eventually(() => names(proxy).toSorted().join() === expected.join(), `answer ${i}`);
    const before = wanted.map(answersOf);
    await eventually(() => wanted.every((one, at) => answersOf(one) > before[at]!), 'answers of both');
  }
  await management.program.end('SIGKILL');
  await eventually(() => told(proxy, 'endpoints are not found, those before are kept').length > 0, 'the failure');
  await crowd.stop();
  assert.deepEqual(crowd.faults, []);
  assert.equal(crowd.answers.size, 4);
  assert.ok(names(proxy).length > 0);
});

test('a name that leads nowhere at the start is told, and served as soon as it leads somewhere', async (t) => {
  const proxy = await proxyWith(
    t,
    'discovery: { dns: { name: nowhere.invalid, port: 80, every: 200ms, servers: ["127.0.0.1:9"] } }',
  );
  await eventually(() => told(proxy, 'endpoints are not found, those before are kept').length > 0, 'the failure');
  assert.equal(await ask(proxy), '503');
});

const CHECKED = 'interval: 100ms, fastInterval: 100ms, timeout: 60s, rise: 1, fall: 1';

test('checks by HTTP see status and body, ask for what they are told to, and count in a row', async (t) => {
  let status = 200;
  let body = 'all is well';
  const heads: string[] = [];
  const port = await serve(t, (request, response) => {
    heads.push(`${request.method} ${request.url} ${request.headers.host}`);
    response.writeHead(status).end(body);
  });
  const check = 'path: /healthz?deep=1, host: check.test, status: [200, 204-205], body: "well$"';
  const proxy = await proxyWith(
    t,
    `endpoints: ["127.0.0.1:${port}"]\n    health: { ${check}, ${CHECKED.replace('fall: 1', 'fall: 3')} }`,
  );
  await eventually(() => health(proxy)[0] === 'up', 'the first check');
  assert.equal(heads[0], 'GET /healthz?deep=1 check.test');
  status = 500;
  await eventually(() => health(proxy)[0] === 'down', 'the status');
  const [line] = told(proxy, 'endpoint is down');
  assert.equal(line!['reason'], '3 checks failed, the last: status 500');
  status = 204;
  body = '';
  const checks = heads.length;
  await eventually(() => heads.length > checks + 3, 'some more checks');
  assert.equal(health(proxy)[0], 'down', 'the body does not match');
  status = 205;
  body = 'well';
  status = 200;
  await eventually(() => health(proxy)[0] === 'up', 'its return');
});

test('checks of TCP and TLS make connections, and verify whom they are with', async (t) => {
  const certificates = new Certificates(t);
  const good = certificates.leaf(['localhost']);
  const stranger = new Certificates(t).leaf(['localhost']);
  const ports: number[] = [];
  for (const { cert, key } of [good, stranger]) {
    const server = createTlsServer({ cert, key }, (socket) => socket.on('error', () => {}).end());
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    t.after(() => void server.close());
    ports.push((server.address() as AddressInfo).port);
  }
  const endpoints = `endpoints: [${ports.map((port) => `"localhost:${port}"`).join(', ')}]`;
  const tls = `tls: { ca: ${JSON.stringify(certificates.caFile)} }`;
  const secured = await proxyWith(t, `${endpoints}\n    ${tls}\n    health: { tls: true, ${CHECKED} }`);
  await eventually(() => health(secured).join() === 'up,down', 'the checks');
  const nobody = await freePort();
  const plain = await proxyWith(
    t,
    `endpoints: ["localhost:${ports[0]}", "127.0.0.1:${nobody}"]\n    health: { tcp: true, ${CHECKED} }`,
  );
  await eventually(() => health(plain).join() === 'up,down', 'the checks');
});

test('checks by gRPC ask the health service, of the server or of a service', async (t) => {
  const states: Record<string, number> = { '': 1, 'shop.Cart': 1 };
  const identity = { serialize: (value: Buffer) => value, deserialize: (value: Buffer) => value };
  const service = {
    check: {
      path: '/grpc.health.v1.Health/Check',
      requestStream: false,
      responseStream: false,
      requestSerialize: identity.serialize,
      requestDeserialize: identity.deserialize,
      responseSerialize: identity.serialize,
      responseDeserialize: identity.deserialize,
    },
  };
  const server = new Server();
  server.addService(service, {
    check: (call: { request: Buffer }, done: (error: unknown, reply?: Buffer) => void) => {
      const asked = call.request.subarray(2).toString();
      const state = states[asked];
      if (state === undefined) return done({ code: 5, details: 'no such service' });
      done(null, state === 0 ? Buffer.alloc(0) : Buffer.from([0x08, state]));
    },
  } as UntypedServiceImplementation);
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    ),
  );
  t.after(() => server.forceShutdown());
  for (const asked of ['true', 'shop.Cart']) {
    const key = asked === 'true' ? '' : asked;
    const proxy = await proxyWith(
      t,
      `endpoints: ["127.0.0.1:${port}"]\n    protocol: h2\n    health: { grpc: ${asked}, ${CHECKED} }`,
    );
    await eventually(() => health(proxy)[0] === 'up', 'the first check');
    states[key] = 2;
    await eventually(() => health(proxy)[0] === 'down', 'NOT_SERVING');
    assert.match(String(told(proxy, 'endpoint is down')[0]!['reason']), /NOT_SERVING/);
    states[key] = 1;
    await eventually(() => health(proxy)[0] === 'up', 'SERVING');
  }
  const unknown = await proxyWith(
    t,
    `endpoints: ["127.0.0.1:${port}"]\n    protocol: h2\n    health: { grpc: shop.Gone, ${CHECKED} }`,
  );
  await eventually(() => health(unknown)[0] === 'down', 'the first check');
  assert.match(String(told(unknown, 'endpoint is down')[0]!['reason']), /grpc-status 5/);
});
