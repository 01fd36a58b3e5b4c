// The certificate of peers that speak TLS: made when a site is, ECDSA P-256, for loopback. Who believes it is nobody's
// concern here: what is measured is the work of those who show it.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { issueLeaf, openAuthority } from '../../lib/tls/authority.ts';

/** Files in PEM: the certificate, its key, and both in one, which is how HAProxy wants them. */
export interface CertificateFiles {
  readonly cert: string;
  readonly key: string;
  readonly both: string;
}

/** Makes a certificate with its key in `folder`. */
export function writeCertificate(folder: string): CertificateFiles {
  const { cert, key } = issueLeaf(openAuthority(join(folder, 'authority')), ['localhost', '127.0.0.1']);
  const files = { cert: join(folder, 'cert.pem'), key: join(folder, 'key.pem'), both: join(folder, 'both.pem') };
  for (const [file, text] of [
    [files.cert, cert],
    [files.key, key],
    [files.both, cert + key],
  ] as const) {
    writeFileSync(file, text, { mode: 0o600 });
  }
  return files;
}
