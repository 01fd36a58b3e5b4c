// A configuration served until a signal ends it: what run, demo, http and tcp have in common.

import type { Log } from '../base/log.ts';
import type { Configuration } from '../config/configuration.ts';
import { RunningProxy } from '../process/running-proxy.ts';
import { EXIT_FAILED, EXIT_FINE } from './command.ts';

/** Called once everything listens, with the addresses as bound. */
export type Started = (addresses: readonly { listener: string; address: string }[]) => void;

/**
 * Starts the proxy and resolves to the exit code once it has ended: 0 after a drain (also when the drain timeout cut
 * something off, which the log then says), 1 when it could not start or was told twice to stop. `otherwise` is started
 * when `configuration` cannot be.
 */
export async function serve(
  configuration: Configuration,
  log: Log,
  started?: Started,
  otherwise?: Configuration,
): Promise<number> {
  let proxy = await RunningProxy.start(configuration, log);
  if (!(proxy instanceof RunningProxy) && otherwise !== undefined) proxy = await RunningProxy.start(otherwise, log);
  if (!(proxy instanceof RunningProxy)) {
    log.error(proxy.fault);
    return EXIT_FAILED;
  }
  keepServing(log);
  endOnSignal(proxy, log);
  for (const { listener, address } of proxy.addresses) log.info('listening', { listener, address });
  started?.(proxy.addresses);
  return (await proxy.ended) === 'drained' ? EXIT_FINE : EXIT_FAILED;
}

/** A fault of ours in one exchange must not end the others: it is told with its stack, and the proxy goes on. */
function keepServing(log: Log): void {
  const limited = log.limited('uncaught', UNCAUGHT_EVERY_MS);
  process.on('uncaughtException', (error, origin) => limited.error('uncaught, please report this', { origin, error }));
  // Without a handler of its own a rejection would come by the one above; this keeps the log from calling it an exception.
  process.on('unhandledRejection', (reason) =>
    limited.error('unhandled rejection, please report this', { error: reason }),
  );
}

const UNCAUGHT_EVERY_MS = 100;

function endOnSignal(proxy: RunningProxy, log: Log): void {
  const end = (signal: NodeJS.Signals): void => {
    log.info('told to end', { signal });
    if (proxy.drain()) return;
    log.warn('stopping at once', { signal });
    proxy.stop();
  };
  process.on('SIGTERM', end);
  process.on('SIGINT', end);
  process.on('SIGHUP', () => log.warn('SIGHUP: reloading is not supported yet; the proxy goes on unchanged'));
  // Log rotation sends this to every daemon; the default would be to die of it.
  process.on('SIGUSR2', () => log.debug('SIGUSR2: there are no log files to reopen'));
}
