import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { MatchOptions } from '../../lib/route/options.ts';
import { findShadowed } from '../../lib/route/shadow.ts';
import { compileTable } from '../../lib/route/table.ts';
import { queryOf, type TestRequest } from './query.ts';

/** Whether a table of this one route finds it. */
function matches(match: MatchOptions | undefined, request: TestRequest): boolean {
  const table = compileTable([{ match, value: 'found' }]);
  const found = table.find(queryOf(request));
  assert.equal(table.find(queryOf(request, true)), found, 'the path may stand in a buffer of its own');
  return found === 'found';
}

test('a host matches exactly, by wildcard, or any, whatever its case and a trailing dot', () => {
  const cases: [string, string, boolean][] = [
    ['api.example.com', 'api.example.com', true],
    ['api.example.com', 'API.Example.COM', true],
    ['API.example.com.', 'api.example.com', true],
    ['api.example.com', 'api.example.com.', true],
    ['api.example.com', 'api.example.com..', false],
    ['api.example.com', 'example.com', false],
    ['api.example.com', 'x.api.example.com', false],
    ['api.example.com', 'api.example.org', false],
    ['*.example.com', 'api.example.com', true],
    ['*.example.com', 'a.b.c.EXAMPLE.com.', true],
    ['*.example.com', 'example.com', false],
    ['*.example.com', '.example.com', false],
    ['*.example.com', 'badexample.com', false],
    ['*.example.com', 'api.example.com.evil.test', false],
    ['*.com', 'example.com', true],
    ['*', 'example.com', true],
    ['*', '', true],
    ['example.com', '', false],
    ['*.example.com', '.', false],
    ['127.0.0.1', '127.0.0.1', true],
    ['127.0.0.1', '27.0.0.1', false],
    ['[::1]', '[::1]', true],
    ['[2001:DB8::1]', '[2001:db8::1]', true],
    ['[::1]', '[::2]', false],
    ['*.example.com', `${'a.'.repeat(121)}example.com`, true],
    ['*.example.com', `${'a.'.repeat(5000)}example.com`, false],
  ];
  for (const [pattern, host, expected] of cases) {
    assert.equal(matches({ host: [pattern] }, { host }), expected, `${pattern} on ${host}`);
  }
  assert.equal(matches({ host: ['a.test', '*.b.test'] }, { host: 'x.b.test' }), true, 'one of a list is enough');
});

test('a path matches exactly, by prefix, or by stars that stay within a segment', () => {
  const cases: [string, string, boolean][] = [
    ['/', '/', true],
    ['/', '/a', false],
    ['/healthz', '/healthz', true],
    ['/healthz', '/healthz/', false],
    ['/healthz', '/Healthz', false],
    ['/healthz/', '/healthz', false],
    ['/healthz/', '/healthz/', true],
    ['/api/*', '/api', true],
    ['/api/*', '/api/', true],
    ['/api/*', '/api/a/b', true],
    ['/api/*', '/api//', true],
    ['/api/*', '/apix', false],
    ['/api/*', '/ap', false],
    ['/api/*', '/', false],
    ['/api/v1/*', '/api', false],
    ['/*', '/', true],
    ['/*', '/anything/at/all', true],
    ['/*', '*', true],
    ['/a/*', '*', false],
    ['/users/*/avatar', '/users/17/avatar', true],
    ['/users/*/avatar', '/users//avatar', true],
    ['/users/*/avatar', '/users/1/2/avatar', false],
    ['/users/*/avatar', '/users/17/avatar/', false],
    ['/users/*/avatar', '/users/17', false],
    ['/users/*/files/*', '/users/17/files', true],
    ['/users/*/files/*', '/users/17/files/a/b', true],
    ['/users/*/files/*', '/users/17/filesystem', false],
    ['/static/*.css', '/static/site.css', true],
    ['/static/*.css', '/static/.css', true],
    ['/static/*.css', '/static/css', false],
    ['/static/*.css', '/static/a/site.css', false],
    ['/static/*.css', '/static/site.css.map', false],
    ['/v*', '/v1', true],
    ['/v*', '/v', true],
    ['/v*', '/v1/x', false],
    ['/v*/*', '/v1/x/y', true],
    ['/a*b*c', '/abc', true],
    ['/a*b*c', '/a-b-b-c', true],
    ['/a*b*c', '/acb', false],
    ['/ab*ba', '/aba', false],
    ['/a*bc*c', '/abc', false],
    ['/caf%C3%A9', '/caf%C3%A9', true],
    ['/a//b', '/a//b', true],
    ['/a//b', '/a/b', false],
  ];
  for (const [pattern, path, expected] of cases) {
    assert.equal(matches({ path: [pattern] }, { path }), expected, `${pattern} on ${path}`);
  }
  assert.equal(matches({ path: ['/a', '/b/*', '/a'] }, { path: '/b/c' }), true, 'one of a list is enough');
});

test('methods match by name, and GET does not take HEAD along', () => {
  assert.equal(matches({ method: ['GET'] }, { method: 'GET' }), true);
  assert.equal(matches({ method: ['GET'] }, { method: 'HEAD' }), false);
  assert.equal(matches({ method: ['GET', 'QUERY'] }, { method: 'QUERY' }), true);
  assert.equal(matches({ method: ['UNLINK'] }, { method: 'DELETE' }), false, 'codes 32 and 0 are told apart');
  assert.equal(matches({ method: ['DELETE'] }, { method: 'UNLINK' }), false);
  assert.equal(matches({ method: ['LINK'] }, { method: 'LINK' }), true, 'code 31 is the sign bit');
  assert.equal(matches({ method: ['LINK', 'QUERY'] }, { method: 'no such method' }), false);
  assert.equal(matches({ path: ['/'] }, { method: 'no such method' }), true);
  assert.equal(matches({ method: ['get'] }, { method: 'GET' }), false, 'names are case-sensitive');
});

test('header conditions compare names without case, values exactly, and any line of that name will do', () => {
  const header = { 'X-Beta': '1' };
  assert.equal(matches({ header }, { header: [['x-beta', '1']] }), true);
  assert.equal(matches({ header }, { header: [['X-BETA', '2']] }), false);
  assert.equal(matches({ header }, { header: [['X-BETA', '']] }), false);
  assert.equal(matches({ header }, {}), false);
  const lines = [
    ['x-beta', '0'],
    ['host', 'a'],
    ['X-Beta', '1'],
  ] as const;
  assert.equal(matches({ header }, { header: lines }), true);
  assert.equal(matches({ header: { 'x-beta': '*' } }, { header: [['X-Beta', '']] }), true);
  assert.equal(matches({ header: { 'x-beta': '*' } }, { header: [['x-betas', '1']] }), false);
  assert.equal(matches({ header: { 'x-a': 'b', 'x-c': 'd' } }, { header: [['x-a', 'b']] }), false, 'all must hold');
  assert.equal(matches({ header: { 'x-a': 'B' } }, { header: [['x-a', 'b']] }), false);
});

test('the first route that matches wins, however specific a later one is', () => {
  const table = compileTable([
    { match: { host: ['*.example.com'], path: ['/admin/*'], method: ['POST'] }, value: 0 },
    { match: { path: ['/admin/*'] }, value: 1 },
    { match: { host: ['www.example.com'], path: ['/admin/login'] }, value: 2 },
    { match: { host: ['www.example.com'] }, value: 3 },
    { match: { path: ['/*/login', '/a/b/c'] }, value: 4 },
    { match: { path: ['/x/login'] }, value: 5 },
    { value: 6 },
    { match: { path: ['/x'] }, value: 7 },
  ]);
  assert.equal(table.size, 8);
  assert.equal(table.find(queryOf({ host: 'www.example.com', path: '/admin/login', method: 'POST' })), 0);
  assert.equal(table.find(queryOf({ host: 'www.example.com', path: '/admin/login' })), 1);
  assert.equal(table.find(queryOf({ host: 'www.example.com', path: '/x/login' })), 3);
  assert.equal(table.find(queryOf({ host: 'x.test', path: '/x/login' })), 4);
  assert.equal(table.place(queryOf({ host: 'x.test', path: '/a/b/c' })), 4);
  assert.equal(table.find(queryOf({ host: 'x.test', path: '/x' })), 6);
});

test('a table without a matching route finds nothing, and a compiled table cannot be changed', () => {
  const empty = compileTable<string>([]);
  assert.equal(empty.find(queryOf({})), null);
  assert.equal(empty.place(queryOf({})), -1);
  assert.equal(Object.isFrozen(empty), true);
  assert.equal(compileTable([{ match: { host: [] }, value: 1 }]).find(queryOf({})), null);
});

test('the compiled table agrees with trying the routes one by one', () => {
  // Few distinct words, so that patterns and requests meet often.
  const word = fc.constantFrom('a', 'b', 'ab', '', 'ba.css', '%2F');
  const label = fc.constantFrom('a', 'b', 'EU', 'com');
  const name = fc.array(label, { minLength: 1, maxLength: 4 }).map((labels) => labels.join('.'));
  const hostPattern = fc.oneof(
    name,
    name.map((it) => `*.${it}`),
    name.map((it) => `${it}.`),
    fc.constant('*'),
  );
  const segment = fc.oneof(
    { weight: 3, arbitrary: word },
    { weight: 2, arbitrary: fc.constantFrom('*', 'a*', '*.css', '*b*', 'a*b') },
  );
  const pathOf = (part: fc.Arbitrary<string>) =>
    fc.array(part, { minLength: 1, maxLength: 4 }).map((parts) => `/${parts.join('/')}`);
  const method = fc.constantFrom('GET', 'HEAD', 'POST', 'LINK', 'UNLINK');
  const list = <T>(one: fc.Arbitrary<T>) =>
    fc.option(fc.array(one, { minLength: 1, maxLength: 3 }), { nil: undefined, freq: 2 });
  const match = fc.record({
    host: list(hostPattern),
    path: list(pathOf(segment)),
    method: list(method),
    header: fc.option(fc.dictionary(fc.constantFrom('x-a', 'X-B'), fc.constantFrom('1', '*')), {
      nil: undefined,
      freq: 4,
    }),
  });
  const request = fc.record({
    host: fc.oneof(
      name,
      name.map((it) => `${it}.`),
      fc.constantFrom('', '.', '.com', 'a..com'),
    ),
    path: fc.oneof({ weight: 9, arbitrary: pathOf(word) }, { weight: 1, arbitrary: fc.constant('*') }),
    method,
    header: fc.array(fc.tuple(fc.constantFrom('X-a', 'x-b', 'x-c'), fc.constantFrom('1', '2')), { maxLength: 3 }),
  });
  let found = 0;
  fc.assert(
    fc.property(
      fc.array(match, { maxLength: 12 }),
      fc.array(request, { minLength: 1, maxLength: 12 }),
      (routes, requests) => {
        const table = compileTable(routes.map((it, value) => ({ match: it, value })));
        const shadowed = new Set(findShadowed(routes).map((shadow) => shadow.route));
        for (const one of requests) {
          const place = table.place(queryOf(one));
          assert.equal(place, scan(routes, one));
          assert.equal(shadowed.has(place), false, 'a route reported as never reached was reached');
          if (place > 0) found++;
        }
      },
    ),
    { numRuns: 1_500 },
  );
  assert.ok(found > 1_000, `the property looked at only ${found} matches beyond the first route`);
});

test('a look-up allocates nothing', () => {
  const routes = Array.from({ length: 500 }, (_, value) => ({
    match: {
      host: [`h${value}.test`, `*.w${value}.test`],
      path: [`/p${value}/*`, `/u/*/x${value}`],
      header: { 'x-a': '*' },
    },
    value,
  }));
  const table = compileTable([...routes, { value: -1 }]);
  const header = [['x-a', '1']] as const;
  const queries = [
    queryOf({ host: 'h77.test', path: '/p77/x/y', header }),
    queryOf({ host: 'a.b.w401.test', path: '/u/17/x401', header }, true),
    queryOf({ host: 'nobody.test', path: '/u/17/x499' }),
  ];
  const lookups = 10_000;
  let sum = 0;
  const grown = Array.from({ length: 41 }, () => {
    const before = process.memoryUsage().heapUsed;
    for (let i = 0; i < lookups; i++) sum += table.find(queries[i % 3]!)!;
    return (process.memoryUsage().heapUsed - before) / lookups;
  });
  assert.ok(sum > 0);
  // Rounds are short so that a collection spoils few of them: the median knows neither it nor the warming up.
  const median = grown.sort((a, b) => a - b)[20]!;
  assert.ok(median < 8, `bytes grown per look-up, by round: ${grown}`);
});

test('a hostile path costs one walk of the tree, however many ways its segments could match', () => {
  // Exact and star at every level: 2^12 paths through the patterns, but each node is entered at most once.
  const depth = 12;
  const all = Array.from({ length: 1 << depth }, (_, bits) => ({
    match: {
      path: [`/${Array.from({ length: depth }, (_, level) => ((bits >> level) & 1 ? '*' : 'a')).join('/')}/end`],
    },
    value: bits,
  }));
  const table = compileTable(all);
  assert.equal(table.find(queryOf({ path: `${'/a'.repeat(depth)}/end` })), 0);
  assert.equal(table.find(queryOf({ path: `/b${'/a'.repeat(depth - 1)}/end` })), 1);
  assert.equal(table.find(queryOf({ path: '/a'.repeat(8_000) })), null);
  assert.equal(table.find(queryOf({ path: '/'.repeat(16_000) })), null);
});

test('routes that an earlier one covers wholly are reported with the route in their way', () => {
  const shadowed = (...routes: (MatchOptions | undefined)[]) =>
    findShadowed(routes).map(({ route, by }) => [route, by]);
  assert.deepEqual(shadowed(undefined, { path: ['/a'] }, undefined), [
    [1, 0],
    [2, 0],
  ]);
  assert.deepEqual(shadowed({ path: ['/*'] }, { host: ['a.test'] }), [[1, 0]]);
  assert.deepEqual(shadowed({ path: ['/api/*'] }, { path: ['/api', '/api/x/*', '/api/*/y'] }), [[1, 0]]);
  assert.deepEqual(shadowed({ path: ['/api/*'] }, { path: ['/api', '/apix'] }), []);
  assert.deepEqual(shadowed({ path: ['/*/x'] }, { path: ['/a/x'] }, { path: ['/a*/x'] }), [
    [1, 0],
    [2, 0],
  ]);
  assert.deepEqual(shadowed({ path: ['/a*'] }, { path: ['/a*'] }, { path: ['/*a'] }, { path: ['/a/*'] }), [[1, 0]]);
  assert.deepEqual(shadowed({ host: ['*.x.test'] }, { host: ['A.x.test', '*.b.x.test'] }, { host: ['x.test'] }), [
    [1, 0],
  ]);
  assert.deepEqual(shadowed({ method: ['GET', 'POST'] }, { method: ['POST'] }, { method: ['HEAD'] }, {}), [[1, 0]]);
  assert.deepEqual(
    shadowed({ header: { 'X-A': '*' } }, { header: { 'x-a': '1', 'x-b': '2' } }, { header: { 'x-b': '2' } }),
    [[1, 0]],
  );
  assert.deepEqual(shadowed({ header: { 'x-a': '1' } }, { header: { 'x-a': '*' } }, undefined), []);
  assert.deepEqual(
    shadowed({ path: ['/a'] }, { path: ['/b'] }, { path: ['/a', '/b'] }),
    [],
    'two together are not looked for',
  );
  assert.deepEqual(shadowed({ path: ['/a'] }, { path: [] }), [], 'what matches nothing is for the check of the match');
});

/** The place of the first route that matches, tried one by one with nothing but strings and regular expressions. */
function scan(routes: readonly MatchOptions[], request: Required<TestRequest>): number {
  const host = request.host.toLowerCase().replace(/\.$/, '');
  return routes.findIndex(
    (match) =>
      (match.host?.some((pattern) => hostMatches(pattern.toLowerCase().replace(/\.$/, ''), host)) ?? true) &&
      (match.path?.some((pattern) => pathExpression(pattern).test(request.path)) ?? true) &&
      (match.method?.includes(request.method) ?? true) &&
      Object.entries(match.header ?? {}).every(([name, expected]) =>
        request.header.some(
          ([sent, value]) => sent.toLowerCase() === name.toLowerCase() && (expected === '*' || expected === value),
        ),
      ),
  );
}

function hostMatches(pattern: string, host: string): boolean {
  if (pattern === '*') return true;
  if (host === '') return false;
  if (!pattern.startsWith('*.')) return pattern === host;
  return host.endsWith(pattern.slice(1)) && host.length >= pattern.length;
}

function pathExpression(pattern: string): RegExp {
  if (pattern === '/*') return /^/;
  const tailed = pattern.endsWith('/*');
  const body = (tailed ? pattern.slice(0, -2) : pattern).replace(/[.%]/g, '\\$&').replaceAll('*', '[^/]*');
  return new RegExp(`^${body}${tailed ? '(/.*)?' : ''}$`);
}
