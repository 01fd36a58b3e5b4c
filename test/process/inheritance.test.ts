// Sockets that a predecessor hands over: each goes to one event loop, and what nobody wants is closed.

import assert from 'node:assert/strict';
import { closeSync, fstatSync, openSync } from 'node:fs';
import { test } from 'node:test';
import { Inheritance, SOCKETS_VARIABLE } from '../../lib/process/inheritance.ts';

test('sockets are shared out among event loops, each once, and the variable is taken away', () => {
  const environment = { [SOCKETS_VARIABLE]: JSON.stringify({ a: [4, 5, 6], b: [7] }), OTHER: 'x' };
  const inheritance = Inheritance.claim(environment);
  assert.deepEqual(environment, { OTHER: 'x' });
  assert.deepEqual([inheritance.has('a'), inheritance.has('c')], [true, false]);
  assert.deepEqual(
    inheritance.share(['a', 'b', 'c'], 0, 2),
    new Map([
      ['a', [4, 6]],
      ['b', [7]],
      ['c', []],
    ]),
  );
  assert.deepEqual(
    inheritance.share(['a', 'b'], 1, 2),
    new Map([
      ['a', [5]],
      ['b', []],
    ]),
  );
  // An event loop that takes the place of one that has died opens its own.
  assert.deepEqual(inheritance.share(['a'], 0, 2), new Map([['a', []]]));
});

test('what no listener binds any more is closed', () => {
  const descriptors = [openSync('/dev/null', 'r'), openSync('/dev/null', 'r')];
  const inheritance = Inheritance.claim({
    [SOCKETS_VARIABLE]: JSON.stringify({ kept: [descriptors[0]], gone: [descriptors[1]] }),
  });
  inheritance.share(['kept'], 0, 1);
  inheritance.closeRest();
  assert.doesNotThrow(() => fstatSync(descriptors[0]!));
  assert.throws(() => fstatSync(descriptors[1]!), { code: 'EBADF' });
  closeSync(descriptors[0]!);
});
