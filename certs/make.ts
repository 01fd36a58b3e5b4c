// Certificates for tests and for trying things out: an authority of one's own and leaves signed by it. Never for
// anything that others rely on. `node certs/make.ts --help` tells how to write them into a folder; tests import the rest.

import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { join, relative } from 'node:path';
import { parseArgs } from 'node:util';
import forge from 'node-forge';

/** A certificate and its key, as PEM. */
export interface Pair {
  readonly cert: string;
  readonly key: string;
}

export interface Validity {
  /** Days from now until it expires; 0 and less make one that has expired. */
  readonly days?: number;
}

export interface LeafOptions extends Validity {
  /** Host names (also `*.example.com`) and IP addresses, at least one; the first is the common name. */
  readonly names: readonly string[];
}

/** Makes an authority (RSA 2048, valid for ten years unless told otherwise). Takes some tenths of a second. */
export function makeAuthority(name = 'Millrace test authority', { days = 3650 }: Validity = {}): Pair {
  const keys = forge.pki.rsa.generateKeyPair(2048);
  const cert = blank(keys.publicKey, name, days);
  cert.setIssuer(cert.subject.attributes);
  cert.setExtensions([
    { name: 'basicConstraints', cA: true, pathLenConstraint: 0, critical: true },
    { name: 'keyUsage', keyCertSign: true, cRLSign: true, critical: true },
    { name: 'subjectKeyIdentifier' },
  ]);
  cert.sign(keys.privateKey, forge.md.sha256.create());
  return { cert: forge.pki.certificateToPem(cert), key: forge.pki.privateKeyToPem(keys.privateKey) };
}

/**
 * Makes a leaf for servers and clients (RSA 2048, 30 days unless told otherwise), signed by `authority`.
 * Throws when there are no names.
 */
export function makeLeaf(authority: Pair, { names, days = 30 }: LeafOptions): Pair {
  const [first] = names;
  if (first === undefined) throw new Error('a leaf needs at least one name');
  const issuer = forge.pki.certificateFromPem(authority.cert);
  const keys = forge.pki.rsa.generateKeyPair(2048);
  // RFC 5280 A.1: a common name has at most 64 characters; what counts are the alternative names.
  const cert = blank(keys.publicKey, first.slice(0, 64), days);
  cert.setIssuer(issuer.subject.attributes);
  cert.setExtensions([
    { name: 'basicConstraints', cA: false, critical: true },
    { name: 'keyUsage', digitalSignature: true, keyEncipherment: true, critical: true },
    { name: 'extKeyUsage', serverAuth: true, clientAuth: true },
    { name: 'subjectAltName', altNames: names.map(alternativeName) },
    { name: 'subjectKeyIdentifier' },
    { name: 'authorityKeyIdentifier', keyIdentifier: issuer.generateSubjectKeyIdentifier().getBytes() },
  ]);
  cert.sign(forge.pki.privateKeyFromPem(authority.key), forge.md.sha256.create());
  return { cert: forge.pki.certificateToPem(cert), key: forge.pki.privateKeyToPem(keys.privateKey) };
}

/** Writes `NAME.pem` and, readable by its owner alone, `NAME.key`; answers the two paths. */
export function writePair(folder: string, name: string, { cert, key }: Pair): { certFile: string; keyFile: string } {
  mkdirSync(folder, { recursive: true });
  const certFile = join(folder, `${name}.pem`);
  const keyFile = join(folder, `${name}.key`);
  writeFileSync(certFile, cert);
  writeFileSync(keyFile, key, { mode: 0o600 });
  return { certFile, keyFile };
}

const USAGE = `node certs/make.ts FOLDER LEAF... [--days N]

Writes ca.pem and ca.key into FOLDER, unless they are there, and a certificate and key for each LEAF: host names and
IP addresses with commas between them, the first of which names the files. --days N: until the leaves expire (30).
`;
const DAY_MS = 86_400_000;
/** A little in the past, for clocks that are behind ours. */
const SKEW_MS = 3_600_000;

// RFC 5280 4.2.1.6: kinds of GeneralName.
const DNS_NAME = 2;
const IP_ADDRESS = 7;

if (import.meta.main) process.exitCode = main(process.argv.slice(2));

function main(args: readonly string[]): number {
  const { values, positionals } = parseArgs({
    args: [...args],
    strict: false,
    allowPositionals: true,
    options: { days: { type: 'string' }, help: { type: 'boolean', short: 'h' } },
  });
  const [folder, ...leaves] = positionals;
  const days = Number(values['days'] ?? 30);
  if (values['help'] || folder === undefined || leaves.length === 0 || !Number.isFinite(days)) {
    process.stderr.write(USAGE);
    return values['help'] ? 0 : 2;
  }
  const authority = keptAuthority(folder);
  for (const leaf of leaves) {
    const names = leaf.split(',').filter((name) => name !== '');
    const { certFile, keyFile } = writePair(folder, fileName(names[0] ?? ''), makeLeaf(authority, { names, days }));
    process.stdout.write(`${relative('.', certFile)} ${relative('.', keyFile)}\n`);
  }
  return 0;
}

/** The folder's authority, made when there is none: whoever trusts it need not be told again. */
function keptAuthority(folder: string): Pair {
  const certFile = join(folder, 'ca.pem');
  const keyFile = join(folder, 'ca.key');
  if (existsSync(certFile) && existsSync(keyFile)) {
    return { cert: readFileSync(certFile, 'utf8'), key: readFileSync(keyFile, 'utf8') };
  }
  const made = makeAuthority();
  writePair(folder, 'ca', made);
  return made;
}

/** Safe in a path, whatever the name holds. */
function fileName(name: string): string {
  return name.replaceAll('*', '_').replaceAll(/[^A-Za-z0-9._-]/g, '-');
}

function blank(publicKey: forge.pki.rsa.PublicKey, commonName: string, days: number): forge.pki.Certificate {
  const cert = forge.pki.createCertificate();
  cert.publicKey = publicKey;
  // RFC 5280 4.1.2.2: positive, at most 20 bytes, never the same twice from one authority.
  // A first byte that is neither 0 nor negative, since node-forge writes it as it stands and DER allows no padding.
  const serial = forge.util.bytesToHex(forge.random.getBytesSync(16));
  cert.serialNumber = `4${serial.slice(1)}`;
  cert.validity.notAfter = new Date(Date.now() + days * DAY_MS);
  cert.validity.notBefore = new Date(Math.min(Date.now(), cert.validity.notAfter.getTime()) - SKEW_MS);
  cert.setSubject([{ name: 'commonName', value: commonName }]);
  return cert;
}

function alternativeName(name: string): { type: number; ip?: string; value?: string } {
  return isIP(name) === 0 ? { type: DNS_NAME, value: name } : { type: IP_ADDRESS, ip: name };
}
