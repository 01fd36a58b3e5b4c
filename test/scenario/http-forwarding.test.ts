// What a request and a reply become on their way through: hop-by-hop fields, the fields that name the client, Host,
// paths and routes.

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { ask, bodyOf, fieldOf, headLines, reply, replying, request } from '../support/http.ts';
import { startOrigin } from '../support/origin.ts';
import { httpTo, startProxy } from '../support/proxy.ts';

/** What the origin gets for `bytes`, and what the client gets for `answer`. */
async function pass(
  t: TestContext,
  bytes: string,
  { listener = '', cluster = '', answer = reply('hi'), port = '' } = {},
): Promise<{ seen: string; got: string; port: number }> {
  const origin = await startOrigin(t, replying(answer));
  const endpoint = port === '' ? origin.address : port.replace('PORT', String(origin.port));
  const proxy = await startProxy(t, httpTo([endpoint], listener, cluster));
  const got = await ask(t, proxy.port('web'), bytes);
  return { seen: origin.peers[0]?.text ?? '', got, port: origin.port };
}

const LAST = 'Connection: close';

test('hop-by-hop fields and those named in Connection are dropped on the way to the origin', async (t) => {
  const { seen } = await pass(
    t,
    request('GET /', [
      'X-First: 1',
      'Connection: close, X-Private , x-Second-Private',
      'Keep-Alive: timeout=5',
      'X-Private: 1',
      'Proxy-Connection: keep-alive',
      'x-second-private: 1',
      'Proxy-Authorization: Basic eA==',
      'TE: gzip',
      'Upgrade: x',
      'HTTP2-Settings: AAA',
      'X-Last: 1',
    ]),
  );
  assert.deepEqual(
    headLines(seen)
      .map((line) => line.split(':')[0])
      .filter((name) => !/^(X-Forwarded-|X-Request-Id)/.test(name!)),
    ['GET / HTTP/1.1', 'Host', 'X-First', 'X-Last', 'Via'],
  );
});

test('hop-by-hop fields and those named in Connection are dropped on the way to the client', async (t) => {
  const answer = [
    'HTTP/1.1 200 Fine',
    'X-First: 1',
    'Connection: X-Private, keep-alive',
    'X-Private: 1',
    'Keep-Alive: timeout=5',
    'Proxy-Connection: close',
    'Upgrade: h2c',
    'Trailer: X-T',
    'Set-Cookie: a=1',
    'Set-Cookie: b=2',
    'Date: Sun, 06 Nov 1994 08:49:37 GMT',
    'Content-Length: 2',
    '',
    'hi',
  ].join('\r\n');
  const { got } = await pass(t, request('GET /', [LAST]), { answer });
  assert.deepEqual(headLines(got), [
    'HTTP/1.1 200 Fine',
    'X-First: 1',
    'Trailer: X-T',
    'Set-Cookie: a=1',
    'Set-Cookie: b=2',
    'Date: Sun, 06 Nov 1994 08:49:37 GMT',
    'Content-Length: 2',
    'Connection: close',
  ]);
});

test('naming framing or routing fields in Connection does not remove them', async (t) => {
  const { seen } = await pass(
    t,
    request('POST /', ['Connection: close, host, content-length', 'Content-Length: 3'], 'abc'),
  );
  assert.equal(fieldOf(seen, 'Host'), 'a.example');
  assert.equal(fieldOf(seen, 'Content-Length'), '3');
  assert.equal(bodyOf(seen), 'abc');
});

test('TE: trailers goes on, and nothing else of TE', async (t) => {
  const { seen } = await pass(t, request('GET /', ['Connection: close, TE', 'TE: deflate;q=0.5, Trailers']));
  assert.equal(fieldOf(seen, 'TE'), 'trailers');
  assert.equal(fieldOf(seen, 'Connection'), 'TE');
});

test('a reply without Date gets one, and an interim one does not', async (t) => {
  const { got } = await pass(t, request('GET /', [LAST]), {
    answer: `HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n${reply('hi')}`,
  });
  const [interim, final] = got.split(/\r\n\r\n(?=HTTP)/);
  assert.deepEqual(interim!.split('\r\n'), ['HTTP/1.1 103 Early Hints', 'Link: </a>']);
  assert.match(fieldOf(final!, 'Date')!, /^\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT$/);
});

const CLAIMS = [
  'X-Forwarded-For: 192.0.2.1',
  'X-Forwarded-Proto: https',
  'X-Forwarded-Host: claimed.example',
  'Forwarded: for=192.0.2.1;proto=https',
];
const TRUSTED = 'trustedProxies: [127.0.0.0/8]';

// Per mode: X-Forwarded-For, -Proto, -Host and Forwarded as the origin sees them when a client makes claims.
const OURS = 'for=127.0.0.1;host="a.example";proto=http';
const MODES = [
  ['auto', 'auto', false, '127.0.0.1', 'http', 'a.example', OURS],
  ['auto', 'auto', true, '192.0.2.1, 127.0.0.1', 'https', 'claimed.example', `for=192.0.2.1;proto=https, ${OURS}`],
  ['replace', 'replace', false, '127.0.0.1', 'http', 'a.example', OURS],
  ['replace', 'replace', true, '127.0.0.1', 'http', 'a.example', OURS],
  ['append', 'append', false, '192.0.2.1, 127.0.0.1', 'http', 'a.example', `for=192.0.2.1;proto=https, ${OURS}`],
  ['append', 'append', true, '192.0.2.1, 127.0.0.1', 'https', 'claimed.example', `for=192.0.2.1;proto=https, ${OURS}`],
  ['off', 'off', true, '192.0.2.1', 'https', 'claimed.example', 'for=192.0.2.1;proto=https'],
  ['off', 'off', false, null, null, null, null],
  ['auto', 'off', false, '127.0.0.1', 'http', 'a.example', null],
] as const;

for (const [xForwarded, standard, trusted, address, scheme, host, forwarded] of MODES) {
  const who = trusted ? 'a trusted proxy' : 'anybody';
  test(`X-Forwarded ${xForwarded} and Forwarded ${standard} treat the claims of ${who} as they say`, async (t) => {
    const listener = `${trusted ? TRUSTED : ''}\nforwarded: { xForwarded: "${xForwarded}", standard: "${standard}" }`;
    const { seen } = await pass(t, request('GET /', [LAST, ...CLAIMS]), { listener });
    assert.equal(fieldOf(seen, 'X-Forwarded-For'), address);
    assert.equal(fieldOf(seen, 'X-Forwarded-Proto'), scheme);
    assert.equal(fieldOf(seen, 'X-Forwarded-Host'), host);
    assert.equal(fieldOf(seen, 'Forwarded'), forwarded);
  });
}

test('without claims every mode but off names the client', async (t) => {
  for (const mode of ['auto', 'append', 'replace']) {
    const listener = `${TRUSTED}\nforwarded: { xForwarded: ${mode}, standard: ${mode} }`;
    const { seen } = await pass(t, request('GET /', [LAST]), { listener });
    assert.equal(fieldOf(seen, 'X-Forwarded-For'), '127.0.0.1', mode);
    assert.equal(fieldOf(seen, 'X-Forwarded-Proto'), 'http', mode);
    assert.equal(fieldOf(seen, 'X-Forwarded-Host'), 'a.example', mode);
    assert.equal(fieldOf(seen, 'Forwarded'), OURS, mode);
  }
});

test('several lines of a trusted proxy become one list', async (t) => {
  const { seen } = await pass(t, request('GET /', [LAST, 'X-Forwarded-For: 192.0.2.1', 'x-forwarded-for: 192.0.2.2']), {
    listener: TRUSTED,
  });
  assert.equal(fieldOf(seen, 'X-Forwarded-For'), '192.0.2.1, 192.0.2.2, 127.0.0.1');
});

test('names with underscores cannot pass for the fields that name the client', async (t) => {
  const { seen } = await pass(
    t,
    request('GET /', [
      LAST,
      'X_Forwarded_For: 192.0.2.1',
      'X-Forwarded_Proto: https',
      'x_forwarded-host: b',
      'X_Request_Id: mine',
      'Keep_Alive: 1',
      'X_Kept: 1',
    ]),
  );
  assert.doesNotMatch(seen, /192\.0\.2\.1|https|_forwarded|_Request|Keep_/i);
  assert.equal(fieldOf(seen, 'X_Kept'), '1');
});

test('an IPv6 client is written bare in X-Forwarded-For and in quotes in Forwarded', async (t) => {
  const { seen } = await pass(t, `PROXY TCP6 2001:db8::7 ::1 4000 80\r\n${request('GET /', [LAST])}`, {
    listener: `${TRUSTED}\nproxyProtocol: require\nforwarded: { standard: auto }`,
  });
  assert.equal(fieldOf(seen, 'X-Forwarded-For'), '2001:db8::7');
  assert.equal(fieldOf(seen, 'Forwarded'), 'for="[2001:db8::7]";host="a.example";proto=http');
});

test('Via is added to what others have said, or left out when told so', async (t) => {
  const { seen } = await pass(t, request('GET /', [LAST, 'Via: 1.0 first']));
  assert.equal(fieldOf(seen, 'Via'), '1.0 first|1.1 millrace');
  const old = await pass(t, 'GET / HTTP/1.0\r\n\r\n');
  assert.equal(fieldOf(old.seen, 'Via'), '1.0 millrace', 'the version in which it was received');
  const without = await pass(t, request('GET /', [LAST, 'Via: 1.0 first']), { listener: 'forwarded: { via: false }' });
  assert.equal(fieldOf(without.seen, 'Via'), '1.0 first');
});

test('X-Request-Id is made for anybody, kept from a trusted proxy, always made, or left alone', async (t) => {
  const mine = request('GET /', [LAST, 'X-Request-Id: mine']);
  const none = request('GET /', [LAST]);
  const made = /^[0-9a-f]{32}$/;
  const id = async (bytes: string, listener: string): Promise<string> =>
    fieldOf((await pass(t, bytes, { listener })).seen, 'X-Request-Id') ?? 'none';
  assert.match(await id(mine, ''), made);
  assert.equal(await id(mine, TRUSTED), 'mine');
  assert.match(await id(none, TRUSTED), made);
  assert.match(await id(mine, `${TRUSTED}\nforwarded: { requestId: replace }`), made);
  assert.equal(await id(mine, 'forwarded: { requestId: "off" }'), 'mine');
  assert.equal(await id(none, 'forwarded: { requestId: "off" }'), 'none');
});

test('Host is the client’s, the endpoint’s or a fixed one, as the cluster says', async (t) => {
  const bytes = request('GET /', [LAST, 'Host: a.example:8080']);
  const host = async (cluster: string, more = {}): Promise<[string | null, number]> => {
    const { seen, port } = await pass(t, bytes, { cluster, ...more });
    return [fieldOf(seen, 'Host'), port];
  };
  assert.equal((await host(''))[0], 'a.example:8080');
  assert.equal((await host('host: b.example'))[0], 'b.example');
  const [name, port] = await host('host: endpoint');
  assert.equal(name, `127.0.0.1:${port}`);
  const [short, shortPort] = await host('host: endpoint', { port: ':PORT' });
  assert.equal(short, `localhost:${shortPort}`, 'an endpoint without a host is this machine');
});

test('a rewritten Host wins over the cluster’s', async (t) => {
  const origin = await startOrigin(t, replying(reply('hi')));
  const document = httpTo([origin.address], '', 'host: b.example').replace(
    '{ cluster: api }',
    '{ cluster: api, rewrite: { host: "c.example" } }',
  );
  const proxy = await startProxy(t, document);
  await ask(t, proxy.port('web'), request('GET /', [LAST]));
  assert.equal(fieldOf(origin.peers[0]!.text, 'Host'), 'c.example');
});

test('the authority of an absolute target wins over Host', async (t) => {
  const { seen } = await pass(t, request('GET http://abs.example:81/x?y', [LAST]), {
    listener: 'forwarded: { standard: auto }',
  });
  assert.equal(headLines(seen)[0], 'GET /x?y HTTP/1.1');
  assert.equal(fieldOf(seen, 'Host'), 'abs.example:81');
  assert.equal(fieldOf(seen, 'X-Forwarded-Host'), 'abs.example:81');
  assert.equal(fieldOf(seen, 'Forwarded'), 'for=127.0.0.1;host="abs.example:81";proto=http');
});

test('an HTTP/1.0 request without Host gets the endpoint’s', async (t) => {
  const { seen, port } = await pass(t, 'GET /x HTTP/1.0\r\nX-A: 1\r\n\r\n');
  assert.equal(headLines(seen)[0], 'GET /x HTTP/1.1');
  assert.equal(headLines(seen)[1], `Host: 127.0.0.1:${port}`);
  assert.equal(fieldOf(seen, 'X-Forwarded-Host'), null);
  const absolute = await pass(t, 'GET http://abs.example/x HTTP/1.0\r\n\r\n');
  assert.equal(fieldOf(absolute.seen, 'Host'), 'abs.example');
});

const TARGETS = [
  ['/a/b', '/a/b'],
  ['/a/./b/../c', '/a/c'],
  ['/a/%2e%2E/b', '/b'],
  ['/%41%7e%2f%3a', '/A~%2F%3A'],
  ['/a//b', '/a//b'],
  ['/a;p=1/b', '/a;p=1/b'],
  ['/?', '/?'],
  ['/a?b=%2e%2e/../%zz&c=%00?#'.slice(0, -1), '/a?b=%2e%2e/../%zz&c=%00?'],
  ['/a/%2e?x=%41', '/a/?x=%41'],
  ['http://a.example', '/'],
  ['http://a.example?b', '/?b'],
  ['HTTP://a.example/%61', '/a'],
] as const;

test('paths are normalised before they are forwarded and queries stay byte for byte', async (t) => {
  for (const [given, expected] of TARGETS) {
    const { seen } = await pass(t, request(`GET ${given}`, [LAST]));
    assert.equal(headLines(seen)[0], `GET ${expected} HTTP/1.1`, given);
  }
});

test('OPTIONS reaches the origin with its asterisk', async (t) => {
  for (const target of ['*', 'http://a.example']) {
    const { seen } = await pass(t, request(`OPTIONS ${target}`, [LAST]));
    assert.equal(headLines(seen)[0], 'OPTIONS * HTTP/1.1', target);
  }
});

test('fields are passed on with their case, order, blanks and bytes', async (t) => {
  const odd = ['x-ODD:   a  b\t', 'X-Empty:', 'X-Bytes: \xfc\x80', 'x-odd: c', 'Accept: */*'];
  const { seen } = await pass(t, request('GET /', [...odd, LAST]));
  assert.deepEqual(headLines(seen).slice(2, 2 + odd.length), odd);
});

test('every method the parser knows is passed on as it came', async (t) => {
  for (const method of ['DELETE', 'PATCH', 'PROPFIND', 'M-SEARCH', 'QUERY', 'TRACE', 'PURGE']) {
    const { seen } = await pass(t, request(`${method} /`, [LAST]));
    assert.equal(headLines(seen)[0], `${method} / HTTP/1.1`);
  }
});

test('a last field without a value does not end the head early', async (t) => {
  for (const last of ['X-Empty:', 'X-Empty: \t ']) {
    const { seen, got } = await pass(t, request('GET /', [LAST, last]), {
      answer: 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Nothing:\r\n\r\nhi',
    });
    assert.equal(seen.indexOf('\r\n\r\n'), seen.length - 4);
    assert.equal(fieldOf(seen, 'X-Empty'), '');
    assert.match(fieldOf(seen, 'X-Request-Id')!, /^[0-9a-f]{32}$/);
    assert.equal(fieldOf(got, 'X-Nothing'), '');
    assert.match(fieldOf(got, 'Date')!, /GMT$/);
    assert.equal(bodyOf(got), 'hi');
  }
});
