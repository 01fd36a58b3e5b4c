// Notices that a configuration file has changed. Looked at rather than watched by events, which miss files that are replaced
// and links that are switched, as containers do it.

import { stat } from 'node:fs/promises';

const LOOK_EVERY_MS = 1000;

/** Calls `changed` whenever the file has become another, once it has been the same for one look. Never ends by itself. */
export function watchFile(file: string, changed: () => void): void {
  let told: string | null = null;
  let last = '';
  const look = async (): Promise<void> => {
    const stamp = await stampOf(file);
    // What is in the middle of being written changes again until the next look; what is missing is being replaced.
    if (stamp !== '' && stamp === last) {
      if (told !== null && stamp !== told) changed();
      told = stamp;
    }
    last = stamp;
    setTimeout(look, LOOK_EVERY_MS).unref();
  };
  void look();
}

async function stampOf(file: string): Promise<string> {
  const found = await stat(file).catch(() => null);
  return found === null ? '' : `${found.mtimeMs} ${found.size} ${found.ino}`;
}
