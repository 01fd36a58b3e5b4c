import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { test } from 'node:test';
import { METHODS, Method, methodCode } from '../../../lib/wire/http1/method.ts';

test('method codes are those of the parser that reports them', () => {
  const { METHODS: reported } = createRequire(import.meta.url)('undici/lib/llhttp/constants.js') as {
    METHODS: Record<string, number>;
  };
  assert.deepEqual(Object.fromEntries(METHODS.map((name, code) => [name, code])), { ...reported });
  for (const [name, code] of Object.entries(Method)) assert.equal(METHODS[code], name);
});

test('a method is known by its exact name only', () => {
  assert.equal(methodCode('GET'), 1);
  assert.equal(methodCode('QUERY'), METHODS.length - 1);
  for (const name of ['get', '', 'GETS', 'constructor']) assert.equal(methodCode(name), -1, name);
});
