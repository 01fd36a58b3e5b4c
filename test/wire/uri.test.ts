import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  Authority,
  normalisePath,
  pathIsPlain,
  readAuthority,
  readTarget,
  Target,
  TargetForm,
} from '../../lib/wire/uri.ts';

/** Reads a target that lies between bytes that would spoil it; parts as text, null where there is none. */
function target(text: string): object | null {
  const bytes = Buffer.from(`# ${text} #`, 'latin1');
  const into = new Target();
  into.queryStart = into.authorityStart = 5;
  if (!readTarget(bytes, 2, bytes.length - 2, into)) return null;
  const part = (start: number, end: number) => {
    assert.equal(start < 0, end < 0);
    return start < 0 ? null : bytes.toString('latin1', start, end);
  };
  return {
    form: into.form,
    secure: into.secure,
    authority: part(into.authorityStart, into.authorityEnd),
    path: part(into.pathStart, into.pathEnd),
    query: part(into.queryStart, into.queryEnd),
  };
}

function authority(text: string): object | null {
  const bytes = Buffer.from(`[a${text}]1`, 'latin1');
  const into = new Authority();
  into.port = 7;
  if (!readAuthority(bytes, 2, bytes.length - 2, into)) return null;
  return { host: bytes.toString('latin1', into.hostStart, into.hostEnd), bracketed: into.bracketed, port: into.port };
}

function plain(text: string): boolean {
  const answers = ['..', '%4', './'].map((after) => {
    const bytes = Buffer.from(`/.${text}${after}`, 'latin1');
    return pathIsPlain(bytes, 2, bytes.length - 2);
  });
  assert.deepEqual(new Set(answers).size, 1, 'bytes after the range were looked at');
  return answers[0]!;
}

const origin = (path: string, query: string | null) => ({
  form: TargetForm.ORIGIN,
  secure: false,
  authority: null,
  path,
  query,
});

test('the origin form is a path and, after the first question mark, a query that may be empty', () => {
  assert.deepEqual(target('/'), origin('/', null));
  assert.deepEqual(target('/?'), origin('/', ''));
  assert.deepEqual(target('/a/b?c=d?e/f'), origin('/a/b', 'c=d?e/f'));
  assert.deepEqual(target('//evil.example/x'), origin('//evil.example/x', null));
  assert.deepEqual(target('/*'), origin('/*', null));
});

test('bytes that clients are known to send unescaped are passed on as they are', () => {
  const odd = '/"<>[]^`{|}\\\x80\xff%zz';
  assert.deepEqual(target(`${odd}?${odd}`), origin(odd, odd));
});

test('fragments, spaces and control characters are refused wherever they stand', () => {
  for (let byte = 0; byte < 256; byte++) {
    const refused = byte <= 0x20 || byte === 0x7f || byte === 0x23;
    const char = String.fromCharCode(byte);
    assert.equal(target(`/a${char}b`) === null, refused, `path with ${byte}`);
    assert.equal(target(`/?a${char}b`) === null, refused, `query with ${byte}`);
    if (refused) assert.equal(target(`http://a${char}/`), null, `authority with ${byte}`);
  }
});

test('the absolute form is split for http and https in any case and refused for everything else', () => {
  const absolute = (secure: boolean, at: string, path: string, query: string | null) => ({
    form: TargetForm.ABSOLUTE,
    secure,
    authority: at,
    path,
    query,
  });
  assert.deepEqual(target('http://example.com/a?b'), absolute(false, 'example.com', '/a', 'b'));
  assert.deepEqual(target('HTTPS://[::1]:8443/'), absolute(true, '[::1]:8443', '/', null));
  assert.deepEqual(target('http://example.com'), absolute(false, 'example.com', '', null));
  assert.deepEqual(target('http://example.com?q'), absolute(false, 'example.com', '', 'q'));
  for (const text of [
    'http://',
    'http:///a',
    'http://:80/',
    'http://user@example.com/',
    'http://user:pass@example.com/',
    'http://a,b/',
    'http://a\\b/',
    'http://a#b',
    'http:/a',
    'http:a',
    'https//a',
    'httpx://a/',
    'http:a/b/',
    'http:\\\\a/',
    'hxtp://a/',
    'xttp://a/',
    'htxp://a/',
    'htt://a/',
    'httq://a/',
    'ftp://a/',
    'file:///etc/passwd',
    'javascript:alert(1)',
  ]) {
    assert.equal(target(text), null, text);
  }
});

test('the authority form needs its port, the asterisk stands alone', () => {
  const authorityForm = (at: string) => ({ form: 2, secure: false, authority: at, path: null, query: null });
  assert.deepEqual(target('example.com:443'), authorityForm('example.com:443'));
  assert.deepEqual(target('[2001:db8::1]:443'), authorityForm('[2001:db8::1]:443'));
  assert.deepEqual(target('example.com:0'), authorityForm('example.com:0'));
  assert.deepEqual(target('http:80'), authorityForm('http:80'));
  assert.deepEqual(target('*'), { form: 3, secure: false, authority: null, path: null, query: null });
  for (const text of ['', 'example.com', 'example.com:', 'example.com:443/', '**', '*?a', '?a', 'a:b:1', 'a/b:1']) {
    assert.equal(target(text), null, text);
  }
});

test('an authority is a host and perhaps a port', () => {
  for (const [text, host, bracketed, port] of [
    ['example.com', 'example.com', false, -1],
    ['EXAMPLE.com.', 'EXAMPLE.com.', false, -1],
    ['example.com:', 'example.com', false, -1],
    ['example.com:0', 'example.com', false, 0],
    ['example.com:65535', 'example.com', false, 65535],
    ['example.com:00080', 'example.com', false, 80],
    ['192.0.2.1:8080', '192.0.2.1', false, 8080],
    ['[::1]', '::1', true, -1],
    ['[::ffff:192.0.2.1]:80', '::ffff:192.0.2.1', true, 80],
    ['[FFFF:ffff:ffff:ffff:ffff:ffff:255.255.255.255]:', 'FFFF:ffff:ffff:ffff:ffff:ffff:255.255.255.255', true, -1],
    ['_dmarc.a-b~c', '_dmarc.a-b~c', false, -1],
    ["a!$&'()*+;=", "a!$&'()*+;=", false, -1],
    ['a'.repeat(255), 'a'.repeat(255), false, -1],
  ] as const) {
    assert.deepEqual(authority(text), { host, bracketed, port }, text);
  }
  for (const text of [
    '',
    ':',
    ':80',
    'a:65536',
    'a:99999',
    'a:000080',
    'a:-1',
    'a:8a',
    'a:80:80',
    '::1',
    '[::1',
    '[]',
    '[1.2.3.4]',
    '[::1]a',
    '[::1]:65536',
    '[::1%lo]',
    '[::1%25lo]',
    '[v1.a]',
    `[${'0'.repeat(60)}::1]`,
    'u@a',
    'a,b',
    'a, b',
    'a b',
    ' a',
    'a\t',
    'a%41',
    'a/b',
    'a?b',
    'a\\b',
    'ex\xe4mple',
    'a\0',
    'a"',
    'a<',
    'a'.repeat(256),
  ]) {
    assert.equal(authority(text), null, JSON.stringify(text));
  }
});

test('a path that needs no normalising is told from one that may', () => {
  for (const text of [
    '/',
    '/a/b',
    '//',
    '/.well-known/x',
    '/a.b/...',
    '/a..',
    '/..a',
    '/.a',
    '/a./b',
    '/\xff|',
    '/a;b',
  ]) {
    assert.equal(plain(text), true, text);
    assert.equal(normalisePath(text), text, text);
  }
  for (const text of ['', 'a', '*', '/%41', '/a%', '/.', '/..', '/./a', '/../a', '/a/.', '/a/..', '/a/./b', '/a\\b']) {
    assert.equal(plain(text), false, text);
  }
});

test('paths are normalised as RFC 3986 asks', () => {
  for (const [text, expected] of [
    ['/a/b/c/./../../g', '/a/g'], // the example of 5.2.4
    ['/', '/'],
    ['/.', '/'],
    ['/./', '/'],
    ['/a/.', '/a/'],
    ['/a/..', '/'],
    ['/a/../', '/'],
    ['/a/b/..', '/a/'],
    ['/a/b/../c', '/a/c'],
    ['/a//../b', '/a/b'],
    ['//..', '/'],
    ['/a//b', '/a//b'],
    ['/x/..//a', '//a'],
    ['/%41%7e%2D%5f', '/A~-_'],
    ['/%2f%2F%3f%c3%a4%25', '/%2F%2F%3F%C3%A4%25'],
    ['/%2541', '/%2541'],
    ['/a/%2e%2E/b', '/b'],
    ['/a/.%2e/b', '/b'],
    ['/a/%2e/b', '/a/b'],
    ['/a/..%2fb', '/a/..%2Fb'],
    ['/a\\..\\b', '/a\\..\\b'],
    ['/a/..;/b', '/a/..;/b'],
    ['/%0a', '/%0A'],
    ['/\xe4 ', '/\xe4 '],
  ] as const) {
    assert.equal(normalisePath(text), expected, text);
  }
});

test('paths that climb above the root, break an escape or hide a NUL have no normal form', () => {
  for (const text of [
    '/..',
    '/../a',
    '/a/../../b',
    '/%2e%2e/a',
    '/./..',
    '/%',
    '/%4',
    '/%4g',
    '/%g4',
    '/%%41',
    '/a%00b',
    '/%u0041',
  ]) {
    assert.equal(normalisePath(text), null, text);
  }
  for (const text of ['', 'a', '*', '../a', '%2Fa']) assert.equal(normalisePath(text), null, text);
});
