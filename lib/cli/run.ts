// `millrace run`: runs a configuration until a signal ends it.

import { type Command, EXIT_USAGE, LOG_OPTION } from './command.ts';
import { CONFIG_OPTION, chooseFile, readFileOf } from './configuration-file.ts';
import { openLog, readLogChoice, reportConfigErrors, reportUsage } from './output.ts';
import { serve } from './serve.ts';

export const runCommand: Command = {
  name: 'run',
  usage: '[-c FILE]',
  summary: 'runs a configuration',
  details: `
SIGTERM and SIGINT (Ctrl-C) drain: nothing new is accepted, open exchanges finish within drainTimeout, then it exits.
A second one exits at once.`,
  options: { config: CONFIG_OPTION, log: LOG_OPTION },
  operands: { least: 0, most: 0 },
  async run(given) {
    const choice = readLogChoice(given.options.get('log'));
    const chosen = chooseFile(given);
    const faults = [choice, chosen].flatMap((one) => ('fault' in one ? [one.fault] : []));
    if ('fault' in choice || 'fault' in chosen) {
      reportUsage(faults, 'millrace run --help');
      return EXIT_USAGE;
    }
    const result = await readFileOf(chosen.file);
    const json = (choice.format ?? (process.stderr.isTTY ? 'text' : 'json')) === 'json';
    if ('errors' in result) {
      reportConfigErrors(result.errors, 'error', json);
      return EXIT_USAGE;
    }
    reportConfigErrors(result.warnings, 'warn', json);
    return serve(result.configuration, openLog(choice, result.configuration.log.level));
  },
};
