// `millrace drain`: tells a running proxy to finish what is open, and to end.

import { ADMIN_OPTION, adminAddress, askAdmin } from './admin-client.ts';
import { type Command, EXIT_FAILED, EXIT_FINE, EXIT_USAGE } from './command.ts';
import { reportFailure, reportUsage, writeResult } from './output.ts';

export const drainCommand: Command = {
  name: 'drain',
  usage: '[--admin ADDRESS]',
  summary: 'tells a running proxy to accept nothing new, finish what is open, and end',
  details: 'The same as SIGTERM. It returns at once; the proxy ends when nothing is open, or drainTimeout has passed.',
  options: { admin: ADMIN_OPTION },
  operands: { least: 0, most: 0 },
  async run(given) {
    const address = adminAddress(given);
    if ('fault' in address) {
      reportUsage([address.fault], 'millrace drain --help');
      return EXIT_USAGE;
    }
    const answer = await askAdmin(address, 'POST', '/v1/drain');
    if ('fault' in answer) {
      reportFailure(answer.fault);
      return EXIT_FAILED;
    }
    writeResult('draining\n');
    return EXIT_FINE;
  },
};
