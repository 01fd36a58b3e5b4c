// `millrace upgrade`: a running proxy starts the program that lies on disk now, hands its ports over to it, and drains.

import { ADMIN_OPTION, refusedByAdmin, withAdmin } from './admin-client.ts';
import { type Command, EXIT_FINE } from './command.ts';
import { writeResult } from './output.ts';

const PATIENCE_MS = 40_000;

export const upgradeCommand: Command = {
  name: 'upgrade',
  usage: '[--admin ADDRESS]',
  summary: 'lets a running proxy start its successor, hand its ports over to it, and drain',
  details: `
The successor is the program as it lies on disk now, with the same arguments. It takes over the listening sockets
themselves, so no connection is refused or lost, not even one that waits to be accepted. Until it serves, nothing changes:
if it does not start, the proxy goes on and says why.`,
  options: { admin: ADMIN_OPTION },
  operands: { least: 0, most: 0 },
  run: (given) =>
    withAdmin('upgrade', given, async (ask) => {
      const answer = await ask('POST', '/v1/upgrade', {}, PATIENCE_MS);
      if ('fault' in answer) return refusedByAdmin(answer);
      writeResult(`process ${(answer.body as { pid: number }).pid} serves; the one before drains\n`);
      return EXIT_FINE;
    }),
};
