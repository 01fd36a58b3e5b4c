// The actions that share requests out between several others, as when a new version is tried on some of them.

import type { HashOptions, StickyOptions } from '../upstream/options.ts';
import { Sticky } from '../upstream/sticky.ts';
import { cookieOf, hashOf } from './affinity.ts';
import type { Action, Exchange } from './exchange.ts';

export interface SplitPart {
  /** Of the cluster. */
  readonly name: string;
  readonly action: Action;
  /** Share relative to the other parts; 0 for none at present. */
  readonly weight: number;
}

/** Each request goes to one of the parts by weight: by chance, or with `on` always the same for the same key. */
export function splitting(parts: readonly SplitPart[], on: HashOptions | null): Action {
  return {
    begin(exchange) {
      return partAt(parts, on === null ? Math.random() : pointOf(exchange, on)).action.begin(exchange);
    },
  };
}

/**
 * Chance decides once for each client, which a cookie keeps with its part: whatever the weights are later, as long as
 * its own is not 0. Cookies that say anything else are as good as none.
 */
export function splittingOnce(parts: readonly SplitPart[], options: StickyOptions): Action {
  const sticky = new Sticky<SplitPart>(options);
  sticky.update(parts.filter(({ weight }) => weight > 0));
  return {
    begin(exchange) {
      const known = sticky.find(cookieOf(exchange, options.cookie));
      if (known !== null) return known.action.begin(exchange);
      const part = partAt(parts, Math.random());
      exchange.reply.added = sticky.line(part, exchange.client.scheme === 'https');
      return part.action.begin(exchange);
    },
  };
}

/** Where between 0 and 1 a request belongs by its key. */
export function pointOf(exchange: Exchange, on: HashOptions): number {
  // Stirred once more: whatever is behind may go by the same key.
  return (Math.imul(hashOf(exchange, on), 0x9e3779b1) >>> 0) / 0x1_0000_0000;
}

/** The part at a point from 0 to 1, each as wide as its share. */
export function partAt<Part extends { readonly weight: number }>(parts: readonly Part[], point: number): Part {
  let total = 0;
  for (const { weight } of parts) total += weight;
  let left = point * total;
  let last = parts[0]!;
  for (const part of parts) {
    if (part.weight === 0) continue;
    last = part;
    left -= part.weight;
    if (left < 0) break;
  }
  return last;
}
