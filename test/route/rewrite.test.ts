import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { checkFieldLines } from '../../lib/route/field-edits.ts';
import type { MatchOptions, RewriteOptions } from '../../lib/route/options.ts';
import { checkRedirect, compileRedirect } from '../../lib/route/redirect.ts';
import { checkRewrite, compileRewrite, PathOutcome } from '../../lib/route/rewrite.ts';
import { queryOf } from './query.ts';

/** The new path, or the outcome; also makes sure that nothing outside of the room asked for is written. */
function rewritten(from: string | readonly string[] | undefined, to: string, path: string): string | number {
  const match = from === undefined ? undefined : { path: [from].flat() };
  const rewrite = compileRewrite(match, { path: to }).path!;
  const bytes = Buffer.from(`>${path}<`, 'latin1');
  const room = rewrite.roomBytes(path.length);
  const out = Buffer.alloc(room + 7, 0xee);
  const length = rewrite.write(bytes, 1, 1 + path.length, out.subarray(0, room + 5), 5);
  assert.deepEqual([...out.subarray(0, 5), ...out.subarray(room + 5)], new Array(7).fill(0xee));
  return length < 0 ? length : out.toString('latin1', 5, 5 + length);
}

test('a rewritten path keeps the rest after a prefix, or what each star stood for', () => {
  const cases: [string | string[] | undefined, string, string, string | number][] = [
    ['/api/*', '/v1/*', '/api/x/y', '/v1/x/y'],
    ['/api/*', '/v1/*', '/api', '/v1'],
    ['/api/*', '/v1/*', '/api/', '/v1/'],
    ['/api/*', '/v1/*', '/api//x', '/v1//x'],
    ['/api/*', '/*', '/api/x', '/x'],
    ['/api/*', '/*', '/api', '/'],
    ['/api/*', '/*', '/api/', '/'],
    ['/*', '/v1/*', '/', '/v1/'],
    ['/*', '/v1/*', '/x%2Fy', '/v1/x%2Fy'],
    [undefined, '/v1/*', '/x', '/v1/x'],
    ['/api/*', '/v1/x-*', '/api/a/b', '/v1/x-a/b'],
    ['/api/*', '/v1/*/end', '/api/a', '/v1/a/end'],
    ['/api/*', '/v1/*/end', '/api', '/v1//end'],
    ['/users/*/avatar', '/avatars/*', '/users/17/avatar', '/avatars/17'],
    ['/users/*/avatar', '/avatars/*', '/users//avatar', '/avatars/'],
    ['/users/*/avatar', '/avatars/*.png', '/users/17/avatar', '/avatars/17.png'],
    ['/users/*/files/*', '/files/*/*', '/users/17/files/a/b', '/files/17/a/b'],
    ['/users/*/files/*', '/files/*/*', '/users/17/files', '/files/17'],
    ['/users/*/files/*', '/of/*', '/users/17/files/a/b', '/of/17'],
    ['/a-*-b-*', '/*/*', '/a-1-b-2-b-3', '/1/2-b-3'],
    ['/*.css', '/css/*', '/site.min.css', '/css/site.min'],
    [['/a/*', '/b/*'], '/c/*', '/b/x', '/c/x'],
    [['/a/*/z', '/b/*'], '/c/*', '/b/x/y', '/c/x/y'],
    [['/a/*/z', '/b/*'], '/c/*', '/a/x/z', '/c/x'],
    ['/a/*', '/constant', '/a/b', '/constant'],
    ['/a/*', '/caf%C3%A9/*', '/a/%e4', '/caf%C3%A9/%e4'],
    ['/a/*', '/é /*', '/a/b', '/%C3%A9%20/b'],
  ];
  for (const [from, to, path, expected] of cases) {
    assert.equal(rewritten(from, to, path), expected, `${from} > ${to} on ${path}`);
  }
});

test('a path that a rewrite does not change, does not match or that is none is kept', () => {
  assert.equal(rewritten('/api/*', '/api/*', '/api/x'), PathOutcome.KEPT);
  assert.equal(rewritten('/*', '/*', '/x'), PathOutcome.KEPT);
  assert.equal(rewritten('/a', '/a', '/a'), PathOutcome.KEPT);
  assert.equal(rewritten('/a/*', '/b/*', '/c'), PathOutcome.KEPT);
  assert.equal(rewritten('/*', '/v1/*', '*'), PathOutcome.KEPT, 'OPTIONS * is not a path');
});

test('a rewrite never makes a dot segment, a space or a control character', () => {
  assert.equal(rewritten('/f-*', '/files/*', '/f-..'), PathOutcome.UNSAFE);
  assert.equal(rewritten('/f-*', '/files/*/x', '/f-%2e.'), PathOutcome.UNSAFE);
  assert.equal(rewritten('/f-*', '/files/*', '/f-.'), PathOutcome.UNSAFE);
  assert.equal(rewritten('/a*', '/x/.*', '/a.'), PathOutcome.UNSAFE);
  assert.equal(rewritten('/f-*', '/files/*', '/f-...'), '/files/...');
  assert.equal(rewritten('/f-*', '/files/*', '/f-..a'), '/files/..a');
  for (const byte of ['\r', '\n', '\0', ' ', '\x7f', '\t']) {
    assert.equal(rewritten('/a/*', '/b/*', `/a/x${byte}y`), PathOutcome.UNSAFE);
  }
  fc.assert(
    fc.property(
      fc.constantFrom('/a/*', '/*', '/*/b/*', '/a*c', '/*-*'),
      fc.constantFrom('/v/*', '/*', '/*x', '/x*', '/*/*', '/.*'),
      fc.string({ unit: fc.constantFrom('a', 'b', 'c', '/', '.', '-', '%2e', ' ', '\r', '\n', '\0'), maxLength: 12 }),
      (from, to, path) => {
        if (checkRewrite({ path: [from] }, { path: to }).length > 0) return;
        const result = rewritten(from, to, `/${path}`);
        if (typeof result === 'string') assert.match(result, /^\/[^\0-\x20\x7f]*$/);
      },
    ),
  );
});

test('a new path that does not fit is refused before anything is written', () => {
  const rewrite = compileRewrite({ path: ['/a/*'] }, { path: '/longer/*' }).path!;
  const path = Buffer.from('/a/x');
  const out = Buffer.alloc(rewrite.roomBytes(path.length) - 1, 0xee);
  assert.equal(rewrite.write(path, 0, path.length, out, 0), PathOutcome.TOO_LONG);
  assert.ok(out.every((byte) => byte === 0xee));
  assert.equal(rewrite.write(path, 0, path.length, out, out.length), PathOutcome.TOO_LONG);
});

test('a path may be rewritten within one buffer', () => {
  const rewrite = compileRewrite({ path: ['/a/*'] }, { path: '/b/c/*' }).path!;
  const bytes = Buffer.alloc(600);
  const path = `/a/${'x'.repeat(200)}`;
  bytes.write(path, 10, 'latin1');
  const length = rewrite.write(bytes, 10, 10 + path.length, bytes, 300);
  assert.equal(bytes.toString('latin1', 300, 300 + length), `/b/c/${'x'.repeat(200)}`);
});

test('host and fields of a rewrite are carried as data, and what is not asked for is null', () => {
  const rewrite = compileRewrite(undefined, {
    host: 'origin.test:8080',
    setRequest: { 'X-Tenant': 'a', 'x-u': 'ü' },
    removeRequest: ['Cookie', 'x-tenant'],
    removeResponse: ['Server'],
  });
  assert.equal(rewrite.path, null);
  assert.equal(rewrite.host?.toString(), 'origin.test:8080');
  assert.deepEqual(
    rewrite.request?.drop.map(String),
    ['X-Tenant', 'x-u', 'Cookie'].map((name) => name.toLowerCase()),
  );
  assert.equal(rewrite.request?.lines.toString(), 'X-Tenant: a\r\nx-u: ü\r\n');
  assert.deepEqual(rewrite.response?.drop.map(String), ['server']);
  assert.equal(rewrite.response?.lines.length, 0);
  const nothing = compileRewrite(undefined, { setRequest: {}, removeRequest: [] });
  assert.deepEqual(nothing, { path: null, host: null, request: null, response: null });
});

test('a sound rewrite passes, and every fault of one is said in words', () => {
  const api = { path: ['/api/*'] };
  const sound: [MatchOptions | undefined, RewriteOptions][] = [
    [api, { path: '/v1/*', setRequest: { 'x-tenant': 'a b\tc' }, removeResponse: ['server'] }],
    [undefined, { path: '/v1/*' }],
    [{ path: ['/a', '/b/*'] }, { path: '/constant' }],
    [{ path: ['/a/*', '/b/*'] }, { path: '/c/*' }],
    [undefined, { host: 'origin.test' }],
    [undefined, { host: '[::1]:80' }],
    [undefined, { host: '[2001:db8::1]' }],
  ];
  for (const [match, rewrite] of sound) assert.deepEqual(checkRewrite(match, rewrite), []);
  const cases: [MatchOptions | undefined, RewriteOptions, string, RegExp][] = [
    [api, { path: 'v1' }, 'path "v1":', /begins with "\/"/],
    [api, { path: '/v1?x' }, 'path "/v1?x":', /query/],
    [api, { path: '/{path}' }, 'path "/{path}":', /placeholders.*redirects/],
    [api, { path: 'http://a/' }, 'path "http://a/":', /use a redirect/],
    [api, { path: '//a/' }, 'path "//a/":', /use a redirect/],
    [api, { path: '/a\r\nb' }, 'path "/a', /percent-encoded/],
    [api, { path: '/*/*' }, 'path "/*/*":', /has 2 "\*" but the matched path has 1/],
    [{ path: ['/a'] }, { path: '/b/*' }, 'path "/b/*":', /has 1 "\*" but the matched path has 0/],
    [
      { path: ['/a/*', '/b/*/*'] },
      { path: '/c/*' },
      'path "/c/*":',
      /different numbers.*"\/a\/\*" has 1, "\/b\/\*\/\*" has 2/,
    ],
    [undefined, { host: '*.test' }, 'host "*.test":', /one host/],
    [undefined, { host: 'a b' }, 'host "a b":', /not a host name/],
    [undefined, { host: 'a:99999' }, 'host "a:99999":', /0 to 65535/],
    [undefined, { host: 'a/b:80' }, 'host "a/b:80":', /without a path/],
    [undefined, { setRequest: { 'x a': '1' } }, 'setRequest "x a":', /letters, digits/],
    [undefined, { setRequest: { 'x-a': '1\r\nx: y' } }, 'setRequest "x-a":', /line break/],
    [undefined, { setResponse: { 'x-a': '1\0' } }, 'setResponse "x-a":', /control character/],
    [undefined, { setResponse: { 'X-A': '1', 'x-a': '2' } }, 'setResponse "x-a":', /there twice/],
    [undefined, { removeRequest: ['a:'] }, 'removeRequest "a:":', /without ":"/],
    [undefined, { setRequest: { a: '1' }, removeRequest: ['A'] }, 'removeRequest "A":', /setRequest sets it/],
  ];
  for (const [match, rewrite, start, words] of cases) {
    const faults = checkRewrite(match, rewrite);
    assert.equal(faults.length, 1, `${start} ${faults.join(' | ')}`);
    assert.ok(faults[0]!.startsWith(start), faults[0]);
    assert.match(faults[0]!, words);
  }
});

test('fields that frame a message or belong to one connection can be neither set nor removed', () => {
  const names = [
    'Connection',
    'Transfer-Encoding',
    'content-length',
    'HOST',
    'Upgrade',
    'TE',
    'Keep-Alive',
    'Proxy-Connection',
  ];
  for (const name of [...names, 'transfer_encoding']) {
    const faults = checkRewrite(undefined, {
      setRequest: { [name]: 'x' },
      setResponse: { [name]: 'x' },
      removeResponse: ['via', name],
    });
    assert.equal(faults.filter((fault) => fault.includes('cannot be set')).length, 2, name);
    assert.equal(faults.filter((fault) => fault.includes('cannot be removed')).length, 1, name);
  }
  assert.match(checkFieldLines('headers', { Host: 'a' })[0]!, /^headers "Host": .*rewrite\.host/);
});

/** The Location for a request to shop.test, scheme https. */
function location(from: string | undefined, to: string, path: string, search = '', host = 'shop.test'): string | null {
  const redirect = compileRedirect(from === undefined ? undefined : { path: [from] }, { to, status: 308 });
  return redirect.location(queryOf({ host, path }, true), search, 'https');
}

test('a redirect expands stars and placeholders and keeps the query unless it names one', () => {
  assert.equal(compileRedirect(undefined, { to: '/', status: 303 }).status, 303);
  assert.equal(location('/old/*', '/new/*', '/old/a/b'), '/new/a/b');
  assert.equal(location('/old/*', '/new/*', '/old'), '/new');
  assert.equal(location('/old/*', '/new/*', '/old/', 'a=1&b=%20'), '/new/?a=1&b=%20');
  assert.equal(location('/old/*', '/new', '/old/x', 'a'), '/new?a');
  assert.equal(location('/old/*', '/new?from=*', '/old/x', 'a'), '/new?from=x');
  assert.equal(location('/old/*', '/new?{query}&from=*', '/old/x', 'a'), '/new?a&from=x');
  assert.equal(location('/old/*', '/new?{query}', '/old/x'), '/new');
  assert.equal(location('/old/*', '/new/*#part', '/old/x', 'a'), '/new/x?a#part');
  assert.equal(location('/old/*', 'https://other.example/*', '/old/a%2Fb'), 'https://other.example/a%2Fb');
  assert.equal(location('/old/*', 'https://other.example/*', '/old'), 'https://other.example');
  assert.equal(location('/u/*/x/*', 'https://*.example/', '/u/17/x/y'), 'https://17.example/', 'the check refuses it');
  assert.equal(location('/u/*/x/*', '/*/*', '/u/17/x/y/z'), '/17/y/z');
  assert.equal(location('/u/*/x', '/w/*', '/u/17/x'), '/w/17');
  assert.equal(location(undefined, 'https://{host}{path}', '/a/b', 'q'), 'https://shop.test/a/b?q');
  assert.equal(location(undefined, '{scheme}://www.{host}:8443/*', '/a/b'), 'https://www.shop.test:8443/a/b');
  assert.equal(location(undefined, 'https://{host}{path}', '/', '', '[::1]'), 'https://[::1]/');
  assert.equal(location(undefined, '{path}/', '/a'), '/a/');
});

test('a redirect cannot be turned to another host or split the head by what a request holds', () => {
  assert.equal(location('/go/*', '/*', '/go//evil.example/x'), '/evil.example/x');
  assert.equal(location('/go/*', '/*', '/go///evil.example'), '/evil.example');
  assert.equal(location(undefined, '{path}', '//evil.example'), '/evil.example');
  assert.equal(location(undefined, '/{path}', '/evil.example'), '/evil.example');
  assert.equal(location('/go/*', '/*', '/go/\\evil.example'), '/%5Cevil.example');
  assert.equal(
    location('/go/*', '/x/*', '/go/a\r\nset-cookie: a=b', '\r\nb\0 #'),
    '/x/a%0D%0Aset-cookie:%20a=b?%0D%0Ab%00%20%23',
  );
  assert.equal(location('/go/*', '/x/*', '/go/a?b#c\xe9'), '/x/a%3Fb%23c%E9');
  for (const host of ['', 'evil.example/', 'a@b', 'a\\b', 'a b', 'a:80', '[::1', 'a\r\n']) {
    assert.equal(location(undefined, 'https://{host}/', '/', '', host), null, host);
  }
  assert.equal(location(undefined, 'https://a.test{path}', '*'), null, 'OPTIONS * has no path');
  assert.equal(location(undefined, 'https://a.test/*', '*'), null);
  assert.equal(location('/a/*', '/b/*', '/c'), null, 'not the path that was matched');
});

test('a sound redirect passes, and every fault of one is said in words', () => {
  const old = { path: ['/old/*'] };
  for (const to of [
    '/new/*',
    '/',
    '/new?{query}',
    '{path}/',
    'https://other.example',
    'http://other.example:80/*',
    'https://{host}{path}',
    '{scheme}://www.{host}/x',
    'https://[::1]:8443/*',
    'https://a.test?{query}',
  ]) {
    assert.deepEqual(checkRedirect(old, { to, status: 308 }), [], to);
  }
  const cases: [string, RegExp][] = [
    ['new', /begins with "\/"/],
    ['ftp://a/', /begins with/],
    ['//a.test/', /"https:\/\/a\.test\/"/],
    ['/a/**', /write them apart/],
    ['/*/*', /has 2 "\*"/],
    ['/{uri}', /\{uri\} is not known; there are \{host\}/],
    ['/{', /brace/],
    ['/a b', /"\/a%20b"/],
    ['/a\r\nb', /percent-encoded/],
    ['/\\a', /%5C/],
    ['/100%', /%25/],
    ['https://other.example*', /the host is written out/],
    ['https://*.example/', /the host is written out/],
    ['https://other.example{query}', /the host is written out/],
    ['https://user@a.test/', /the host is written out/],
    ['https:///x', /the host is written out/],
  ];
  for (const [to, words] of cases) {
    const faults = checkRedirect(old, { to, status: 301 });
    assert.equal(faults.length, 1, `${to} ${faults.join(' | ')}`);
    assert.ok(faults[0]!.startsWith(`to "${to}": `), faults[0]);
    assert.match(faults[0]!, words);
  }
  assert.match(checkRedirect(undefined, { to: '/', status: 300 })[0]!, /^status 300: .*301, 302, 303, 307 or 308/);
});
