// First in, first out, with removal from anywhere.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Queue, type Queued } from '../../lib/base/queue.ts';

interface Entry extends Queued {
  readonly name: number;
}

const entry = (name: number): Entry => ({ name, queue: null, ahead: null, behind: null });

test('entries leave in the order in which they came, and can be added again', () => {
  const queue = new Queue();
  const [a, b] = [entry(1), entry(2)];
  queue.add(a);
  queue.add(b);
  assert.equal(queue.take(), a);
  queue.add(a);
  assert.deepEqual([queue.take(), queue.take(), queue.take()], [b, a, null]);
  assert.equal(queue.size, 0);
});

test('an entry that does not wait here is not removed', () => {
  const [queue, other] = [new Queue(), new Queue()];
  const a = entry(1);
  other.add(a);
  queue.remove(a);
  queue.remove(entry(2));
  assert.deepEqual([queue.size, other.size], [0, 1]);
});

test('any mix of adding, taking and removing behaves like a list', () => {
  const step = fc.tuple(fc.constantFrom('add', 'take', 'remove'), fc.nat(9));
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const queue = new Queue();
      const all = Array.from({ length: 10 }, (_, name) => entry(name));
      let model: Entry[] = [];
      for (const [what, number] of steps) {
        const one = all[number]!;
        if (what === 'add' && !model.includes(one)) {
          queue.add(one);
          model.push(one);
        } else if (what === 'take') {
          assert.equal(queue.take(), model.shift() ?? null);
        } else if (what === 'remove') {
          queue.remove(one);
          model = model.filter((other) => other !== one);
        }
        assert.equal(queue.size, model.length);
      }
    }),
    { numRuns: 200 },
  );
});

test('who goes before all others is taken first, wherever it leaves from', () => {
  const queue = new Queue();
  const [a, b, c] = [entry(1), entry(2), entry(3)];
  queue.addFirst(a);
  queue.add(b);
  queue.addFirst(c);
  assert.deepEqual([queue.size, queue.take(), queue.take(), queue.take(), queue.take()], [3, c, a, b, null]);
  queue.addFirst(a);
  queue.addFirst(b);
  queue.remove(b);
  queue.add(c);
  assert.deepEqual([queue.take(), queue.take(), queue.size], [a, c, 0]);
});
