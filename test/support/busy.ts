// `node --import busy.ts PROGRAM`: from SIGTERM on, what Node leaves to its pool of threads (file system, names) waits for
// long. With UV_THREADPOOL_SIZE=1.

import { pbkdf2 } from 'node:crypto';
import { isMainThread } from 'node:worker_threads';

/** A good part of a second on any machine. */
const ROUNDS = 1_000_000;

if (isMainThread) process.on('SIGTERM', () => pbkdf2('', '', ROUNDS, 64, 'sha512', () => {}));
