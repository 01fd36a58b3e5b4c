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
  readonly log: Log;
  readonly stats: { exchanges: number; refused: number };
}
