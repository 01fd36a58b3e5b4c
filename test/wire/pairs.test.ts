import assert from 'node:assert/strict';
import { test } from 'node:test';
import { findPair, pair } from '../../lib/wire/pairs.ts';

const SEMICOLON = 0x3b;
const AMPERSAND = 0x26;

function find(text: string, name: string, between = SEMICOLON, start = 0, end = text.length): string | null {
  const bytes = Buffer.from(text);
  return findPair(bytes, start, end, name, between) ? bytes.toString('latin1', pair.start, pair.end) : null;
}

test('the value of a name is found wherever its pair stands, the first one of several', () => {
  for (const line of [
    'id=7',
    'id=7; b=2',
    'a=1; id=7',
    'a=1;id=7;b=2',
    ' id=7',
    'a;; id=7',
    'id=7; id=8',
    'xid=1; id=7',
  ]) {
    assert.equal(find(line, 'id'), '7', line);
  }
  assert.equal(find('a=1&id=7&b=2', 'id', AMPERSAND), '7');
  assert.equal(find('id=', 'id'), '');
  assert.equal(find('id=a=b', 'id'), 'a=b');
});

test('what only looks like the name is not taken for it', () => {
  for (const line of ['', 'id', 'idx=7', 'ID=7', 'a=id=7', 'i=d', ';', 'i d=7'])
    assert.equal(find(line, 'id'), null, line);
  assert.equal(find('a=1;id=7', 'id', AMPERSAND), null);
});

test('only the part that was asked for is looked at, however much follows', () => {
  assert.equal(find('id=1;id=22;id=3', 'id', SEMICOLON, 5, 9), '2');
  assert.equal(find('a=1;id=2', 'id', SEMICOLON, 0, 5), null);
  let reads = 0;
  const watched = new Proxy(Buffer.from(`a=1; b=2${'x'.repeat(1000)}`), {
    get(bytes, key) {
      reads++;
      if (typeof key === 'string' && Number(key) >= 8) assert.fail(`byte ${key} was read`);
      const value = Reflect.get(bytes, key, bytes);
      return typeof value === 'function' ? assert.fail(`${String(key)} was called`) : value;
    },
  });
  assert.equal(findPair(watched, 0, 8, 'b', SEMICOLON), true);
  assert.deepEqual([pair.start, pair.end], [7, 8]);
  assert.equal(findPair(watched, 0, 8, 'c', SEMICOLON), false);
  assert.ok(reads > 0);
});
