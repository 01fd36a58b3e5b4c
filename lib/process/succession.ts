// Handing over to a successor: it gets every listening socket of this process, and once it serves, nothing here accepts for
// itself any more.

import type { Refusal } from '../admin/control.ts';
import type { Log } from '../base/log.ts';
import type { AdminDoor } from './admin-door.ts';
import type { Crew } from './crew.ts';
import { startSuccessor } from './successor.ts';

/** Why there can be none; null when there can. `pid`: of this process. */
export function refuseSuccessor(upgradable: boolean, pid: number): Refusal | null {
  if (!upgradable) {
    return { status: 409, fault: 'it runs within another program, which would be started once more' };
  }
  if (pid === 1) {
    return { status: 409, fault: 'it is process 1 here, whose end would end its successor too: replace the container' };
  }
  return null;
}

/** Starts one and waits until it serves; `signal` gives it up until then. Event loops that are lost meanwhile may be replaced. */
export async function handOver(
  crew: Crew,
  admin: AdminDoor,
  log: Log,
  signal: AbortSignal,
): Promise<{ readonly pid: number } | Refusal> {
  const ports = crew.seats.flatMap((seat) => seat.ports).filter(({ descriptor }) => descriptor >= 0);
  const loops = new Set(crew.seats.map(({ loop }) => loop));
  log.info('starting a successor', { program: process.execPath });
  const started = await startSuccessor([...ports, ...admin.sockets], signal, (how) =>
    log.error('the successor has ended', { how }),
  );
  if ('fault' in started) {
    log.error('the successor did not start, this process goes on', { fault: started.fault });
    return { status: 500, fault: started.fault };
  }
  log.info('the successor serves', { pid: started.pid });
  crew.handOver(loops);
  admin.handOver();
  return started;
}
