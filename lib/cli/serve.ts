// A configuration served until a signal ends it: what run, demo, http and tcp have in common.

import type { Log } from '../base/log.ts';
import type { Configuration } from '../config/configuration.ts';
import type { ReadResult } from '../config/read.ts';
import type { Ending } from '../process/departure.ts';
import { keepServing } from '../process/faults.ts';
import { Inheritance } from '../process/inheritance.ts';
import { Notifier } from '../process/notify.ts';
import { SERVING } from '../process/successor.ts';
import { Supervisor } from '../process/supervisor.ts';
import { type Capacity, capacityOf } from '../server/capacity.ts';
import { descriptorLimit } from '../server/descriptors.ts';
import { EXIT_CUT, EXIT_FAILED, EXIT_FINE } from './command.ts';
import { Signals, settle } from './signals.ts';

/** Called once everything listens, with the addresses as bound. */
export type Started = (addresses: readonly { listener: string; address: string }[]) => void;

export interface ServeOptions {
  /** Called once everything listens. */
  readonly started?: Started;
  /** Is started when the configuration cannot be. */
  readonly otherwise?: Configuration;
  /** Reads the configuration anew, for a reload. */
  readonly read?: () => Promise<ReadResult>;
  /** Reports when the configuration's file has changed, which reloads it. */
  readonly watch?: (changed: () => void) => void;
  /** Leaves nobody else room on the same ports; with `workers: 0`. */
  readonly exclusive?: boolean;
  /** Where they are obeyed already. */
  readonly signals?: Signals;
  /** Nobody minds what is cut off at the end. */
  readonly careless?: boolean;
}

/**
 * Starts the proxy and resolves to the exit code once it has ended: 0 after a drain, or when it was told to end before it
 * served; 3 when something was cut off at its end, 1 when it could not start, or was told twice to stop.
 */
export async function serve(configuration: Configuration, log: Log, options: ServeOptions = {}): Promise<number> {
  const { read, started, otherwise, watch, exclusive = false, signals = Signals.obey() } = options;
  const { ending: signal } = signals;
  const inheritance = Inheritance.claim();
  if ('fault' in inheritance) {
    log.error(inheritance.fault);
    return EXIT_FAILED;
  }
  const given = { ...(read !== undefined && { read }), inheritance, upgradable: true, exclusive, signal };
  let proxy = await Supervisor.start(configuration, log, given);
  if (!(proxy instanceof Supervisor) && otherwise !== undefined) proxy = await Supervisor.start(otherwise, log, given);
  if (signal.aborted) {
    if (proxy instanceof Supervisor) await proxy.ended;
    log.info('told to end before it served');
    await settle();
    return EXIT_FINE;
  }
  if (!(proxy instanceof Supervisor)) {
    log.error(proxy.fault);
    await settle();
    return EXIT_FAILED;
  }
  keepServing(log);
  signals.lead(proxy, log);
  watch?.(() => void proxy.reload());
  for (const { listener, address } of proxy.addresses) log.info('listening', { listener, address });
  tellCapacity(proxy, log);
  started?.(proxy.addresses);
  const notifier = notifyOf(proxy, log);
  // A predecessor waits for this, and then drains.
  if (process.connected) process.send?.(SERVING, () => process.disconnect());
  const ending = await proxy.ended;
  await notifier.close();
  await settle();
  return ending === 'cut' && options.careless ? EXIT_FINE : EXIT_CODES[ending];
}

const EXIT_CODES: Readonly<Record<Ending, number>> = {
  drained: EXIT_FINE,
  cut: EXIT_CUT,
  stopped: EXIT_FAILED,
  failed: EXIT_FAILED,
};

function notifyOf(proxy: Supervisor, log: Log): Notifier {
  const notifier = new Notifier(log);
  const ready = (): void => notifier.ready(`serving, configuration ${proxy.generation}`);
  proxy.on('reloading', () => notifier.reloading());
  let leaving = false;
  proxy.on('reloaded', () => {
    // A reload that a drain breaks off ends behind it.
    if (!leaving) ready();
  });
  proxy.on('draining', (succeeded) => {
    leaving = true;
    // The service goes on in the successor's hands: to say that it stops would end that one too.
    if (succeeded) notifier.handOver();
    else notifier.stopping();
  });
  ready();
  notifier.watch(() => proxy.sound);
  return notifier;
}

/** Says how many connections this process can hold, and whenever its listeners may have more than before and than that. */
function tellCapacity(proxy: Supervisor, log: Log): void {
  const descriptors = descriptorLimit;
  if (!Number.isFinite(descriptors)) return;
  const now = (): Capacity => capacityOf(Object.values(proxy.configuration.listeners), descriptors);
  log.info('capacity', { workers: proxy.workers, descriptors, connections: now().connections });
  let told = 0;
  const warn = (): void => {
    const { wanted, enough } = now();
    const more = !enough && wanted > told;
    told = wanted;
    if (!more) return;
    log.warn('fewer descriptors than listeners may have connections: raise the hard limit (ulimit -Hn, LimitNOFILE)', {
      wanted: Number.isFinite(wanted) ? wanted : 'no limit',
      descriptors,
    });
  };
  warn();
  proxy.on('configured', warn);
}
