// How many descriptors this process may have, and when they are running out. libuv answers EMFILE by closing whoever
// waits to be accepted and says nothing, so it has to be noticed before: the kernel hands out the lowest free number.

import { readFileSync } from 'node:fs';

/** Kept free for dialing, files and the log. */
const SPARE = 32;

/** Numbers from here on mean that descriptors are running out; no number does where the limit is not known. */
export const scarceFrom = scarceNumber(readLimits());

/** From the text of /proc/self/limits (Linux). */
export function scarceNumber(limits: string): number {
  const soft = Number(/^Max open files\s+(\d+)/m.exec(limits)?.[1] ?? Number.NaN);
  // Of a very small limit only a part can be spared.
  return Number.isNaN(soft) ? Number.POSITIVE_INFINITY : soft - Math.min(SPARE, soft >> 2);
}

function readLimits(): string {
  try {
    return readFileSync('/proc/self/limits', 'latin1');
  } catch {
    return '';
  }
}
