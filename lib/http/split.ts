// The action that shares requests out between several others, as when a new version is tried on some of them.

import type { HashOptions } from '../upstream/options.ts';
import { hashOf } from './affinity.ts';
import type { Action } from './exchange.ts';

export interface SplitPart {
  readonly action: Action;
  /** Share relative to the other parts; 0 for none at present. */
  readonly weight: number;
}

/** Each request goes to one of the parts by weight: by chance, or with `on` always the same for the same key. */
export function splitting(parts: readonly SplitPart[], on: HashOptions | null): Action {
  const total = parts.reduce((sum, { weight }) => sum + weight, 0);
  return {
    begin(exchange) {
      // Stirred once more: whatever is behind may go by the same key.
      const point = on === null ? Math.random() : (Math.imul(hashOf(exchange, on), 0x9e3779b1) >>> 0) / 0x1_0000_0000;
      let left = point * total;
      for (const { action, weight } of parts) {
        left -= weight;
        if (left < 0) return action.begin(exchange);
      }
      return parts[parts.length - 1]!.action.begin(exchange);
    },
  };
}
