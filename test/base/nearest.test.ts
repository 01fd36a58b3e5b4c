import assert from 'node:assert/strict';
import { test } from 'node:test';
import { didYouMean, nearest } from '../../lib/base/nearest.ts';

test('the nearest word is found through slips, swaps and letter case', () => {
  const words = ['listeners', 'clusters', 'log', 'drainTimeout', 'xForwarded'];
  for (const [typed, meant] of [
    ['listener', 'listeners'],
    ['clutsers', 'clusters'],
    ['lgo', 'log'],
    ['draintimeout', 'drainTimeout'],
    ['x-forwarded', 'xForwarded'],
  ]) {
    assert.equal(nearest(typed!, words), meant);
  }
});

test('words that resemble nothing get no proposal', () => {
  for (const typed of ['', 'zzzz', 'x', 'completely', 'a'.repeat(100_000)])
    assert.equal(nearest(typed, ['log', 'v1', 'clusters']), '');
  assert.equal(didYouMean('zzzz', ['log']), '');
  assert.equal(didYouMean('lg', ['log']), '; did you mean "log"?');
});
