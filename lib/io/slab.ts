// The buffers of all plain sockets: slabs of equal size inside the parser's memory, counted by reference, so that bytes
// can be read, parsed and written on without a copy. Who reads into which slab is decided in receive.ts, who holds one
// until the kernel has taken its bytes in send.ts.

import { carve, memory } from '../wire/http1/llhttp.ts';

/** One read takes at most this much, and a head with all that is added to it fits. */
export const SLAB_BYTES = 64 * 1024;
/** Slabs that can be in use at once: 60 MiB. Pages are touched when a slab is first used. */
export const SLAB_COUNT = 960;
/** Readers get no private slab beyond this; the rest is kept for what must be sent. */
const READER_COUNT = 832;
/** With fewer left, nobody holds one for long: what the kernel does not take waits in a copy outside. */
const SCARCE_COUNT = 32;

const first = carve(SLAB_BYTES * SLAB_COUNT);
if (first === 0) throw new Error('no memory for slabs');

const views: (Buffer | undefined)[] = new Array(SLAB_COUNT).fill(undefined);
const holders = new Int32Array(SLAB_COUNT);
// Last in, first out: the fewest pages are ever touched.
const free: number[] = [];
for (let slab = SLAB_COUNT - 1; slab >= 0; slab--) free.push(slab);

/** Takes a slab with one holder, -1 when all are in use. */
export function takeSlab(): number {
  const slab = free.pop();
  if (slab === undefined) return -1;
  holders[slab] = 1;
  return slab;
}

/** As `takeSlab`, for reading ahead of need: -1 already when slabs are getting scarce. */
export function takeReaderSlab(): number {
  return free.length <= SLAB_COUNT - READER_COUNT ? -1 : takeSlab();
}

/** Whether so few are left that readers who stand still must not keep any. */
export function slabsScarce(): boolean {
  return free.length < SCARCE_COUNT;
}

/** One more holder; the slab's bytes stay as they are until all have released it. */
export function retainSlab(slab: number): void {
  holders[slab]!++;
}

/** One holder less; the last one frees the slab. */
export function releaseSlab(slab: number): void {
  if (--holders[slab]! === 0) free.push(slab);
}

/** How many hold the slab. */
export function slabHolders(slab: number): number {
  return holders[slab]!;
}

/** Offset of the slab's first byte in the shared memory. */
export function slabStart(slab: number): number {
  return first + slab * SLAB_BYTES;
}

/** The slab as a buffer for a socket to read into; the same object each time. */
export function slabView(slab: number): Buffer {
  return (views[slab] ??= memory.subarray(slabStart(slab), slabStart(slab) + SLAB_BYTES));
}

/** How many slabs are in use; for tests of leaks and for status. */
export function slabsInUse(): number {
  return SLAB_COUNT - free.length;
}
