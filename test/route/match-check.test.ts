import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkMatch } from '../../lib/route/match-check.ts';
import type { MatchOptions } from '../../lib/route/options.ts';

test('a match of every kind passes', () => {
  const match: MatchOptions = {
    host: ['example.com', '*.Example.com.', '*', '127.0.0.1', '[::1]', '_x.local', 'xn--caf-dma.test'],
    path: ['/', '/*', '/a/b', '/api/*', '/users/*/avatar', '/s/*.css', '/caf%C3%A9', '/a..b/...', "/~a;b=(c)'@!$&,+:"],
    method: ['GET', 'M-SEARCH', 'QUERY'],
    header: { 'X-Beta': '1', accept: '*', 'x-empty': '' },
  };
  assert.deepEqual(checkMatch(match), []);
  assert.deepEqual(checkMatch({}), []);
});

test('every fault of a match names the word it is about and what would be right', () => {
  const cases: [MatchOptions, string, RegExp][] = [
    [{ host: [] }, 'host:', /empty list matches nothing/],
    [{ host: [''] }, 'host "":', /a host has a name/],
    [{ host: ['*.'] }, 'host "*.":', /a host has a name/],
    [{ host: ['a.test:80'] }, 'host "a.test:80":', /write "a\.test"$/],
    [{ host: ['[::1]:80'] }, 'host "[::1]:80":', /write "\[::1\]"$/],
    [{ host: ['::1'] }, 'host "::1":', /in brackets: "\[::1\]"/],
    [{ host: ['[1.2.3.4]'] }, 'host "[1.2.3.4]":', /not an IPv6 address/],
    [{ host: ['[0:0::1]'] }, 'host "[0:0::1]":', /"\[::1\]"/],
    [{ host: ['https://a.test/'] }, 'host "https://a.test/":', /host alone/],
    [{ host: ['a.test/x'] }, 'host "a.test/x":', /without a path/],
    [{ host: ['api.*.test'] }, 'host "api.*.test":', /labels on the left/],
    [{ host: ['*example.com'] }, 'host "*example.com":', /labels on the left/],
    [{ host: ['*.0.0.1'] }, 'host "*.0.0.1":', /IP address has no wildcard/],
    [{ host: ['café.test'] }, 'host "café.test":', /"xn--caf-dma\.test"/],
    [{ host: ['a b'] }, 'host "a b":', /not a host name/],
    [{ host: ['a..b'] }, 'host "a..b":', /labels/],
    [{ host: [`${'a.'.repeat(130)}b`] }, 'host "a.a.', /253/],
    [{ path: [] }, 'path:', /empty list/],
    [{ path: ['api'] }, 'path "api":', /begins with "\/"/],
    [{ path: ['*'] }, 'path "*":', /"\/\*"/],
    [{ path: ['/a/**'] }, 'path "/a/**":', /one "\*"/],
    [{ path: ['/a?b=1'] }, 'path "/a?b=1":', /query/],
    [{ path: ['/a#b'] }, 'path "/a#b":', /fragment/],
    [{ path: ['/a\\b'] }, 'path "/a\\b":', /%5C/],
    [{ path: ['/100%'] }, 'path "/100%":', /%25/],
    [{ path: ['/café x'] }, 'path "/café x":', /"\/caf%C3%A9%20x"/],
    [{ path: ['/a/../b'] }, 'path "/a/../b":', /resolved before/],
    [{ path: ['/a/%2E'] }, 'path "/a/%2E":', /resolved before/],
    [{ path: ['/caf%c3%a9/%7Ea'] }, 'path "/caf%c3%a9/%7Ea":', /write "\/caf%C3%A9\/~a"/],
    [{ path: ['/a%00'] }, 'path "/a%00":', /no path that is accepted/],
    [{ path: [`/${'a'.repeat(3000)}`] }, 'path "/aaa', /at most 2048/],
    [{ method: [] }, 'method:', /empty list/],
    [{ method: ['get'] }, 'method "get":', /upper case: "GET"/],
    [{ method: ['*'] }, 'method "*":', /leave method out/],
    [{ method: ['GTE'] }, 'method "GTE":', /did you mean "GET"/],
    [{ header: { '': '1' } }, 'header "":', /has a name/],
    [{ header: { 'x-a:': '1' } }, 'header "x-a:":', /without ":"/],
    [{ header: { ':path': '1' } }, 'header ":path":', /keys of their own/],
    [{ header: { 'x a': '1' } }, 'header "x a":', /letters, digits/],
    [{ header: { 'x-a': 'a\nb' } }, 'header "x-a":', /line break/],
    [{ header: { 'x-a': ' a' } }, 'header "x-a":', /white space/],
    [{ header: { 'x-a': '1', 'X-A': '1' } }, 'header "X-A":', /there twice/],
  ];
  for (const [match, start, words] of cases) {
    const faults = checkMatch(match);
    assert.equal(faults.length, 1, `${start} ${faults.join(' | ')}`);
    assert.ok(faults[0]!.startsWith(start), faults[0]);
    assert.match(faults[0]!, words);
  }
  assert.equal(checkMatch({ host: ['a:1', 'b:1'], path: ['x'], method: ['y'], header: { z: '\0' } }).length, 5);
});
