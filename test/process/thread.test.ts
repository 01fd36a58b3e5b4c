import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ThreadLoop } from '../../lib/process/thread.ts';
import { quietLog } from '../support/reports.ts';

test('a thread that does not beat has stood still, but not when whoever looks stood still as well', async () => {
  const deaths: string[] = [];
  const loop = new ThreadLoop(quietLog, 64 * 1024 * 1024);
  const gone = new Promise<void>((resolve) => {
    loop.onDeath = (death) => {
      deaths.push(death);
      resolve();
    };
  });
  // No time passes between these: it cannot have beaten.
  const start = performance.now();
  const check = (afterMs: number): boolean => loop.check(start + afterMs, 10_000);
  assert.equal(check(0), true);
  for (let ms = 1000; ms <= 9000; ms += 1000) assert.equal(check(ms), true);
  assert.equal(check(100_000), true, 'the machine slept');
  for (let ms = 101_000; ms < 110_000; ms += 1000) assert.equal(check(ms), true);
  assert.equal(check(110_000), false);
  await gone;
  assert.deepEqual(deaths, ['does not turn']);
});
