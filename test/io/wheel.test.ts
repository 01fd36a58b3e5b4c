// The wheel with a clock of the test's own.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Timed, Wheel } from '../../lib/io/wheel.ts';

const TICK_MS = 100;

class Clock {
  nowMs = 0;
  readonly wheel: Wheel;

  constructor(startMs = 0) {
    this.nowMs = startMs;
    this.wheel = new Wheel(() => this.nowMs);
  }

  /** Lets time pass in ticks, as the timer does. */
  pass(ms: number): void {
    for (const until = this.nowMs + ms; this.nowMs < until; ) {
      this.nowMs = Math.min(this.nowMs + TICK_MS, until);
      this.wheel.turn();
    }
  }
}

class Entry extends Timed {
  readonly fired: number[] = [];
  next: () => void = () => {};
  readonly #clock: Clock;

  constructor(clock: Clock) {
    super();
    this.#clock = clock;
  }

  override expire(): void {
    this.fired.push(this.#clock.nowMs);
    this.next();
  }
}

test('a deadline never fires early, and late by less than three ticks, whatever the phase of the clock', () => {
  fc.assert(
    fc.property(
      fc.double({ min: 0, max: 1e7, noNaN: true }),
      fc.array(fc.tuple(fc.integer({ min: 1, max: 120_000 }), fc.integer({ min: 0, max: 99 })), { maxLength: 20 }),
      (startMs, deadlines) => {
        const clock = new Clock(startMs);
        const entries = deadlines.map(([ms, into]) => {
          // Between two ticks the wheel has an older idea of the time.
          const entry = new Entry(clock);
          clock.nowMs += into;
          clock.wheel.arm(entry, ms);
          const dueMs = clock.nowMs + ms;
          clock.nowMs += TICK_MS - into;
          clock.wheel.turn();
          return { entry, dueMs };
        });
        clock.pass(121_000);
        for (const { entry, dueMs } of entries) {
          assert.equal(entry.fired.length, 1);
          const late = entry.fired[0]! - dueMs;
          assert.ok(late > -0.01 && late < 3 * TICK_MS, `late by ${late}`);
        }
        assert.equal(clock.wheel.size, 0);
      },
    ),
    { numRuns: 60 },
  );
});

test('a deadline that is armed again counts from then, earlier as well as later', () => {
  const clock = new Clock(12_345);
  const later = new Entry(clock);
  const earlier = new Entry(clock);
  const often = new Entry(clock);
  clock.wheel.arm(later, 1000);
  clock.wheel.arm(earlier, 60_000);
  for (let second = 0; second < 10; second++) {
    clock.wheel.arm(often, 2000);
    if (second === 0) clock.wheel.arm(later, 5000);
    if (second === 0) clock.wheel.arm(earlier, 3000);
    clock.pass(1000);
  }
  assert.equal(often.fired.length, 0);
  clock.pass(5000);
  const between = (entry: Entry, ms: number): void => {
    assert.equal(entry.fired.length, 1);
    const late = entry.fired[0]! - 12_345 - ms;
    assert.ok(late >= 0 && late < 300, `late by ${late}`);
  };
  between(later, 5000);
  between(earlier, 3000);
  between(often, 11_000);
});

test('a deadline longer than a round of the wheel waits for as many rounds as it takes', () => {
  const clock = new Clock();
  const entry = new Entry(clock);
  clock.wheel.arm(entry, 3_600_000);
  clock.pass(3_599_900);
  assert.deepEqual(entry.fired, []);
  clock.pass(500);
  assert.equal(entry.fired.length, 1);
});

test('what is disarmed or removed does not fire, and is forgotten', () => {
  const clock = new Clock();
  const disarmed = new Entry(clock);
  const removed = new Entry(clock);
  const again = new Entry(clock);
  for (const entry of [disarmed, removed, again]) clock.wheel.arm(entry, 500);
  clock.wheel.disarm(disarmed);
  clock.wheel.remove(removed);
  clock.wheel.remove(removed);
  clock.wheel.disarm(again);
  clock.wheel.arm(again, 700);
  assert.equal(clock.wheel.size, 2, 'what is disarmed stays linked until its time');
  clock.pass(2000);
  assert.equal(clock.wheel.size, 0);
  assert.deepEqual([disarmed.fired.length, removed.fired.length, again.fired.length], [0, 0, 1]);
});

test('an entry that expires may remove, disarm and arm others that are due, and itself', () => {
  const clock = new Clock();
  const entries = Array.from({ length: 4 }, () => new Entry(clock));
  const [first, second, third, fourth] = entries as [Entry, Entry, Entry, Entry];
  for (const entry of entries) clock.wheel.arm(entry, 500);
  // The last one linked comes first.
  fourth.next = () => {
    clock.wheel.remove(third);
    clock.wheel.disarm(second);
    clock.wheel.arm(first, 1000);
    if (fourth.fired.length < 3) clock.wheel.arm(fourth, 1000);
  };
  clock.pass(900);
  assert.deepEqual(
    entries.map((entry) => entry.fired.length),
    [0, 0, 0, 1],
  );
  clock.pass(10_000);
  assert.deepEqual(
    entries.map((entry) => entry.fired.length),
    [1, 0, 0, 3],
  );
  assert.equal(clock.wheel.size, 0);
});

test('twenty thousand entries armed and moved at random all fire once, and in time', () => {
  const clock = new Clock(77);
  let seed = 1;
  const chance = (below: number): number => {
    seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
    return (seed >>> 8) % below;
  };
  const entries = Array.from({ length: 20_000 }, () => ({ entry: new Entry(clock), dueMs: 0 }));
  for (let round = 0; round < 5; round++) {
    for (const one of entries) {
      const ms = 20_000 + chance(100_000);
      clock.wheel.arm(one.entry, ms);
      one.dueMs = clock.nowMs + ms;
    }
    clock.pass(700);
  }
  clock.pass(130_000);
  for (const { entry, dueMs } of entries) {
    assert.equal(entry.fired.length, 1);
    const late = entry.fired[0]! - dueMs;
    assert.ok(late >= 0 && late < 300, `late by ${late}`);
  }
});

test('time in which the loop stood still is held against nobody', () => {
  const clock = new Clock();
  const before = new Entry(clock);
  const after = new Entry(clock);
  clock.wheel.arm(before, 5000);
  clock.pass(1000);
  // An hour without a tick; then something arrives before the timer runs, and is given a second.
  clock.nowMs += 3_600_000;
  clock.wheel.arm(after, 1000);
  const armedMs = clock.nowMs;
  clock.wheel.turn();
  assert.deepEqual([before.fired.length, after.fired.length], [0, 0]);
  clock.pass(5000);
  assert.ok(after.fired[0]! - armedMs >= 1000, 'fired early');
  assert.equal(before.fired.length, 1);
});

test('the timer runs only while there is something to wait for, and starts anew', (t) => {
  t.mock.timers.enable({ apis: ['setInterval'] });
  const clock = new Clock();
  const tick = (times: number): void => {
    for (let count = 0; count < times; count++) {
      clock.nowMs += TICK_MS;
      t.mock.timers.tick(TICK_MS);
    }
  };
  let reads = 0;
  const wheel = new Wheel(() => {
    reads++;
    return clock.nowMs;
  });
  tick(5);
  assert.equal(reads, 1, 'nothing to wait for yet');
  for (let round = 0; round < 2; round++) {
    const entry = new Entry(clock);
    wheel.arm(entry, 400);
    tick(10);
    assert.equal(entry.fired.length, 1);
    const before: number = reads;
    tick(10);
    assert.equal(reads, before, 'the timer has stopped');
  }
  const entry = new Entry(clock);
  wheel.arm(entry, 400);
  wheel.remove(entry);
  tick(2);
  const before = reads;
  tick(5);
  assert.equal(reads, before);
});

test('without a clock given, the wheel has that of the machine', () => {
  const wheel = new Wheel();
  assert.ok(Math.abs(wheel.nowMs - performance.now()) < 60_000);
});
