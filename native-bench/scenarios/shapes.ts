// The plainest requests, which most scenarios are made of.

import type { RequestShape } from '../load/load.ts';

/** A GET without any field beside Host, whose reply has a body of `replyBytes`. */
export function bareGet(path: string, replyBytes: number): RequestShape {
  return { method: 'GET', path, fields: [], bodyBytes: 0, chunkBytes: 0, replyBytes };
}

/** A POST of `bodyBytes`, in chunks of `chunkBytes` or, when that is 0, with its length said beforehand. */
export function barePost(
  path: string,
  body: Pick<RequestShape, 'bodyBytes' | 'chunkBytes' | 'replyBytes'>,
): RequestShape {
  return { method: 'POST', path, fields: [['Content-Type', 'application/octet-stream']], ...body };
}

/**
 * `items` in an order in which neighbours have little to do with each other, the same each time: every connection begins
 * somewhere else in it, and none meets the large ones in a row.
 */
export function scatter<Item>(items: readonly Item[]): Item[] {
  // Each exactly once, since an odd stride shares no divisor with a power of two.
  if ((items.length & (items.length - 1)) !== 0) throw new Error('needs a power of two');
  return items.map((_, index) => items[(index * STRIDE) % items.length]!);
}

const STRIDE = 27;
