// What cookies of ours are called when the configuration does not say: each of its own, since browsers keep one of a name for
// a whole site, and two that shared it would drive each other out.

import { createHash } from 'node:crypto';

/** Longer ones would cost every request. */
const LONGEST = 64;

/** Of the clients of a cluster. Names of clusters are fit for cookies as they are. */
export function seatCookie(cluster: string): string {
  return `millrace_${cluster}`;
}

/** Of a split between clusters: the same wherever the same ones are named, whatever their shares. */
export function splitCookie(clusters: readonly string[]): string {
  const names = [...clusters].sort().join('+');
  return `millrace-split_${names.length <= LONGEST ? names : createHash('sha256').update(names).digest('hex').slice(0, 16)}`;
}
