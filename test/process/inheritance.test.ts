// Sockets that a predecessor hands over: each goes to one event loop, and what nobody wants is closed.

import assert from 'node:assert/strict';
import { closeSync, existsSync, fstatSync, openSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Inheritance, SOCKETS_VARIABLE } from '../../lib/process/inheritance.ts';
import { temporaryFolder } from '../support/process.ts';

test('sockets are shared out among event loops, each once, and the variable is taken away', () => {
  const environment = { [SOCKETS_VARIABLE]: handed({ a: [4, 5, 6], b: [7] }), OTHER: 'x' };
  const inheritance = claim(environment);
  assert.deepEqual(environment, { OTHER: 'x' });
  assert.deepEqual([inheritance.has('a'), inheritance.has('c')], [true, false]);
  const shares = (keys: string[], place: number): unknown =>
    [...inheritance.share(keys, place, 2)].map(([key, { bound, descriptors }]) => [key, bound.port, descriptors]);
  assert.deepEqual(shares(['a', 'b', 'c'], 0), [
    ['a', 80, [4, 6]],
    ['b', 80, [7]],
  ]);
  assert.deepEqual(shares(['a', 'b'], 1), [['a', 80, [5]]]);
  // An event loop that takes the place of one that has died opens its own.
  assert.deepEqual(shares(['a'], 0), []);
});

test('what no listener binds any more is closed', () => {
  const descriptors = [openSync('/dev/null', 'r'), openSync('/dev/null', 'r')];
  const inheritance = claim({ [SOCKETS_VARIABLE]: handed({ kept: [descriptors[0]!], gone: [descriptors[1]!] }) });
  inheritance.share(['kept'], 0, 1);
  inheritance.closeRest();
  assert.doesNotThrow(() => fstatSync(descriptors[0]!));
  assert.throws(() => fstatSync(descriptors[1]!), { code: 'EBADF' });
  closeSync(descriptors[0]!);
});

test('the path of a unix socket that nobody binds any more is removed, and no other', (t) => {
  const folder = temporaryFolder(t);
  const paths = ['kept', 'gone', 'control'].map((name) => join(folder, name));
  for (const path of paths) writeFileSync(path, '');
  const descriptors = paths.map(() => openSync('/dev/null', 'r'));
  const keys = [`unix:${paths[0]}`, `unix:${paths[1]}`, `admin unix:${paths[2]}`];
  const sockets = Object.fromEntries(keys.map((key, at) => [key, [descriptors[at]!]]));
  const inheritance = claim({ [SOCKETS_VARIABLE]: handed(sockets) });
  inheritance.share([keys[0]!], 0, 1);
  inheritance.closeRest();
  closeSync(descriptors[0]!);
  assert.deepEqual(paths.map(existsSync), [true, false, false]);
});

test('what is set by somebody else is told in words, and taken away all the same', () => {
  for (const text of [
    '',
    '{',
    '[]',
    'null',
    '7',
    '{"a":4}',
    '{"a":[4]}',
    '{"a":null}',
    ...WRONG.map((value) => JSON.stringify({ a: value })),
  ]) {
    const environment = { [SOCKETS_VARIABLE]: text };
    const claimed = Inheritance.claim(environment);
    assert.ok('fault' in claimed, text);
    assert.match(claimed.fault, /^MILLRACE_SOCKETS is not what a predecessor sets/);
    assert.deepEqual(environment, {});
  }
});

test('a descriptor that was not even open leaves nothing to close', () => {
  claim({ [SOCKETS_VARIABLE]: handed({ gone: [1_048_575] }) }).closeRest();
});

test('descriptors may be named that a service manager or a predecessor announces, to this process', () => {
  const numbers = (environment: NodeJS.ProcessEnv): number[] => [...claim(environment, 77).numbers.keys()];
  assert.deepEqual(numbers({}), []);
  assert.deepEqual(numbers({ LISTEN_FDS: '2', LISTEN_PID: '77' }), [3, 4]);
  assert.deepEqual(numbers({ LISTEN_FDS: '1' }), [3]);
  assert.deepEqual(numbers({ LISTEN_FDS: '2', LISTEN_PID: '78' }), []);
  for (const LISTEN_FDS of ['x', '-1', '1.5', '99999999999']) assert.deepEqual(numbers({ LISTEN_FDS }), []);
  // Under the names that they had before; what a service manager told the predecessor holds no more.
  const sockets = handed({ 'fd:5': [4], '127.0.0.1:80': [5, 6], 'fd:x': [7] });
  assert.deepEqual(numbers({ [SOCKETS_VARIABLE]: sockets, LISTEN_FDS: '4' }), [5]);
  // Each for whoever had it.
  const both = handed({ 'fd:5': [4], 'admin fd:6': [5], 'admin 127.0.0.1:80': [6] });
  const owners = [...claim({ [SOCKETS_VARIABLE]: both }).numbers];
  assert.deepEqual(owners, [
    [5, 'listener'],
    [6, 'admin'],
  ]);
});

/** What a predecessor does not say. */
const WRONG = [
  { bound: '127.0.0.1:80' },
  { descriptors: [4] },
  { bound: '127.0.0.1', descriptors: [4] },
  ...['4', 4.5, -1, 1].map((descriptor) => ({ bound: '127.0.0.1:80', descriptors: [descriptor] })),
];

function handed(sockets: Record<string, number[]>): string {
  const entries = Object.entries(sockets).map(([key, descriptors]) => [key, { bound: '127.0.0.1:80', descriptors }]);
  return JSON.stringify(Object.fromEntries(entries));
}

function claim(environment: NodeJS.ProcessEnv, pid?: number): Inheritance {
  const claimed = Inheritance.claim(environment, pid);
  assert.ok(claimed instanceof Inheritance, JSON.stringify(claimed));
  return claimed;
}
