// What cookies of ours are called when the configuration does not say.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { splitCookie } from '../../lib/config/sticky-cookie.ts';

test('the cookie of a split is one for the same clusters in any order, another for others, and never long', () => {
  assert.equal(splitCookie(['b', 'a']), splitCookie(['a', 'b']));
  const many = Array.from({ length: 50 }, (_, i) => `cluster-${i}`);
  const names = [['a', 'b'], ['a'], ['a.b'], many, many.slice(1)].map(splitCookie);
  assert.equal(new Set(names).size, names.length);
  for (const name of names) assert.match(name, /^[\w.+-]{1,80}$/);
});
