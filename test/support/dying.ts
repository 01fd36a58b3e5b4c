// Loaded before the proxy (`--import`): of its threads the one that was started as number DYING, from 0, ends in place of going
// over to the first configuration that it has prepared.

import { isMainThread, type Worker } from 'node:worker_threads';
import type { Call } from '../../lib/process/channel.ts';

let threads = 0;
if (isMainThread) process.on('worker', lead);

function lead(thread: Worker): void {
  if (threads++ !== Number(process.env['DYING'])) return;
  const post = thread.postMessage.bind(thread) as (call: Call) => void;
  thread.postMessage = (call: Call) => {
    if (call.name === 'commit') void thread.terminate();
    else post(call);
  };
}
