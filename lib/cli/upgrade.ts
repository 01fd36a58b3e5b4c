// `millrace upgrade`: a running proxy starts the program that lies on disk now, hands its ports over to it, and drains.

import { ADMIN_OPTION, adminAddress, askAdmin } from './admin-client.ts';
import { type Command, EXIT_FAILED, EXIT_FINE, EXIT_USAGE } from './command.ts';
import { reportFailure, reportUsage, writeResult } from './output.ts';

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
  async run(given) {
    const address = adminAddress(given);
    if ('fault' in address) {
      reportUsage([address.fault], 'millrace upgrade --help');
      return EXIT_USAGE;
    }
    const answer = await askAdmin(address, 'POST', '/v1/upgrade', {}, PATIENCE_MS);
    if ('fault' in answer) {
      reportFailure(answer.fault);
      return EXIT_FAILED;
    }
    writeResult(`process ${(answer.body as { pid: number }).pid} serves; the one before drains\n`);
    return EXIT_FINE;
  },
};
