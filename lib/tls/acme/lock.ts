// One at a time among all processes that share a folder: a file that its holder keeps fresh. It works on any file system
// that can make a file exclusively, also between containers; whoever dies holding it is relieved once it is stale.

import { randomBytes } from 'node:crypto';
import {
  closeSync,
  linkSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeSync,
} from 'node:fs';

const FRESHEN_MS = 10_000;
const STALE_MS = 60_000;

/** Calls `release` when done. */
export interface Held {
  release(): void;
}

/** Takes the lock, or answers null when somebody else has it. Throws when the folder cannot be written. */
export function tryLock(file: string): Held | null {
  const own = randomBytes(12).toString('hex');
  if (!create(file, own) && !(relieve(file) && create(file, own))) return null;
  const timer = setInterval(() => {
    const now = new Date();
    try {
      // Whoever was taken for dead, after a sleep of the machine say, must not keep another's lock fresh.
      if (read(file) === own) utimesSync(file, now, now);
    } catch {
      // Gone: nothing to keep fresh.
    }
  }, FRESHEN_MS);
  timer.unref();
  return {
    release() {
      clearInterval(timer);
      if (read(file) === own) rmSync(file, { force: true });
    },
  };
}

function create(file: string, own: string): boolean {
  try {
    const descriptor = openSync(file, 'wx', 0o600);
    writeSync(descriptor, own);
    closeSync(descriptor);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

/** Removes a lock that nobody has kept fresh. */
function relieve(file: string): boolean {
  const before = read(file);
  if (!isStale(file)) return false;
  const aside = `${file}.${randomBytes(6).toString('hex')}`;
  try {
    renameSync(file, aside);
  } catch {
    // Another was quicker.
    return false;
  }
  // Between the look and the rename another may have relieved it and taken its place: then it is put back.
  if (read(aside) !== before) {
    try {
      linkSync(aside, file);
    } catch {
      // Taken again already. Two may then hold it for once, which costs an order too many, and no certificate.
    }
  }
  rmSync(aside, { force: true });
  return read(file) === null;
}

function isStale(file: string): boolean {
  try {
    return Date.now() - statSync(file).mtimeMs > STALE_MS;
  } catch {
    return true;
  }
}

function read(file: string): string | null {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return null;
  }
}
