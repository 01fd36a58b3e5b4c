// Waiting for what a test wants to see. How fast that comes is the machine's affair, so nothing here is a measure of time:
// patience ends only with what never comes.

import assert from 'node:assert/strict';
import { setImmediate as immediate } from 'node:timers/promises';

/** How long a test waits for what never comes before it fails with what did come. */
export const PATIENCE_MS = 60_000;

/** Resolves once `condition` holds; fails, saying `what`, when it does not for long. */
export async function eventually(
  condition: () => boolean | Promise<boolean>,
  what: string,
  patienceMs = PATIENCE_MS,
): Promise<void> {
  const deadline = performance.now() + patienceMs;
  while (!(await condition())) {
    if (performance.now() > deadline) assert.fail(`waited in vain for ${what}`);
    await pause(5);
  }
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Resolves once what the kernel has for this process by now has been seen. */
export async function glance(): Promise<void> {
  // The first is at the end of this turn, the second behind what the next one reads.
  await immediate();
  await immediate();
}
