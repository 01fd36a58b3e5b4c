// What we write: small pieces are gathered in a slab and leave in one system call at the end of the event that made
// them; large ones that lie in a reader's own slab leave from there. A slab whose bytes the kernel did not take at once
// is held until it has. Knows nothing of what is written, nor when a connection ends.

import { releaseSlab, SLAB_BYTES, slabHolders, slabStart, takeSlab } from './slab.ts';

/** Whoever bytes can be gathered for. */
export interface Sender {
  /**
   * Hands `start..end` of the memory to the kernel. False when some of it must wait: the sender then holds `slab`
   * until those bytes have left, or has a copy of them.
   */
  push(start: number, end: number, slab: number): boolean;
}

/** Room that is always there for a gathered piece after `gather`: no more may be asked for. */
export const GATHER_BYTES = SLAB_BYTES;

let slab = takeSlab();
/** Start of the bytes gathered so far, and where the next one goes. */
let start = slabStart(slab);
let position = start;
let end = start + SLAB_BYTES;
let owner: Sender | null = null;

/**
 * Where `sender` may write up to `bytes` (at most GATHER_BYTES) behind what it has gathered already; what another
 * sender has gathered is sent first. Follow up with `gathered`. -1 when there is no memory left.
 */
export function gather(sender: Sender, bytes: number): number {
  if (owner !== sender) flush();
  if (end - position < bytes) {
    flush();
    if (end - position < bytes && !renew()) return -1;
  }
  owner = sender;
  return position;
}

/** Room behind what is gathered, without sending anything. */
export function gatherRoom(sender: Sender): number {
  return owner === sender ? end - position : GATHER_BYTES;
}

/** Everything up to `to` belongs to the piece being gathered. */
export function gathered(to: number): void {
  position = to;
}

/** Hands what is gathered to the kernel. Every event of a connection ends with this. */
export function flush(): void {
  const sender = owner;
  owner = null;
  if (sender === null || position === start) return;
  const from = start;
  start = position;
  const taken = sender.push(from, position, slab);
  // The room can be used again: all of it when nobody waits, this piece's when it was taken.
  if (slabHolders(slab) === 1) start = position = slabStart(slab);
  else if (taken) start = position = from;
}

/** Leaves the slab to those who hold it and takes another. */
function renew(): boolean {
  const fresh = takeSlab();
  if (fresh < 0) return false;
  releaseSlab(slab);
  slab = fresh;
  start = position = slabStart(slab);
  end = start + SLAB_BYTES;
  return true;
}
