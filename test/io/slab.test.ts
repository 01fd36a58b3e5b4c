// Slabs counted by reference, and the gathering of small pieces in them.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { flush, GATHER_BYTES, gather, gathered, gatherRoom, type Sender } from '../../lib/io/send.ts';
import {
  releaseSlab,
  retainSlab,
  SLAB_COUNT,
  slabHolders,
  slabStart,
  slabsInUse,
  slabsScarce,
  slabView,
  takeReaderSlab,
  takeSlab,
} from '../../lib/io/slab.ts';
import { memory } from '../../lib/wire/http1/llhttp.ts';

test('a slab is free again when its last holder releases it, and is the next one taken', () => {
  const before = slabsInUse();
  const first = takeSlab();
  const second = takeSlab();
  retainSlab(first);
  assert.equal(slabHolders(first), 2);
  releaseSlab(first);
  assert.equal(slabsInUse(), before + 2);
  releaseSlab(second);
  releaseSlab(first);
  assert.equal(slabsInUse(), before);
  assert.equal(takeSlab(), first, 'last in, first out');
  assert.equal(slabView(first), slabView(first), 'one view, made once');
  assert.equal(slabView(first).byteOffset, slabStart(first));
  releaseSlab(first);
});

test('when slabs run out readers get none first, then waiting bytes are told to wait elsewhere, then nobody gets one', () => {
  const before = slabsInUse();
  const taken: number[] = [];
  for (let slab = takeReaderSlab(); slab >= 0; slab = takeReaderSlab()) taken.push(slab);
  assert.ok(slabsInUse() < SLAB_COUNT - 64, 'plenty is kept for senders');
  assert.equal(slabsScarce(), false);
  let scarceAt = 0;
  for (let slab = takeSlab(); slab >= 0; slab = takeSlab()) {
    taken.push(slab);
    if (scarceAt === 0 && slabsScarce()) scarceAt = slabsInUse();
  }
  assert.ok(scarceAt > 0 && scarceAt < SLAB_COUNT);
  assert.equal(slabsInUse(), SLAB_COUNT);
  assert.equal(new Set(taken).size, taken.length, 'no slab twice');
  taken.forEach(releaseSlab);
  assert.equal(slabsInUse(), before);
});

/** Keeps what it is handed; refuses to take it at once when told so, holding the slab. */
class Sink implements Sender {
  readonly pieces: string[] = [];
  readonly held: number[] = [];
  taking = true;

  push(start: number, end: number, slab: number): boolean {
    this.pieces.push(memory.toString('latin1', start, end));
    if (this.taking) return true;
    retainSlab(slab);
    this.held.push(slab);
    return false;
  }

  write(text: string): number {
    const at = gather(this, text.length);
    if (at >= 0) gathered(at + memory.write(text, at, 'latin1'));
    return at;
  }
}

test('what one sender gathers leaves in one piece, before what another gathers', () => {
  const one = new Sink();
  const other = new Sink();
  one.write('a');
  one.write('b');
  assert.equal(gatherRoom(one), GATHER_BYTES - 2);
  other.write('c');
  assert.equal(gatherRoom(one), GATHER_BYTES, 'as much as it will have when its turn comes');
  one.write('d');
  flush();
  flush();
  assert.deepEqual([one.pieces, other.pieces], [['ab', 'd'], ['c']]);
});

test('bytes that were not taken stay where they are until their holder releases them', () => {
  const before = slabsInUse();
  const slow = new Sink();
  const fast = new Sink();
  slow.taking = false;
  const at = slow.write('keep');
  flush();
  const next = fast.write('go');
  assert.equal(next, at + 4, 'behind what waits');
  flush();
  assert.equal(fast.write('on'), next, 'what was taken leaves its room');
  flush();
  // More than what is left of the slab: another one is taken.
  fast.write('x'.repeat(GATHER_BYTES));
  flush();
  assert.equal(memory.toString('latin1', at, at + 4), 'keep');
  assert.equal(slabsInUse(), before + 1);
  slow.held.forEach(releaseSlab);
  assert.equal(slabsInUse(), before);
});

test('with every slab in use a sender is told so, unless the one for gathering is free', () => {
  const taken: number[] = [];
  for (let slab = takeSlab(); slab >= 0; slab = takeSlab()) taken.push(slab);
  const slow = new Sink();
  slow.taking = false;
  const fast = new Sink();
  for (let piece = 0; piece < 10; piece++) {
    assert.ok(fast.write('x'.repeat(GATHER_BYTES)) >= 0);
    flush();
  }
  slow.write('y'.repeat(GATHER_BYTES - 10));
  flush();
  assert.ok(fast.write('0123456789') >= 0);
  assert.equal(fast.write('0123456789A'), -1);
  slow.held.forEach(releaseSlab);
  taken.forEach(releaseSlab);
  assert.ok(fast.write('again') >= 0);
  flush();
  assert.equal(fast.pieces.at(-1), 'again');
});
