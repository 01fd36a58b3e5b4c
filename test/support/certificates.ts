// Certificates as the comments of examples say that they are made, for tests of those examples.

import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from './process.ts';

/** Runs every `make certs` of an example's comment, into `folder` in place of the one that it names. */
export function makeCertificatesFor(example: string, folder: string): void {
  const text = readFileSync(join(ROOT, 'examples', example), 'utf8');
  for (const [, leaves = ''] of text.matchAll(/^#\s+make certs ARGS='\/tmp\/certs ([^']+)'$/gm)) {
    const made = spawnSync(process.execPath, [join(ROOT, 'certs/make.ts'), folder, ...leaves.split(' ')]);
    if (made.status !== 0) throw new Error(`${example}: ${made.stderr}`);
  }
}
