// Faults of our own that nobody caught: one in one exchange must not end the others. Each is told with its stack, and the
// event loop goes on.

import type { Log } from '../base/log.ts';

const UNCAUGHT_EVERY_MS = 100;

export function keepServing(log: Log): void {
  const limited = log.limited('uncaught', UNCAUGHT_EVERY_MS);
  process.on('uncaughtException', (error, origin) => limited.error('uncaught, please report this', { origin, error }));
  // Without a handler of its own a rejection would come by the one above; this keeps the log from calling it an exception.
  process.on('unhandledRejection', (reason) =>
    limited.error('unhandled rejection, please report this', { error: reason }),
  );
}
