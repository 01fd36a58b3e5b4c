// `--workers`: how many event loops there are, whatever the configuration says.

import type { Configuration } from '../config/configuration.ts';
import { MOST_LOOPS } from '../server/crowd.ts';
import type { Arguments, OptionDescription } from './command.ts';

export const WORKERS_OPTION: OptionDescription = {
  value: 'N',
  summary: 'event loops, each in a thread of its own; 0: the main thread alone (default: as configured, one per core)',
};

/** What the option does to a configuration, or what is wrong with it. */
export function readWorkers({
  options,
}: Arguments): ((configuration: Configuration) => Configuration) | { readonly fault: string } {
  const text = options.get('workers');
  if (text === undefined || text === 'auto') return (configuration) => configuration;
  const workers = /^\d{1,3}$/.test(text) ? Number(text) : Number.NaN;
  if (!(workers <= MOST_LOOPS)) return { fault: `--workers: "${text}" is not a number from 0 to ${MOST_LOOPS}` };
  return (configuration) => ({ ...configuration, workers });
}
