// What the HTTP side of a listener is to the exchanges that arrive there. Built with the snapshot; exchanges read it
// anew each time, so that a change reaches clients that keep their connection.

import type { Log } from '../base/log.ts';
import type { Table } from '../route/table.ts';
import type { RouteTarget } from './exchange.ts';
import type { DownstreamLimits, DownstreamTimeouts } from './options.ts';

export interface HttpListener {
  readonly routes: Table<RouteTarget>;
  readonly limits: DownstreamLimits;
  readonly timeouts: DownstreamTimeouts;
  /** Replies end their connection from now on. */
  readonly draining: boolean;
  /** How long a client that was promised another exchange is waited for while draining. */
  readonly graceMs: number;
  readonly log: Log;
  readonly stats: { exchanges: number; refused: number };
}

/** A connection of a client, as one sees it who wants it to end. */
export interface Drainable {
  /** The listener is draining: the client is told with its next reply, and loses nothing that it has sent until then. */
  retire(): void;
  /** Closes if nothing is under way, and answers whether it did; otherwise the client is told with its next reply. */
  drain(): boolean;
  /** As `drain`, but also when no request has come yet. */
  shed(): boolean;
}
