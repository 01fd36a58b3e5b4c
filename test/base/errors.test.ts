// The table of failures: what clients are told, and which failures of a dial mean what.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { dialError, ERRORS, type ErrorKind, proxyError } from '../../lib/base/errors.ts';

const kinds: [string, ErrorKind][] = Object.entries(ERRORS);

test('statuses fit the side that is at fault', () => {
  for (const [code, { side, status }] of kinds) {
    if (status === 0) continue;
    const right =
      side === 'upstream'
        ? [502, 504]
        : side === 'proxy'
          ? [404, 502, 503]
          : [...Array(100).keys()].map((n) => n + 400).concat(501, 505);
    assert.ok(right.includes(status), `${code}: ${status}`);
  }
});

test('only failures of origins are ever tried again', () => {
  for (const [code, { side, retry }] of kinds) if (side !== 'upstream') assert.equal(retry, 'never', code);
});

test('what clients read is one sentence that names no address', () => {
  for (const [code, { text }] of kinds) assert.match(text, /^[A-Z][^\d\n]*[A-Za-z]\.$/, code);
});

test('a failure is made without a stack and carries its detail', () => {
  const error = proxyError('bad_host', 'two');
  assert.deepEqual(error, { code: 'bad_host', kind: ERRORS.bad_host, detail: 'two' });
  assert.ok(!(error instanceof Error));
  assert.equal(proxyError('bad_host').detail, '');
});

test('a refused dial is told from one that failed otherwise', () => {
  const failure = (code?: string) => Object.assign(new Error('words'), code === undefined ? {} : { code });
  assert.equal(dialError(failure('ECONNREFUSED')).code, 'connect_refused');
  assert.equal(dialError(failure('EHOSTUNREACH')).code, 'connect_failed');
  assert.equal(dialError(failure('ENOTFOUND')).detail, 'ENOTFOUND');
  assert.equal(dialError(failure()).detail, 'words');
});
