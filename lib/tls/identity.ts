// A certificate with its key: read, checked against each other, and what both say of themselves. Where they come from
// and which client gets them is left to others.

import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';

/** What somebody can prove to be. The key never leaves this object but for a TLS context. */
export class Identity {
  /** The leaf first, then its chain, in PEM. */
  readonly chain: string;
  /** DNS names in lower case and IP addresses that the leaf holds for; `*.` wildcards as they stand. */
  readonly names: readonly string[];
  readonly keyKind: 'ec' | 'rsa' | 'other';
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  /** SHA-256 of the leaf, hexadecimal in lower case. */
  readonly fingerprint: string;
  /** DER of a stapled OCSP response, null for none. */
  readonly ocsp: Buffer | null;
  readonly #key: string;

  constructor(chain: string, key: string, leaf: X509Certificate, kind: string, ocsp: Buffer | null) {
    this.chain = chain;
    this.#key = key;
    this.names = namesOf(leaf);
    this.keyKind = kind === 'ec' || kind === 'rsa' ? kind : 'other';
    this.notBeforeMs = Date.parse(leaf.validFrom);
    this.notAfterMs = Date.parse(leaf.validTo);
    this.fingerprint = leaf.fingerprint256.replaceAll(':', '').toLowerCase();
    this.ocsp = ocsp;
  }

  /** The private key in PEM: for TLS contexts and for keeping it, never for logs. */
  privateKey(): string {
    return this.#key;
  }
}

/** Reads a PEM chain (leaf first) and its PEM key. Answers what is wrong in words; those never hold key material. */
export function readIdentity(
  chain: string,
  key: string,
  ocsp: Buffer | null = null,
): Identity | { readonly fault: string } {
  let leaf: X509Certificate;
  let secret: KeyObject;
  try {
    leaf = new X509Certificate(chain);
  } catch {
    return { fault: 'the certificate is not PEM of an X.509 certificate' };
  }
  try {
    secret = createPrivateKey(key);
  } catch (error) {
    const locked = (error as NodeJS.ErrnoException).code === 'ERR_MISSING_PASSPHRASE' || /ENCRYPTED/.test(key);
    return {
      fault: locked ? 'the key is encrypted; give one without a passphrase' : 'the key is not a PEM private key',
    };
  }
  if (!leaf.checkPrivateKey(secret)) return { fault: 'the key does not belong to the certificate' };
  return new Identity(chain, key, leaf, secret.asymmetricKeyType ?? '', ocsp);
}

/** The names of RFC 6125: subject alternative names, and the common name only where there is none. */
function namesOf(leaf: X509Certificate): string[] {
  const names: string[] = [];
  // Node quotes entries that hold anything odd; no name that a client can ask for does.
  for (const entry of (leaf.subjectAltName ?? '').split(', ')) {
    if (entry.startsWith('DNS:')) names.push(entry.slice(4).toLowerCase());
    else if (entry.startsWith('IP Address:')) names.push(entry.slice(11).toLowerCase());
  }
  if (names.length > 0) return names;
  const common = /^CN=(.+)$/m.exec(leaf.subject)?.[1];
  return common === undefined ? [] : [common.toLowerCase()];
}
