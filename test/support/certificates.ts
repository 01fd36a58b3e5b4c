// Certificates for tests: as the comments of examples say that they are made, and of an authority of a test's own.

import { spawnSync } from 'node:child_process';
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { AUTHORITY_FILE, issueLeaf, openAuthority } from '../../lib/tls/authority.ts';
import type { Pair } from '../../lib/tls/x509.ts';
import { ROOT, temporaryFolder } from './process.ts';

/** Runs every `make certs` of an example's comment, into `folder` in place of the one that it names. */
export function makeCertificatesFor(example: string, folder: string): void {
  const text = readFileSync(join(ROOT, 'examples', example), 'utf8');
  for (const [, leaves = ''] of text.matchAll(/^#\s+make certs ARGS='\/tmp\/certs ([^']+)'$/gm)) {
    const made = spawnSync(process.execPath, [join(ROOT, 'certs/make.ts'), folder, ...leaves.split(' ')]);
    if (made.status !== 0) throw new Error(`${example}: ${made.stderr}`);
  }
}

/** Where a certificate and its key lie, and what they are. */
export interface Filed extends Pair {
  readonly certFile: string;
  readonly keyFile: string;
}

/** Certificates of one authority of elliptic curves, in a folder that is removed when the test ends. */
export class Certificates {
  readonly folder: string;
  readonly authority: Pair;
  readonly caFile: string;

  constructor(t: TestContext) {
    this.folder = temporaryFolder(t);
    this.authority = openAuthority(join(this.folder, 'authority'));
    this.caFile = join(this.folder, 'authority', AUTHORITY_FILE);
  }

  /** A leaf for these names, made at `now`: 90 days later it has expired. */
  leaf(names: readonly string[], now = Date.now(), file = names[0]!.replace('*', '_')): Filed {
    return this.write(file, issueLeaf(this.authority, names, now));
  }

  /** Writes, or replaces at once, a pair of files. */
  write(file: string, { cert, key }: Pair): Filed {
    const certFile = join(this.folder, `${file}.pem`);
    const keyFile = join(this.folder, `${file}.key`);
    for (const [name, text] of [
      [certFile, cert],
      [keyFile, key],
    ] as const) {
      writeFileSync(`${name}.new`, text, { mode: 0o600 });
      renameSync(`${name}.new`, name);
    }
    return { cert, key, certFile, keyFile };
  }
}
