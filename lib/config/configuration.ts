// The whole configuration after reading, checking and defaulting: what snapshots are built from.

import type { Address } from '../base/address.ts';
import type { LogLevel } from '../base/log.ts';
import type { ListenerOptions } from '../server/options.ts';
import type { ClusterOptions } from '../upstream/options.ts';

export interface Configuration {
  /** Event loops in threads of their own; 0: everything is done by the main thread. */
  readonly workers: number;
  /** Largest heap of one of them. */
  readonly workerMemoryBytes: number;
  readonly log: { readonly level: LogLevel };
  /** How long open connections get to finish once draining has begun. */
  readonly drainTimeoutMs: number;
  /** How long it is known before that draining will begin. */
  readonly drainDelayMs: number;
  /** Null: there is no admin listener. */
  readonly admin: AdminOptions | null;
  /** By name, in the order of the document. */
  readonly listeners: Readonly<Record<string, ListenerOptions>>;
  /** By name, in the order of the document. */
  readonly clusters: Readonly<Record<string, ClusterOptions>>;
}

export interface AdminOptions {
  /** Loopback or a unix socket, or else there is a token. */
  readonly bind: Address;
  /** What callers must show; '' for nothing. */
  readonly token: string;
}
