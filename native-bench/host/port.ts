// Ports for programs that must be told theirs.

import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server } from 'node:net';

/**
 * A port of this machine that is free, and that nobody else who asks here is given as long as this process lives: for programs
 * that cannot tell which port they got, and for ports that are free now and then. Below the range that the kernel takes ports
 * for outgoing connections from, of which there are many.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(12_000, 32_000);
    // A name that the kernel forgets with the process (abstract, unix(7)).
    if (!(await listening(createServer().listen(`\0millrace-port-${port}`).unref()))) continue;
    const server = createServer().listen(port);
    if (!(await listening(server))) continue;
    server.close();
    await once(server, 'close');
    return port;
  }
}

/** False when somebody else listens there. */
function listening(server: Server): Promise<boolean> {
  return once(server, 'listening').then(
    () => true,
    () => false,
  );
}
