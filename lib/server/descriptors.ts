// How many descriptors this process may have, and when they are running out. libuv answers EMFILE by closing whoever
// waits to be accepted and says nothing, so it has to be noticed before: the kernel hands out the lowest free number.

import { readFileSync } from 'node:fs';

/** Kept free for dialing, files and the log. */
const SPARE = 32;

const limits = readLimits();

/** How many there may be; Node has raised this to the hard limit when it started. Infinite where it is not known. */
export const descriptorLimit = softLimit(limits);
/** Numbers from here on mean that descriptors are running out; no number does where the limit is not known. */
export const scarceFrom = scarceNumber(limits);

/** From the text of /proc/self/limits (Linux). */
export function scarceNumber(limits: string): number {
  const soft = softLimit(limits);
  // Of a very small limit only a part can be spared.
  return soft - Math.min(SPARE, Math.floor(soft / 4));
}

function softLimit(limits: string): number {
  return Number(/^Max open files\s+(\d+)/m.exec(limits)?.[1] ?? Number.POSITIVE_INFINITY);
}

function readLimits(): string {
  try {
    return readFileSync('/proc/self/limits', 'latin1');
  } catch {
    return '';
  }
}
