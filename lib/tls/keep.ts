// Files with keys and certificates: written whole or not at all, and readable by nobody else.

import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  closeSync,
  fsyncSync,
  linkSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { dirname, join } from 'node:path';

/** What a file holds, null when there is none. Throws for other reasons. */
export function readKept(file: string): string | null {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

/** Puts `text` at `file` (0600) unless somebody was quicker; answers what is there then. */
export function keepFirst(file: string, text: string): string {
  const fresh = beside(file);
  writeWhole(fresh, text, 0o600);
  try {
    // Unlike a rename this fails where there is one already.
    linkSync(fresh, file);
    return text;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    return readFileSync(file, 'utf8');
  } finally {
    rmSync(fresh, { force: true });
  }
}

/** Puts `text` at `file` (0600) in place of what is there. Whoever reads it meanwhile reads the one or the other. */
export function keepLast(file: string, text: string): void {
  const fresh = beside(file);
  try {
    writeWhole(fresh, text, 0o600);
    renameSync(fresh, file);
  } catch (error) {
    rmSync(fresh, { force: true });
    throw error;
  }
}

function beside(file: string): string {
  return join(dirname(file), `.${process.pid}-${randomBytes(6).toString('hex')}`);
}

/** Puts `text` at `file` with this mode, unless it is there already. */
export function writeAnew(file: string, text: string, mode: number): void {
  if (readKept(file) === text) return;
  rmSync(file, { force: true });
  try {
    writeWhole(file, text, mode);
  } catch (error) {
    // Another process writes the same.
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
}

function writeWhole(file: string, text: string, mode: number): void {
  const descriptor = openSync(file, 'wx', mode);
  try {
    writeSync(descriptor, text);
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
  // Whatever the umask says.
  chmodSync(file, mode);
}
