// What the supervisor and its event loops say to each other: plain values, so that they pass between threads. Nothing of
// this is said for a connection or an exchange, only when something changes or somebody asks.

import type { ClusterStatus, ListenerStatus } from '../admin/control.ts';
import type { LogFields, LogLevel } from '../base/log.ts';
import type { Configuration } from '../config/configuration.ts';
import type { Cut } from '../server/listener.ts';
import type { InheritedSockets } from '../server/port.ts';
import type { BoundPort } from '../server/server.ts';
import type { CertificateNews } from '../tls/issuer.ts';
import type { Material } from '../tls/material.ts';
import type { EndpointOptions } from '../upstream/options.ts';

/** What an event loop is to serve. */
export interface Order {
  /** Its clusters have all endpoints that are known, not only those of the document. */
  readonly configuration: Configuration;
  /** Place among the event loops, from 0. */
  readonly place: number;
  /** How many there are. */
  readonly count: number;
  /** What session tickets are derived from, and the turn of the clock that it is of. */
  readonly tickets: { readonly secret: Uint8Array; readonly turn: number };
  /** Others bind the same addresses. */
  readonly shared: boolean;
  /** By key: ports that another event loop got for port 0. */
  readonly found: ReadonlyMap<string, number>;
  /** By key: listening sockets that are this loop's to take over. */
  readonly inherited: ReadonlyMap<string, InheritedSockets>;
  /** By listener: where connections are counted. */
  readonly crowds: ReadonlyMap<string, SharedArrayBuffer>;
  /** What files of certificates held when they were last of use. */
  readonly materials: readonly Material[];
}

/** What event loops let each other know: of endpoints, and of certificates. `Material` is for those that begin later. */
export type News =
  | CertificateNews
  | Material
  | { readonly kind: 'members'; readonly cluster: string; readonly endpoints: readonly EndpointOptions[] }
  | {
      readonly kind: 'health';
      readonly cluster: string;
      readonly endpoint: string;
      readonly health: 'unknown' | 'up' | 'down';
    }
  /** Its idle connections lead where it is not any more. */
  | { readonly kind: 'eviction'; readonly cluster: string; readonly endpoint: string }
  /** Put aside for this long; 0: used again. */
  | { readonly kind: 'ejection'; readonly cluster: string; readonly endpoint: string; readonly forMs: number };

/** What one event loop is doing. */
export interface LoopReport {
  readonly connections: number;
  readonly listeners: readonly ListenerStatus[];
  readonly clusters: readonly ClusterStatus[];
  readonly heapBytes: number;
}

export type PrepareResult = { readonly ports: readonly BoundPort[] } | { readonly fault: string };

/** An event loop as the supervisor sees it, wherever it runs. */
export interface EventLoop {
  /** Gets everything ready that an order needs; `commit` or `abort` is to follow. */
  prepare(order: Order): Promise<PrepareResult>;
  /**
   * The order holds once this resolves; what it makes superfluous ends within `drainTimeoutMs`. `news`: all that is known of
   * endpoints at this moment.
   */
  commit(drainTimeoutMs: number, news: readonly News[]): Promise<void>;
  /** Resolves once it has let go of what it had got ready, or was about to. */
  abort(): Promise<void>;
  tell(news: News): void;
  report(): Promise<LoopReport>;
  /** Another process has its ports too. */
  handOver(): void;
  /** Accepts nothing more; resolves when nothing is open, with what was cut off. */
  drain(timeoutMs: number): Promise<readonly Cut[]>;
  /** Ends at once. */
  stop(): Promise<void>;
}

/** What an event loop in a thread is asked for. The calls of `EventLoop`, with a number to tell the answers apart by. */
export type Call = {
  readonly [Name in keyof EventLoop]: {
    readonly id: number;
    readonly name: Name;
    readonly with: Parameters<EventLoop[Name]>;
  };
}[keyof EventLoop];

/** What such a thread says. */
export type Said =
  | { readonly kind: 'answer'; readonly id: number; readonly value: unknown }
  | { readonly kind: 'failure'; readonly id: number; readonly fault: string }
  | { readonly kind: 'news'; readonly news: News }
  | {
      readonly kind: 'log';
      readonly level: LogLevel;
      readonly message: string;
      readonly fields: LogFields | undefined;
    };

/** What such a thread is started with. */
export interface ThreadStart {
  readonly logLevel: LogLevel;
  /** Counts up while the event loop turns. */
  readonly beats: SharedArrayBuffer;
}
