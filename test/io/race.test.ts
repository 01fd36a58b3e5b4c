import assert from 'node:assert/strict';
import { Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { inTurn, type Race, race } from '../../lib/io/race.ts';

const V6 = ['2001:db8::1', '2001:db8::2', '2001:db8::3'] as const;
const V4 = ['192.0.2.1', '192.0.2.2'] as const;

test('families take turns, beginning with that of the first address, each in its own order', () => {
  assert.deepEqual(inTurn([...V6, ...V4]), [V6[0], V4[0], V6[1], V4[1], V6[2]]);
  assert.deepEqual(inTurn([V4[1], ...V6, V4[0]]), [V4[1], V6[0], V4[0], V6[1], V6[2]]);
  assert.deepEqual(inTurn([V4[0]]), [V4[0]]);
  assert.deepEqual(inTurn([]), []);
});

test('an attempt that has not answered in time goes on beside the next, and the first to stand is taken', (t) => {
  const { tick, opened, outcome } = begin(t, [...V6, ...V4]);
  assert.deepEqual([...opened.keys()], [V6[0]]);
  tick(249);
  assert.equal(opened.size, 1);
  tick(1);
  assert.deepEqual([...opened.keys()], [V6[0], V4[0]]);
  tick(250);
  assert.deepEqual([...opened.keys()], [V6[0], V4[0], V6[1]]);
  opened.get(V6[0])!.emit('connect');
  assert.equal(outcome.won, opened.get(V6[0]));
  assert.deepEqual(destroyed(opened), [V4[0], V6[1]]);
  // One that has won is its owner's: nobody listens any more here.
  assert.equal(outcome.won!.listenerCount('error'), 0);
  tick(1000);
  assert.equal(opened.size, 3);
});

test('an attempt that fails gives its turn to the next at once, which has all its time', (t) => {
  const { tick, opened, outcome } = begin(t, [V6[0], V4[0], V6[1]]);
  tick(200);
  opened.get(V6[0])!.emit('error', failure('ENETUNREACH'));
  assert.deepEqual([...opened.keys()], [V6[0], V4[0]]);
  tick(249);
  assert.equal(opened.size, 2);
  tick(1);
  assert.equal(opened.size, 3);
  assert.deepEqual([outcome.won, outcome.lost], [null, null]);
});

test('it is lost once all have failed, not before, with the error of the last one', (t) => {
  const { tick, opened, outcome } = begin(t, [V6[0], V4[0]]);
  tick(250);
  opened.get(V4[0])!.emit('error', failure('ECONNREFUSED'));
  tick(5000);
  assert.deepEqual([outcome.won, outcome.lost], [null, null]);
  opened.get(V6[0])!.emit('error', failure('ETIMEDOUT'));
  assert.equal(outcome.lost?.code, 'ETIMEDOUT');
});

test('a name that is not known, or has no address, is lost', (t) => {
  for (const found of [failure('EAI_AGAIN'), []]) {
    const { opened, outcome } = begin(t, found);
    assert.deepEqual([outcome.lost?.code, opened.size], [found instanceof Error ? 'EAI_AGAIN' : 'ENOTFOUND', 0]);
  }
});

test('one that is broken off tells nothing and leaves nothing open, whether during the lookup or later', (t) => {
  let answer = (): void => {};
  const early = begin(t, [V6[0]], (told) => {
    answer = told;
  });
  early.giveUp();
  answer();
  assert.equal(early.opened.size, 0);

  const { tick, opened, outcome, giveUp } = begin(t, [...V6]);
  tick(250);
  giveUp();
  assert.deepEqual(destroyed(opened), [V6[0], V6[1]]);
  tick(1000);
  opened.get(V6[0])!.emit('connect');
  opened.get(V6[1])!.emit('error', failure('ECONNRESET'));
  assert.deepEqual([opened.size, outcome.won, outcome.lost], [2, null, null]);
});

/** A race over sockets that do nothing by themselves, in a time that stands still. */
function begin(t: TestContext, found: readonly string[] | Error, looked = (told: () => void): void => told()) {
  t.mock.timers.reset();
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const opened = new Map<string, Socket>();
  const outcome = { won: null as Socket | null, lost: null as NodeJS.ErrnoException | null };
  const lookup = (_host: string, _options: object, told: (...answer: unknown[]) => void): void =>
    looked(() => {
      if (found instanceof Error) told(found);
      else
        told(
          null,
          found.map((address) => ({ address })),
        );
    });
  const giveUp = race({
    host: 'a.test',
    family: 0,
    open(address) {
      const socket = new Socket();
      opened.set(address, socket);
      return socket;
    },
    won: (socket) => {
      assert.deepEqual([outcome.won, outcome.lost], [null, null]);
      outcome.won = socket;
    },
    lost: (error) => {
      assert.deepEqual([outcome.won, outcome.lost], [null, null]);
      outcome.lost = error;
    },
    lookup: lookup as unknown as NonNullable<Race['lookup']>,
  });
  return { opened, outcome, giveUp, tick: (ms: number) => t.mock.timers.tick(ms) };
}

function destroyed(opened: ReadonlyMap<string, Socket>): string[] {
  return [...opened].filter(([, socket]) => socket.destroyed).map(([address]) => address);
}

function failure(code: string): NodeJS.ErrnoException {
  return Object.assign(new Error(code), { code });
}
