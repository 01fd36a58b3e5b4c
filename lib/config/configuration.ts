// The whole configuration after reading, checking and defaulting: what snapshots are built from.

import type { LogLevel } from '../base/log.ts';
import type { ListenerOptions } from '../server/options.ts';
import type { ClusterOptions } from '../upstream/options.ts';

export interface Configuration {
  readonly log: { readonly level: LogLevel };
  /** How long open connections get to finish once draining has begun. */
  readonly drainTimeoutMs: number;
  /** By name, in the order of the document. */
  readonly listeners: Readonly<Record<string, ListenerOptions>>;
  /** By name, in the order of the document. */
  readonly clusters: Readonly<Record<string, ClusterOptions>>;
}
