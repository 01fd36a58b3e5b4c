// `millrace version`.

import about from '../../package.json' with { type: 'json' };
import { type Command, EXIT_FINE } from './command.ts';
import { writeResult } from './output.ts';

export const versionCommand: Command = {
  name: 'version',
  usage: '',
  summary: 'prints the version',
  details: '',
  options: {},
  operands: { least: 0, most: 0 },
  async run() {
    writeResult(`millrace ${about.version} (Node ${process.versions.node})\n`);
    return EXIT_FINE;
  },
};
