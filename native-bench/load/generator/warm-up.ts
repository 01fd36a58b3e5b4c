// Before a thread measures anything its code is warmed up against a server of its own, so that Node's compiler is done
// and the first requests are not late for reasons of ours. The proxy sees nothing of it.

import { createServer } from 'node:net';
import type { HttpLoad } from '../load.ts';
import { ClosedLoop } from './closed-loop.ts';
import { HttpClient, httpScript } from './http-client.ts';
import { OpenLoop } from './open-loop.ts';
import type { Run } from './pace.ts';
import type { ThreadSpec } from './spec.ts';
import { Tally } from './tally.ts';

/** Takes WARM_SECONDS. Rejects when no server can be started on loopback. */
export async function warmUp({ ratePerSecond }: ThreadSpec): Promise<void> {
  const server = createServer((socket) => {
    socket.on('data', () => socket.write(REPLY));
    socket.on('error', () => {});
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const paced = ratePerSecond !== null;
  const tally = new Tally();
  const loop: Run = paced
    ? new OpenLoop(tally, { seconds: WARM_SECONDS, ratePerSecond: WARM_RATE, thread: 0, threads: 1 })
    : new ClosedLoop(WARM_SECONDS);
  const script = httpScript(LOAD, port, paced, null);
  await loop.run(Array.from({ length: LOAD.connections }, (_, index) => new HttpClient(script, tally, loop, index)));
  server.close();
}

const WARM_SECONDS = 0.25;
const WARM_RATE = 10_000;
const REPLY_BYTES = 129;
const REPLY = `HTTP/1.1 200 OK\r\nServer: warm\r\nContent-Length: ${REPLY_BYTES}\r\n\r\n${'w'.repeat(REPLY_BYTES)}`;
const LOAD: HttpLoad = {
  kind: 'http',
  connections: 4,
  requests: [{ method: 'GET', path: '/', fields: [], bodyBytes: 0, chunkBytes: 0, replyBytes: REPLY_BYTES }],
  closing: false,
};
