// The origin that comes with Millrace, a program of its own so that it can stand on a core of its own. Arguments: PORT
// WORKERS. More than one worker are threads that share the port; each has parser and buffers to itself.

import { isMainThread } from 'node:worker_threads';
import { startThread } from '../../../lib/base/asset.ts';
import { listen } from './server.ts';

const [port = 0, workers = 1] = process.argv.slice(2).map(Number);

if (isMainThread) {
  for (let worker = 1; worker < workers; worker++) {
    // Without one of them the origin would quietly be slower than it was said to be.
    startThread('native-bench/origin/own/main', { argv: [String(port), String(workers)] }).on('error', (error) => {
      throw error;
    });
  }
}
listen(port, workers > 1);
