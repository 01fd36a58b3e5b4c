// Routes, rewrites and the replies that need no origin, through the whole proxy.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ask, bodyOf, fieldOf, headLines, reply, replying, request } from '../support/http.ts';
import { startOrigin } from '../support/origin.ts';
import { connectPeer } from '../support/peer.ts';
import { startProxy } from '../support/proxy.ts';

const LAST = 'Connection: close';

function document(a: string, b: string): string {
  return `
listeners:
  web:
    bind: 127.0.0.1:0
    routes:
      - match: { host: "*.wild.example", path: /api/* }
        rewrite:
          path: /v1/*
          setRequest: { x-tenant: wild, x-old: new }
          removeRequest: [cookie]
          setResponse: { x-served: here }
          removeResponse: [server]
        cluster: b
      - match: { path: /pattern/*/end, method: [GET, PUT] }
        cluster: b
      - match: { path: /beta, header: { x-beta: "1" } }
        cluster: b
      - match: { path: /moved/* }
        redirect: { to: /new/*, status: 301 }
      - match: { path: /away }
        redirect: { to: "https://other.example/x" }
      - match: { path: /ok }
        respond: { status: 200, body: fine, headers: { x-kind: fixed } }
      - match: { path: /empty }
        respond: { status: 204 }
      - match: { host: only.example, path: /exact }
        cluster: b
      - match: { host: [a.example, "[::1]"] }
        cluster: a
clusters:
  a: { endpoints: ["${a}"] }
  b: { endpoints: ["${b}"] }
`;
}

test('host, path, method and fields decide which cluster answers', async (t) => {
  const a = await startOrigin(t, replying(reply('from a')));
  const b = await startOrigin(t, replying(reply('from b')));
  const proxy = await startProxy(t, document(a.address, b.address));
  const table: [string, string[], string][] = [
    ['GET /exact', [], 'from a'],
    ['GET /exact', ['Host: only.example'], 'from b'],
    ['GET /exact', ['Host: ONLY.example:99'], 'from b'],
    ['GET /ex%61ct', ['Host: only.example'], 'from b'],
    ['GET /x/../exact', ['Host: only.example'], 'from b'],
    ['GET http://only.example/exact', [], 'from b'],
    ['GET /exact/', ['Host: only.example'], '404'],
    ['GET /pattern/1/end', [], 'from b'],
    ['PUT /pattern/1/end', [], 'from b'],
    ['POST /pattern/1/end', [], 'from a'],
    ['GET /pattern/1/2/end', [], 'from a'],
    ['GET /beta', ['X-Beta: 1'], 'from b'],
    ['GET /beta', ['X-Beta: 2'], 'from a'],
    ['GET /', ['Host: [::1]:80'], 'from a'],
    ['GET /', ['Host: nobody.example'], '404'],
    ['GET /', ['Host: wild.example'], '404'],
  ];
  for (const [line, lines, expected] of table) {
    const text = await ask(t, proxy.port('web'), request(line, [LAST, ...lines]));
    const outcome = text.startsWith('HTTP/1.1 404') ? '404' : bodyOf(text);
    assert.equal(outcome, expected, `${line} ${lines}`);
  }
});

test('a rewrite changes path and fields both ways and keeps the query', async (t) => {
  const origin = await startOrigin(t, replying(reply('hi', '200 OK', ['Server: secret', 'X-Served: there'])));
  const proxy = await startProxy(t, document(origin.address, origin.address));
  const lines = ['Host: one.wild.example', 'X-Old: old', 'Cookie: a', 'Cookie: b', LAST];
  const text = await ask(t, proxy.port('web'), request('GET /api/x%20y?q=%41', lines));
  const seen = origin.peers[0]!.text;
  assert.equal(headLines(seen)[0], 'GET /v1/x%20y?q=%41 HTTP/1.1');
  assert.equal(fieldOf(seen, 'x-tenant'), 'wild');
  assert.equal(fieldOf(seen, 'x-old'), 'new');
  assert.equal(fieldOf(seen, 'Cookie'), null);
  assert.equal(fieldOf(text, 'x-served'), 'here');
  assert.equal(fieldOf(text, 'Server'), null);
  await ask(t, proxy.port('web'), request('GET /api/', lines));
  assert.match(
    seen === origin.peers[0]!.text ? '' : origin.peers[0]!.text.slice(seen.length),
    /^GET \/v1\/ HTTP\/1.1\r\n/,
  );
});

test('redirects keep what the star stood for and the query', async (t) => {
  const proxy = await startProxy(t, document('127.0.0.1:1', '127.0.0.1:1'));
  const moved = await ask(t, proxy.port('web'), request('GET /moved/a/b?c=d', [LAST]));
  assert.equal(headLines(moved)[0], 'HTTP/1.1 301 Moved Permanently');
  assert.equal(fieldOf(moved, 'Location'), '/new/a/b?c=d');
  const away = await ask(t, proxy.port('web'), request('GET /away', [LAST]));
  assert.equal(headLines(away)[0], 'HTTP/1.1 308 Permanent Redirect');
  assert.match(fieldOf(away, 'Location')!, /^https:\/\/other\.example\/x/);
});

test('fixed replies keep the connection, and HEAD gets their head alone', async (t) => {
  const proxy = await startProxy(t, document('127.0.0.1:1', '127.0.0.1:1'));
  const bytes = request('GET /ok') + request('HEAD /ok') + request('GET /empty') + request('GET /ok', [LAST]);
  const text = await ask(t, proxy.port('web'), bytes);
  const replies = text.split(/(?=HTTP\/1\.1 )/);
  assert.deepEqual(
    replies.map((each) => [headLines(each)[0], fieldOf(each, 'Content-Length'), bodyOf(each)]),
    [
      ['HTTP/1.1 200 OK', '4', 'fine'],
      ['HTTP/1.1 200 OK', '4', ''],
      ['HTTP/1.1 204 No Content', null, ''],
      ['HTTP/1.1 200 OK', '4', 'fine'],
    ],
  );
  assert.equal(fieldOf(text, 'x-kind'), 'fixed');
});

test('a local reply reads the request body first and keeps the connection for the next request', async (t) => {
  const proxy = await startProxy(t, document('127.0.0.1:1', '127.0.0.1:1'));
  const small = request('POST /ok', ['Content-Length: 5'], 'hello');
  const chunked = request('POST /ok', ['Transfer-Encoding: chunked'], '5\r\nhello\r\n0\r\n\r\n');
  const large = request('POST /ok', ['Content-Length: 100000'], 'x'.repeat(100_000));
  const text = await ask(t, proxy.port('web'), small + chunked + large + request('GET /ok', [LAST]));
  assert.equal(text.match(/HTTP\/1\.1 200 OK/g)!.length, 4);
  assert.equal(text.match(/Connection: close/g)!.length, 1);
});

test('a local reply to a body that is only announced comes at once', async (t) => {
  const proxy = await startProxy(t, document('127.0.0.1:1', '127.0.0.1:1'));
  const client = await connectPeer(t, proxy.port('web'));
  client.send(request('POST /ok', ['Content-Length: 5', 'Expect: 100-continue']));
  await client.receive('fine');
  assert.doesNotMatch(client.text, /100 Continue/);
});

test('404 and errors for HEAD have no body but its length', async (t) => {
  const proxy = await startProxy(t, document('127.0.0.1:1', '127.0.0.1:1'));
  const text = await ask(t, proxy.port('web'), request('HEAD /', ['Host: nobody.example', LAST]));
  assert.equal(headLines(text)[0], 'HTTP/1.1 404 Not Found');
  assert.ok(Number(fieldOf(text, 'Content-Length')) > 0);
  assert.equal(bodyOf(text), '');
  assert.match(fieldOf(text, 'X-Request-Id')!, /^[0-9a-f]{32}$/);
});

test('405 says what is allowed, 503 when to come back', async (t) => {
  const proxy = await startProxy(t, document('127.0.0.1:1', '127.0.0.1:1'));
  const text = await ask(t, proxy.port('web'), 'CONNECT a.example:443 HTTP/1.1\r\nHost: a.example\r\n\r\n');
  assert.match(fieldOf(text, 'Allow')!, /GET/);
  assert.doesNotMatch(fieldOf(text, 'Allow')!, /CONNECT/);
});

test('bodies above the limit are refused, whether announced or counted', async (t) => {
  const origin = await startOrigin(t);
  const limited = document(origin.address, origin.address).replace(
    'routes:',
    'limits: { bodyBytes: 10B }\n    routes:',
  );
  const proxy = await startProxy(t, limited);
  const announced = await ask(t, proxy.port('web'), request('POST /', ['Content-Length: 11'], 'hello world'));
  assert.match(announced, /^HTTP\/1\.1 413 /);
  const counted = request('POST /', ['Transfer-Encoding: chunked'], '6\r\nhello \r\n5\r\nworld\r\n0\r\n\r\n');
  assert.match(await ask(t, proxy.port('web'), counted), /^HTTP\/1\.1 413 /);
  for (const peer of origin.peers) {
    await peer.receiveAll();
    assert.doesNotMatch(peer.text, /world|0\r\n\r\n/);
  }
  const exact = await connectPeer(t, proxy.port('web'));
  exact.send(request('POST /', ['Content-Length: 10'], '0123456789'));
  const last = await origin.peer(origin.peers.length);
  await last.receive('0123456789');
});
