// The admin API over a real proxy: who may call it, what each path and method answers, and what it changes.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Admin, type AdminCall } from '../support/admin.ts';
import { startConfigured } from '../support/configured.ts';
import { connectPeer } from '../support/peer.ts';
import { eventually, type Millrace, startMillrace, temporaryFolder } from '../support/process.ts';
import { startHttp } from '../support/servers.ts';

const TOKEN = 'correct-horse-battery-staple';

test('requests for another name, of pages of other origins, or of a type that forms can send are refused', async (t) => {
  const { admin, port } = await start(t);
  const get = (fields: AdminCall['fields']) => admin.call({ path: '/v1/status', fields: fields ?? {} });
  const post = (fields: AdminCall['fields']) =>
    admin.call({ method: 'POST', path: '/v1/reload', body: {}, fields: fields ?? {} });
  for (const host of [`127.0.0.1:${port}`, 'localhost', `LOCALHOST:${port}`, '[::1]:80', '127.8.8.8']) {
    assert.equal((await get({ host })).status, 200, host);
  }
  for (const host of ['evil.test', `evil.test:${port}`, '127.0.0.1.evil.test', 'localhost.evil.test', '192.168.0.1']) {
    const { status, body } = await get({ host });
    assert.deepEqual([status, Object.keys(body)], [403, ['error']], host);
  }
  const host = `127.0.0.1:${port}`;
  for (const fields of [
    { origin: 'http://evil.test' },
    { origin: 'null' },
    { origin: `https://127.0.0.1:${port}` },
    { origin: 'http://127.0.0.1:1' },
    { 'sec-fetch-site': 'cross-site' },
    { 'sec-fetch-site': 'same-site' },
    { origin: `http://${host}`, 'sec-fetch-site': 'cross-site' },
  ]) {
    assert.equal((await get({ host, ...fields })).status, 403, JSON.stringify(fields));
    assert.equal((await post({ host, ...fields })).status, 403, JSON.stringify(fields));
  }
  for (const fields of [{ origin: `http://${host}`, 'sec-fetch-site': 'same-origin' }, { 'sec-fetch-site': 'none' }]) {
    assert.equal((await get({ host, ...fields })).status, 200, JSON.stringify(fields));
  }
  for (const type of [
    undefined,
    'text/plain',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=a',
    'application/jsonp',
  ]) {
    assert.equal((await post({ 'content-type': type })).status, 415, type);
  }
  for (const type of ['application/json', 'Application/JSON; charset=utf-8']) {
    assert.equal((await post({ 'content-type': type })).status, 200, type);
  }
  for (const head of ['GET /v1/status HTTP/1.0', 'GET /v1/status HTTP/1.1\r\nHost:\r\nConnection: close']) {
    const peer = await connectPeer(t, port);
    peer.send(`${head}\r\n\r\n`);
    assert.match(await peer.receiveAll(), /^HTTP\/1\.1 403 /, head);
    peer.end();
  }
  assert.equal((await admin.status()).generation, 1, 'none of it has changed anything');
});

test('with a token only who shows it is answered, and neither answers nor log ever hold it', async (t) => {
  const { admin, proxy } = await start(t, `{ bind: "127.0.0.1:0", token: "${TOKEN}" }`);
  const ask = (authorization?: string) => admin.call({ path: '/v1/status', fields: { authorization } });
  for (const wrong of [
    undefined,
    '',
    TOKEN,
    `Basic ${TOKEN}`,
    'Bearer ',
    'Bearer wrong',
    `Bearer ${TOKEN}x`,
    `Bearer ${TOKEN} x`,
  ]) {
    const { status, fields, body } = await ask(wrong);
    assert.deepEqual([status, fields['www-authenticate']], [401, 'Bearer'], wrong);
    assert.doesNotMatch(JSON.stringify(body), /battery/);
  }
  for (const right of [`Bearer ${TOKEN}`, `bearer  ${TOKEN}`]) assert.equal((await ask(right)).status, 200);
  // Nothing about what there is to be had without it.
  assert.equal((await admin.call({ path: '/v1/nothing' })).status, 401);
  const address = await Admin.addressOf(proxy);
  const without = startMillrace(t, ['status', '--admin', address]);
  assert.equal(await without.ended, 1);
  assert.match(without.err, /a token is needed/);
  const wrong = startMillrace(t, ['drain', '--admin', address], { MILLRACE_ADMIN_TOKEN: 'wrong-horse-battery-staple' });
  assert.equal(await wrong.ended, 1);
  const right = startMillrace(t, ['status', '--admin', address], { MILLRACE_ADMIN_TOKEN: TOKEN });
  assert.equal(await right.ended, 0, right.err);
  for (const { out, err } of [without, wrong, right, proxy]) assert.doesNotMatch(out + err, /battery-staple/);
});

test('a token that changes with a reload holds from then on', async (t) => {
  const { admin, configure } = await start(t, `{ bind: "127.0.0.1:0", token: "${TOKEN}" }`);
  const authorized = (token: string) => ({ authorization: `Bearer ${token}` });
  configure(`{ bind: "127.0.0.1:0", token: "another-${TOKEN}" }`);
  const { status } = await admin.call({ method: 'POST', path: '/v1/reload', body: {}, fields: authorized(TOKEN) });
  assert.equal(status, 200);
  assert.equal((await admin.call({ path: '/v1/status', fields: authorized(TOKEN) })).status, 401);
  const { body } = await admin.call({ path: '/v1/status', fields: authorized(`another-${TOKEN}`) });
  assert.equal(body.generation, 2);
  assert.doesNotMatch(JSON.stringify(body), /battery/);
});

test('an admin listener moves to another address with a reload, or stays where it is when that one is taken', async (t) => {
  const { admin, configure } = await start(t);
  const taken = await startHttp(t, 'somebody else');
  configure(`{ bind: "127.0.0.1:${taken}" }`);
  const { status, body } = await admin.post('/v1/reload');
  assert.deepEqual([status, body.error], [409, `admin: 127.0.0.1:${taken}: the address is in use`]);
  assert.equal((await admin.status()).generation, 1);
  const path = join(temporaryFolder(t), 'admin.sock');
  configure(`{ bind: "unix:${path}" }`);
  assert.equal((await admin.post('/v1/reload')).status, 200);
  await assert.rejects(admin.status(), { code: 'ECONNREFUSED' });
  assert.equal((await new Admin(path).status()).generation, 2);
});

test('every path answers its methods and tells of others', async (t) => {
  const { admin } = await start(t);
  for (const path of ['/v1/status', '/v1/ready', '/v1/clusters', '/v1/clusters/api', '/v1/status?pretty=1']) {
    const { status, fields } = await admin.call({ path });
    assert.deepEqual(
      [status, fields['content-type'], fields['cache-control']],
      [200, 'application/json', 'no-store'],
      path,
    );
    const wrong = await admin.call({ method: 'POST', path, body: {} });
    assert.deepEqual([wrong.status, wrong.body], [405, { error: 'POST means nothing here; GET do' }], path);
  }
  for (const path of ['/v1/reload', '/v1/upgrade', '/v1/drain', '/v1/clusters/api/endpoints']) {
    assert.equal((await admin.call({ path })).status, 405, path);
    assert.equal((await admin.call({ method: 'PATCH', path, body: {} })).status, 405, path);
  }
  assert.equal((await admin.call({ path: '/v1/clusters/api/endpoints/127.0.0.1:1' })).status, 405);
  for (const path of [
    '/',
    '/v1',
    '/v1/',
    '/v1/status/',
    '/v2/status',
    '/v1/clusters/',
    '/v1/../v1/nothing',
    '//v1/status',
  ]) {
    const { status, body } = await admin.call({ path });
    assert.equal(status, 404, `${path} ${JSON.stringify(body)}`);
  }
  assert.deepEqual((await admin.call({ path: '/v1/clusters/none' })).body, { error: 'there is no cluster "none"' });
  assert.equal((await admin.call({ path: '/v1/clusters/%ff' })).status, 400);
  assert.equal((await admin.call({ method: 'OPTIONS', path: '/v1/status' })).status, 405);
});

test('bodies that are too long, not JSON, or not what a path wants change nothing', async (t) => {
  const { admin } = await start(t);
  const post = (body: string, path = '/v1/reload') => admin.call({ method: 'POST', path, body });
  assert.equal((await post('{"plan": tru')).status, 400);
  assert.deepEqual((await post('nonsense')).body, { error: 'the body is not JSON' });
  const long = await post(`{"plan": "${'x'.repeat(70_000)}"}`);
  assert.deepEqual([long.status, long.fields.connection], [413, 'close']);
  for (const body of ['{"plan": 1}', '{"plan": true, "force": true}', '{"paln": true}']) {
    assert.equal((await post(body)).status, 422, body);
  }
  for (const body of [
    'null',
    '[]',
    '{}',
    '1',
    '"127.0.0.1"',
    '{"address": "127.0.0.1:99999"}',
    '{"address": "127.0.0.1:1", "wieght": 2}',
  ]) {
    const { status, body: answer } = await post(body, '/v1/clusters/api/endpoints');
    assert.deepEqual([status, Object.keys(answer)], [422, ['error']], body);
  }
  const name = (await admin.call({ path: '/v1/clusters/api' })).body.endpoints[0].address;
  for (const body of [
    'null',
    '[]',
    '{}',
    '{"weight": 0}',
    '{"weight": 1.5}',
    '{"weight": "2"}',
    '{"weight": 257}',
    '{"draining": 1}',
    '{"address": "x"}',
  ]) {
    const { status } = await admin.call({ method: 'PATCH', path: `/v1/clusters/api/endpoints/${name}`, body });
    assert.equal(status, 422, body);
  }
  // A body that never ends is given up, and so is a head.
  assert.equal((await admin.status()).generation, 1);
});

test('what cannot be read as HTTP is answered and closed, and the API goes on', async (t) => {
  const { admin, port } = await start(t);
  for (const bytes of [
    '\x16\x03\x01\x02\x00\x01',
    'GET /v1/status\r\n\r\n',
    `GET /${'x'.repeat(20_000)} HTTP/1.1\r\nHost: localhost\r\n\r\n`,
    'GET * HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n',
    'GET http://[ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n',
  ]) {
    const peer = await connectPeer(t, port);
    peer.send(bytes);
    assert.match(await peer.receiveAll(), /^HTTP\/1\.1 [45]\d\d /, JSON.stringify(bytes.slice(0, 40)));
    peer.end();
  }
  const many = Array.from({ length: 100 }, () => connect(port, '127.0.0.1').on('error', () => {}));
  t.after(() => {
    for (const socket of many) socket.destroy();
  });
  await Promise.all(many.map((socket) => once(socket, 'connect').catch(() => {})));
  for (const socket of many) socket.destroy();
  // While those that are gone still count, one more is one too many.
  const serves = async (): Promise<boolean> =>
    admin.status().then(
      ({ state }) => state === 'serving',
      () => false,
    );
  await eventually(serves, 'an answer');
});

test('endpoints are added, weighed, drained and taken out, in all event loops, and a reload leaves it so', async (t) => {
  const [one, two, three] = [await startHttp(t, 'one'), await startHttp(t, 'two'), await startHttp(t, 'three')];
  const { admin, proxy, configure } = await start(t, undefined, [one, two]);
  const port = await proxy.port('web');
  const path = (origin: number): string => `/v1/clusters/api/endpoints/127.0.0.1:${origin}`;
  assert.deepEqual(await served(port), ['one', 'two']);

  const added = await admin.post('/v1/clusters/api/endpoints', { address: `127.0.0.1:${three}`, weight: 3 });
  assert.deepEqual([added.status, added.body.address, added.body.weight], [201, `127.0.0.1:${three}`, 3]);
  assert.equal((await admin.post('/v1/clusters/api/endpoints', `"127.0.0.1:${three}"`)).status, 409);
  assert.equal((await admin.post('/v1/clusters/none/endpoints', `"127.0.0.1:${three}"`)).status, 404);
  assert.deepEqual(await served(port), ['one', 'three', 'two']);

  const drained = await admin.call({ method: 'PATCH', path: path(one), body: { draining: true } });
  assert.deepEqual([drained.status, drained.body.state], [200, 'draining']);
  const weighed = await admin.call({ method: 'PATCH', path: path(three), body: { weight: 7 } });
  assert.deepEqual([weighed.status, weighed.body.weight, weighed.body.state], [200, 7, 'up']);
  assert.deepEqual(await served(port), ['three', 'two']);
  const removed = await admin.call({ method: 'DELETE', path: path(two) });
  assert.deepEqual([removed.status, removed.body], [200, { removed: `127.0.0.1:${two}` }]);
  assert.equal((await admin.call({ method: 'DELETE', path: path(two) })).status, 404);
  assert.equal((await admin.call({ method: 'PATCH', path: path(two), body: { weight: 2 } })).status, 404);
  assert.equal((await admin.call({ method: 'DELETE', path: '/v1/clusters/none/endpoints/127.0.0.1:1' })).status, 404);
  assert.deepEqual(await served(port), ['three']);

  const known = async () =>
    (await admin.call({ path: '/v1/clusters/api' })).body.endpoints.map(
      ({ address, weight, state }: Record<string, unknown>) => [address, weight, state],
    );
  const expected = [
    [`127.0.0.1:${one}`, 1, 'draining'],
    [`127.0.0.1:${three}`, 7, 'up'],
  ];
  assert.deepEqual(sorted(await known()), sorted(expected));
  // Numbers in place, and a pool that makes it begin anew.
  for (const more of ['timeouts: { response: 11s }', 'pool: { idle: 7 }']) {
    configure(undefined, more);
    assert.equal((await admin.post('/v1/reload')).status, 200);
    assert.deepEqual(sorted(await known()), sorted(expected), more);
    assert.deepEqual(await served(port), ['three'], more);
  }
  assert.equal((await admin.call({ method: 'PATCH', path: path(one), body: { draining: false } })).status, 200);
  assert.deepEqual(await served(port), ['one', 'three']);
});

test('status counts event loops, connections, generations and time, and its exchanges add up', async (t) => {
  const origin = await startHttp(t, 'origin');
  const { admin, proxy, configure } = await start(t, undefined, [origin]);
  const port = await proxy.port('web');
  const clients = await Promise.all(Array.from({ length: 20 }, () => connectPeer(t, port)));
  for (const client of clients) {
    client.send('GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n');
    await client.receive(/origin[\s\S]*origin/);
  }
  configure(undefined, 'timeouts: { response: 12s }');
  const plan = await admin.post('/v1/reload', { plan: true });
  assert.deepEqual(
    plan.body.changes.map(({ kind, name, what, keys }: Record<string, unknown>) => [kind, name, what, keys]),
    [['cluster', 'api', 'changed', ['timeouts']]],
  );
  assert.match(plan.body.changes[0].effect, /keeps its connections/);
  assert.equal(plan.body.generation, 1);
  assert.equal((await admin.post('/v1/reload')).body.generation, 2);
  const status = await admin.status();
  assert.deepEqual(
    [status.pid, status.state, status.generation, status.reloadFault, status.connections],
    [proxy.pid, 'serving', 2, '', 20],
  );
  assert.ok(Number.isInteger(status.uptimeS) && status.uptimeS >= 0);
  assert.match(status.configured, /^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
  assert.equal(status.workers.length, 2);
  assert.equal(
    status.workers.reduce((sum, { connections }) => sum + connections, 0),
    20,
  );
  assert.ok(
    status.workers.every(({ state, restarts, heapBytes }) => state === 'serving' && restarts === 0 && heapBytes > 0),
  );
  const [listener] = status.listeners;
  assert.deepEqual(
    [listener!.name, listener!.connections, listener!.accepted, listener!.refused, listener!.exchanges],
    ['web', 20, 20, 0, 40],
  );
  assert.deepEqual(listener!.addresses, [`127.0.0.1:${port}`]);
  const { body: clusters } = await admin.call({ path: '/v1/clusters' });
  assert.equal(clusters[0].endpoints[0].exchanges, 40);
  const address = await Admin.addressOf(proxy);
  const shown = startMillrace(t, ['status', '--admin', address]);
  assert.equal(await shown.ended, 0, shown.err);
  assert.match(
    shown.out,
    /^millrace \S+, process \d+: serving for \d+s[^\n]*, 20 connections open\nconfiguration 2, since /,
  );
  assert.match(shown.out, /\n +0 +serving [^\n]*\n +1 +serving /);
  assert.match(shown.out, new RegExp(`\\nweb +127\\.0\\.0\\.1:${port} +20 +20 +0 +40\\n`));
  assert.equal((await admin.post('/v1/upgrade', 'x')).status, 400, 'nothing is begun by a body that is not JSON');
});

interface Started {
  readonly admin: Admin;
  readonly port: number;
  readonly proxy: Millrace;
  /** Another configuration, for a reload. */
  configure(admin?: string, cluster?: string): void;
}

async function start(t: TestContext, admin = '{ bind: "127.0.0.1:0" }', origins = [1]): Promise<Started> {
  const document = (options = admin, cluster = ''): string => `
workers: 2
admin: ${options}
listeners: { web: { bind: "127.0.0.1:0", cluster: api } }
clusters:
  api:
    endpoints: [${origins.map((port) => `"127.0.0.1:${port}"`)}]
    ${cluster}
`;
  const { proxy, configure } = startConfigured(t, document());
  const address = await Admin.addressOf(proxy);
  const port = Number(address.slice(address.lastIndexOf(':') + 1));
  await proxy.port('web');
  return {
    admin: new Admin(port),
    port,
    proxy,
    configure: (options, cluster) => configure(document(options, cluster)),
  };
}

function sorted(rows: readonly unknown[][]): unknown[][] {
  return [...rows].sort((a, b) => (String(a) < String(b) ? -1 : 1));
}

/** Who answers, over connections enough that every event loop has had some. */
async function served(port: number): Promise<string[]> {
  const answers = Array.from({ length: 32 }, async () =>
    (await fetch(`http://127.0.0.1:${port}/`, { headers: { connection: 'close' } })).text(),
  );
  return [...new Set(await Promise.all(answers))].sort();
}
