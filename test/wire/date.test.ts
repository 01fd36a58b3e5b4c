import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { httpDate, parseHttpDate } from '../../lib/wire/date.ts';

const NOVEMBER_1994 = Date.UTC(1994, 10, 6, 8, 49, 37);
const FIRST_MS = Date.parse('0000-01-01T00:00:00Z');
const LAST_MS = Date.parse('9999-12-31T23:59:59.999Z');
const anyTime = fc.integer({ min: FIRST_MS, max: LAST_MS });

test('dates are written as IMF-fixdate', () => {
  assert.equal(httpDate(NOVEMBER_1994), 'Sun, 06 Nov 1994 08:49:37 GMT');
  assert.equal(httpDate(NOVEMBER_1994 + 999), 'Sun, 06 Nov 1994 08:49:37 GMT');
  assert.equal(httpDate(NOVEMBER_1994 + 1000), 'Sun, 06 Nov 1994 08:49:38 GMT');
  assert.equal(httpDate(NOVEMBER_1994), 'Sun, 06 Nov 1994 08:49:37 GMT');
  assert.equal(httpDate(-1), 'Wed, 31 Dec 1969 23:59:59 GMT');
  assert.equal(httpDate(0.5), 'Thu, 01 Jan 1970 00:00:00 GMT');
});

test('times beyond what four digits of a year can say are moved inside', () => {
  assert.equal(httpDate(LAST_MS + 1), 'Fri, 31 Dec 9999 23:59:59 GMT');
  assert.equal(httpDate(Number.POSITIVE_INFINITY), 'Fri, 31 Dec 9999 23:59:59 GMT');
  assert.equal(httpDate(FIRST_MS - 1), 'Sat, 01 Jan 0000 00:00:00 GMT');
  assert.equal(httpDate(Number.NaN), 'Sat, 01 Jan 0000 00:00:00 GMT');
});

test('every date equals what the runtime writes and reads back to its second', () => {
  fc.assert(
    fc.property(anyTime, fc.integer({ min: 0, max: 1500 }), (time, later) => {
      const text = httpDate(time);
      assert.equal(text, new Date(time).toUTCString());
      assert.equal(parseHttpDate(text), Math.floor(time / 1000) * 1000);
      const next = Math.min(time + later, LAST_MS);
      assert.equal(httpDate(next), new Date(next).toUTCString(), 'after the answer of a second before');
    }),
    { numRuns: 2000 },
  );
});

test('all three forms that RFC 9110 lists are read', () => {
  for (const text of ['Sun, 06 Nov 1994 08:49:37 GMT', 'Sunday, 06-Nov-94 08:49:37 GMT', 'Sun Nov  6 08:49:37 1994']) {
    assert.equal(parseHttpDate(text), NOVEMBER_1994, text);
  }
  assert.equal(parseHttpDate('Wednesday, 09-Nov-94 08:49:37 GMT'), NOVEMBER_1994 + 3 * 86_400_000);
  assert.equal(parseHttpDate('Sun Nov 16 08:49:37 1994'), NOVEMBER_1994 + 10 * 86_400_000);
  assert.equal(parseHttpDate('Sat, 31 Dec 2016 23:59:60 GMT'), Date.UTC(2017, 0, 1), 'a leap second');
  assert.equal(parseHttpDate('Tue, 29 Feb 2000 00:00:00 GMT'), Date.UTC(2000, 1, 29));
  assert.equal(parseHttpDate('Mon, 06 Nov 1994 08:49:37 GMT'), NOVEMBER_1994, 'the day of the week is not compared');
});

test('two digits of a year mean at most 50 years ahead', () => {
  const read = (text: string, now: number) => new Date(parseHttpDate(text, now)).getUTCFullYear();
  const now = Date.UTC(2026, 5, 15);
  assert.equal(read('Monday, 15-Jun-76 00:00:00 GMT', now), 2076);
  assert.equal(read('Monday, 15-Jun-76 00:00:01 GMT', now), 1976);
  assert.equal(read('Monday, 01-Jan-77 00:00:00 GMT', now), 1977);
  assert.equal(read('Monday, 01-Jan-26 00:00:00 GMT', now), 2026);
  assert.equal(read('Monday, 01-Jan-99 00:00:00 GMT', now), 1999);
  assert.equal(read('Monday, 01-Jan-99 00:00:00 GMT', Date.UTC(2060, 0, 2)), 2099);
  assert.equal(read('Monday, 01-Jan-10 00:00:00 GMT', Date.UTC(2060, 0, 2)), 2110);
  assert.equal(read('Monday, 01-Jan-77 00:00:00 GMT', Date.UTC(2026, 11, 31)), 1977);
  assert.equal(read('Monday, 01-Jan-99 00:00:00 GMT', Date.UTC(2049, 0, 1)), 2099);
  assert.equal(read('Monday, 01-Jan-70 00:00:00 GMT', undefined as never), 2070);
  assert.equal(read('Monday, 01-Jan-71 00:00:00 GMT', undefined as never), 1971);
});

test('everything else is not a date', () => {
  for (const text of [
    '',
    '0',
    'now',
    'Sun, 06 Nov 1994 08:49:37',
    'Sun, 06 Nov 1994 08:49:37 UTC',
    'sun, 06 nov 1994 08:49:37 gmt',
    'Sun, 6 Nov 1994 08:49:37 GMT',
    'Sun,  06 Nov 1994 08:49:37 GMT',
    ' Sun, 06 Nov 1994 08:49:37 GMT',
    'Sun, 06 Nov 1994 08:49:37 GMT\n',
    'Sun, 06 Nov 94 08:49:37 GMT',
    'Sun, 06-Nov-94 08:49:37 GMT',
    'Sun Nov 6 08:49:37 1994',
    'Sun, 00 Nov 1994 08:49:37 GMT',
    'Sun, 31 Nov 1994 08:49:37 GMT',
    'Sun, 29 Feb 1900 08:49:37 GMT',
    'Sun, 06 Nov 1994 24:00:00 GMT',
    'Sun, 06 Nov 1994 08:60:37 GMT',
    'Sun, 06 Nov 1994 08:49:61 GMT',
    '1994-11-06T08:49:37Z',
    `Sun, 06 Nov 1994 08:49:37 GMT${' '.repeat(100_000)}`,
  ]) {
    assert.ok(Number.isNaN(parseHttpDate(text)), text.slice(0, 60));
  }
});
