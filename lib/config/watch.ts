// Notices that a configuration file has changed. Looked at rather than watched by events, which miss files that are replaced
// and links that are switched, as containers do it.

import { stat } from 'node:fs/promises';

const LOOK_EVERY_MS = 1000;

/** What a file is at this moment, to notice later that it is not any more. */
export type FileStamp = string;

/**
 * Calls `changed` whenever the file has become another than `stamp` says, and then than it was last, once it has been the
 * same for one look. Never ends by itself.
 */
export function watchFile(file: string, stamp: FileStamp, changed: () => void): void {
  let told = stamp;
  let last = stamp;
  const look = async (): Promise<void> => {
    const now = await stampFile(file);
    // What is in the middle of being written changes again until the next look; what is missing is being replaced.
    if (now !== '' && now === last && now !== told) {
      told = now;
      changed();
    }
    last = now;
    setTimeout(look, LOOK_EVERY_MS).unref();
  };
  setTimeout(look, LOOK_EVERY_MS).unref();
}

export async function stampFile(file: string): Promise<FileStamp> {
  const found = await stat(file).catch(() => null);
  return found === null ? '' : `${found.mtimeMs} ${found.size} ${found.ino}`;
}
