// A proxy whose event loops come to harm: `node --import torment.ts supervised.ts FILE [STANDSTILL_MS]`, then on standard
// input `end N`, `block N`, `hang N FILE` or `grow N`, where N counts threads from 0 in the order in which they were started. SIGTERM drains.

import { createInterface } from 'node:readline';
import { BroadcastChannel, type Worker } from 'node:worker_threads';
import { createLog } from '../../lib/base/log.ts';
import { settle } from '../../lib/cli/signals.ts';
import { loadConfiguration } from '../../lib/config/read.ts';
import { Supervisor } from '../../lib/process/supervisor.ts';
import type { Torment } from './torment.ts';

const [, , file = '', standstillMs = '10000'] = process.argv;
const threads: Worker[] = [];
process.on('worker', (thread) => threads.push(thread));

const log = createLog({
  level: 'info',
  format: 'json',
  colours: false,
  write: (line) => process.stderr.write(line),
  now: Date.now,
});
const read = await loadConfiguration(file, process.env);
if ('errors' in read) throw new Error(JSON.stringify(read.errors));
const supervisor = await Supervisor.start(read.configuration, log, { standstillMs: Number(standstillMs) });
if (!(supervisor instanceof Supervisor)) throw new Error(supervisor.fault);
for (const { listener, address } of supervisor.addresses) log.info('listening', { listener, address });

const channel = new BroadcastChannel('torment');
createInterface({ input: process.stdin }).on('line', (line) => {
  const [what, place, file] = line.split(' ');
  const thread = threads[Number(place)]!;
  if (what === 'end') void thread.terminate();
  else channel.postMessage({ thread: thread.threadId, what, file } as Torment);
});
process.on('SIGTERM', () => supervisor.drain());
const ending = await supervisor.ended;
await settle();
process.exit(ending === 'drained' ? 0 : 1);
