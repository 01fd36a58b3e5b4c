// `millrace check`: every fault of a configuration at once, without starting anything.

import { type Command, EXIT_FINE, EXIT_USAGE, LOG_OPTION } from './command.ts';
import { CONFIG_OPTION, chooseFile, readFileOf } from './configuration-file.ts';
import { readLogChoice, reportConfigErrors, reportUsage, writeResult } from './output.ts';

export const checkCommand: Command = {
  name: 'check',
  usage: '[-c FILE]',
  summary: 'validates a configuration and tells every error at once',
  details: `
Each error is one line: FILE:LINE:COLUMN: path.in.document: what is wrong, what would be right.
With --log json each is one JSON object. Exits with 2 when there is an error; warnings alone do not count.`,
  options: { config: CONFIG_OPTION, log: LOG_OPTION },
  operands: { least: 0, most: 0 },
  async run(given) {
    const log = readLogChoice(given.options.get('log'));
    const chosen = chooseFile(given);
    const faults = [log, chosen].flatMap((one) => ('fault' in one ? [one.fault] : []));
    if ('fault' in log || 'fault' in chosen) {
      reportUsage(faults, 'millrace check --help');
      return EXIT_USAGE;
    }
    const result = await readFileOf(chosen.file);
    // Editors and CI read these lines, so they stay lines also when nobody looks at a terminal.
    const json = log.format === 'json';
    if ('errors' in result) {
      reportConfigErrors(result.errors, 'error', json);
      return EXIT_USAGE;
    }
    reportConfigErrors(result.warnings, 'warn', json);
    const { listeners, clusters } = result.configuration;
    const counts = `${count(listeners, 'listener')}, ${count(clusters, 'cluster')}`;
    writeResult(`${chosen.file} is valid: ${counts}\n`);
    return EXIT_FINE;
  },
};

function count(named: object, what: string): string {
  const { length } = Object.keys(named);
  return `${length} ${what}${length === 1 ? '' : 's'}`;
}
