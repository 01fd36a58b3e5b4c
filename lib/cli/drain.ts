// `millrace drain`: tells a running proxy to finish what is open, and to end.

import { ADMIN_OPTION, refusedByAdmin, withAdmin } from './admin-client.ts';
import { type Command, EXIT_FINE } from './command.ts';
import { writeResult } from './output.ts';

export const drainCommand: Command = {
  name: 'drain',
  usage: '[--admin ADDRESS]',
  summary: 'tells a running proxy to accept nothing new, finish what is open, and end',
  details: 'The same as SIGTERM. It returns at once; the proxy ends when nothing is open, or drainTimeout has passed.',
  options: { admin: ADMIN_OPTION },
  operands: { least: 0, most: 0 },
  run: (given) =>
    withAdmin('drain', given, async (ask) => {
      const answer = await ask('POST', '/v1/drain');
      if ('fault' in answer) return refusedByAdmin(answer);
      writeResult('draining\n');
      return EXIT_FINE;
    }),
};
