import assert from 'node:assert/strict';
import { test } from 'node:test';
import { latin1 } from '../../lib/wire/latin1.ts';

test('every byte is the character of its number, also within a view of a larger buffer', () => {
  const whole = Uint8Array.from({ length: 300 }, (_, at) => at & 255);
  const view = whole.subarray(10, 290);
  const wanted = [...view.subarray(3, 270)].map((byte) => String.fromCharCode(byte)).join('');
  assert.equal(latin1(view, 3, 270), wanted);
  assert.equal(latin1(view, 5, 5), '');
});
