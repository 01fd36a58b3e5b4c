// One thread's part of a load, from its specification to what it saw.

import { onCrash } from '../../../lib/io/connection.ts';
import { ClosedLoop } from './closed-loop.ts';
import { loopback } from './dialed-client.ts';
import { Handshakes } from './handshakes.ts';
import { HttpClient, httpScript } from './http-client.ts';
import { OPEN_PATIENCE_MS, OpenLoop } from './open-loop.ts';
import type { Client, Run } from './pace.ts';
import { partOf, type ThreadOutcome, type ThreadSpec } from './spec.ts';
import { Tally } from './tally.ts';
import { warmUp } from './warm-up.ts';
import { WebSocketClient, webSocketScript } from './websocket-client.ts';

/** Runs the thread's part to its end. Rejects only when code of ours fails. */
export async function generate(spec: ThreadSpec): Promise<ThreadOutcome> {
  const { load, port, seconds, ratePerSecond, thread, threads } = spec;
  const crashed = new Promise<never>((_resolve, reject) => onCrash(reject));
  await Promise.race([warmUp(spec), crashed]);
  const handshakes = load.kind === 'http' && load.tls !== undefined ? new Handshakes(load.tls) : null;
  await handshakes?.prepare(loopback(port));
  const tally = ratePerSecond === null ? new Tally() : new Tally(OPEN_PATIENCE_MS);
  const loop: Run =
    ratePerSecond === null ? new ClosedLoop(seconds) : new OpenLoop(tally, { seconds, ratePerSecond, thread, threads });
  const took = await Promise.race([loop.run(clientsOf(spec, tally, loop, handshakes)), crashed]);
  return tally.outcome(took, handshakes?.counts ?? { full: 0, resumed: 0 });
}

function clientsOf(spec: ThreadSpec, tally: Tally, loop: Run, handshakes: Handshakes | null): Client[] {
  const { load, port, thread, threads } = spec;
  const paced = spec.ratePerSecond !== null;
  const count = partOf(load.connections, thread, threads);
  if (load.kind === 'websocket') {
    const script = webSocketScript(load, port, paced);
    return Array.from({ length: count }, () => new WebSocketClient(script, tally, loop));
  }
  const script = httpScript(load, port, paced, handshakes);
  return Array.from({ length: count }, (_, index) => new HttpClient(script, tally, loop, thread + index * threads));
}
