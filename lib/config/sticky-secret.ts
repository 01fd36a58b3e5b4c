// What cookies of sticky sessions are signed with when the configuration does not say.

import { randomBytes } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { keepFirst, readKept } from '../tls/keep.ts';
import { stateFolder } from '../tls/state-folder.ts';

/** The one that is kept, without making one; '' when there is none. */
export function keptStickySecret(): string {
  try {
    return readKept(join(stateFolder(), 'sticky.key')) ?? '';
  } catch {
    return '';
  }
}

/** A secret of this user's, so that cookies hold after a restart; of this process alone where nothing can be kept. */
export function stickySecret(): string {
  const fresh = randomBytes(32).toString('base64url');
  try {
    const folder = stateFolder();
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const file = join(folder, 'sticky.key');
    return readKept(file) ?? keepFirst(file, fresh);
  } catch {
    return fresh;
  }
}
