// `millrace run`: runs a configuration until a signal ends it.

import { type FileStamp, stampFile, watchFile } from '../config/watch.ts';
import { Reading } from '../process/reading.ts';
import { type Command, EXIT_FAILED, EXIT_FINE, EXIT_USAGE, LOG_OPTION } from './command.ts';
import { CONFIG_OPTION, chooseFile, readFileOf } from './configuration-file.ts';
import { openLog, readLogChoice, reportConfigErrors, reportFailure, reportUsage } from './output.ts';
import { serve } from './serve.ts';
import { Signals, settle } from './signals.ts';
import { readWorkers, WORKERS_OPTION } from './workers.ts';

export const runCommand: Command = {
  name: 'run',
  usage: '[-c FILE] [--watch]',
  summary: 'runs a configuration',
  details: `
SIGHUP reads the configuration anew and goes over to it, all or nothing: nobody is cut off, and what has not changed keeps
its connections. --watch does so whenever the file changes.

SIGTERM and SIGINT (Ctrl-C) drain: nothing new is accepted, open exchanges finish within drainTimeout, then it exits:
with 0, or with 3 when something was cut off. A second one exits at once, with 1.`,
  options: {
    config: CONFIG_OPTION,
    watch: { summary: 'reload whenever the file changes' },
    workers: WORKERS_OPTION,
    log: LOG_OPTION,
  },
  operands: { least: 0, most: 0 },
  async run(given) {
    const choice = readLogChoice(given.options.get('log'));
    const chosen = chooseFile(given);
    const workers = readWorkers(given);
    const faults = [choice, chosen, workers].flatMap((one) => ('fault' in one ? [one.fault] : []));
    if ('fault' in choice || 'fault' in chosen || 'fault' in workers) {
      reportUsage(faults, 'millrace run --help');
      return EXIT_USAGE;
    }
    const signals = Signals.obey();
    let stamp: FileStamp = '';
    const reading = new Reading(async () => {
      // Before it is read: what changes meanwhile is to be noticed.
      stamp = await stampFile(chosen.file);
      return readFileOf(chosen.file);
    });
    const result = await reading.next(signals.ending);
    if ('fault' in result) {
      if (!signals.ending.aborted) reportFailure(`${chosen.file}: ${result.fault}`);
      await settle();
      return signals.ending.aborted ? EXIT_FINE : EXIT_FAILED;
    }
    const json = (choice.format ?? (process.stderr.isTTY ? 'text' : 'json')) === 'json';
    if ('errors' in result) {
      reportConfigErrors(result.errors, 'error', json);
      return EXIT_USAGE;
    }
    reportConfigErrors(result.warnings, 'warn', json);
    return serve(workers(result.configuration), openLog(choice, result.configuration.log.level), {
      signals,
      read: async () => {
        const again = await readFileOf(chosen.file);
        return 'errors' in again ? again : { ...again, configuration: workers(again.configuration) };
      },
      ...(given.options.has('watch') && { watch: (changed) => watchFile(chosen.file, stamp, changed) }),
    });
  },
};
