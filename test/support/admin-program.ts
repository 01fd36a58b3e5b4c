// Has descriptor 3, a listening socket of somebody else's at 127.0.0.1, as the admin listener of a successor does; standard
// input then says `admit`, and callers are answered, or `stop`. With the argument `idle` it only holds the socket until then.

import { createInterface } from 'node:readline';
import { Api } from '../../lib/admin/api.ts';
import type { Control } from '../../lib/admin/control.ts';
import { AdminServer } from '../../lib/admin/server.ts';
import { createLog } from '../../lib/base/log.ts';

const bind = { kind: 'tcp', host: '127.0.0.1', port: 0, path: '', fd: -1 } as const;
const options = { bind, token: '' };
const log = createLog({
  level: 'info',
  format: 'json',
  colours: false,
  write: (line) => void process.stderr.write(line),
  now: Date.now,
});
let server = process.argv[2] === 'idle' ? null : await start();
console.log('prepared');

createInterface({ input: process.stdin }).on('line', async (line) => {
  server ??= await start();
  if (line === 'stop') server.stop();
  else server.admit(options);
  console.log(`did ${line}`);
});

async function start(): Promise<AdminServer> {
  const api = new Api({ ready: true } as Control, () => ({ fault: 'nothing is changed here' }));
  const started = await AdminServer.start(options, api, log, { bound: bind, descriptors: [3] });
  if ('fault' in started) throw new Error(started.fault);
  return started;
}
