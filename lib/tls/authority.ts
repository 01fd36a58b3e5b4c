// An authority of our own for names that no public one certifies: made once, kept in a folder, and asked for leaves.

import { createPrivateKey, generateKeyPairSync, X509Certificate } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { keepFirst, readKept, writeAnew } from './keep.ts';
import {
  bits,
  extension,
  generalName,
  keyIdentifier,
  name,
  octets,
  oid,
  type Pair,
  pem,
  primitive,
  sequence,
  signed,
  spki,
  Type,
  tagged,
  tbs,
} from './x509.ts';

const DAY_MS = 24 * 60 * 60 * 1000;
const AUTHORITY_DAYS = 3650;
/** Browsers refuse leaves that hold for more than some months. */
const LEAF_DAYS = 90;
/** Clocks of clients that are behind. */
const SKEW_MS = 60 * 60 * 1000;

/** What the authority's certificate lies in, below its folder. */
export const AUTHORITY_FILE = 'authority.pem';

/**
 * The authority kept in `folder` (made if need be, 0700), as one file for certificate and key (0600): so they always
 * belong together, and of several processes that make one at the same time all use the same. Throws with words for users when it is
 * damaged or the folder cannot be written.
 */
export function openAuthority(folder: string, now: number = Date.now()): Pair {
  const file = join(folder, 'authority.key');
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const kept = readKept(file) ?? keepFirst(file, makeAuthority(now));
  const { cert, key } = split(kept, file);
  const certificate = readCertificate(cert, file);
  if (!certificate.checkPrivateKey(createPrivateKey(key)))
    throw new Error(`${file}: key and certificate do not belong together`);
  if (Date.parse(certificate.validTo) < now)
    throw new Error(`${file}: the authority has expired; remove it to get another`);
  // What others are given to trust: without the key.
  writeAnew(join(folder, AUTHORITY_FILE), cert, 0o644);
  return { cert, key };
}

/** A leaf for these names (DNS names, `*.` wildcards, addresses; at least one), for 90 days from `now`; ECDSA P-256. */
export function issueLeaf(authority: Pair, names: readonly string[], now: number = Date.now()): Pair {
  const issuer = new X509Certificate(authority.cert);
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const extensions = [
    extension('2.5.29.19', true, sequence()),
    // digitalSignature: bit 0.
    extension('2.5.29.15', true, bits(7, 0x80)),
    extension('2.5.29.37', false, sequence(oid('1.3.6.1.5.5.7.3.1'))),
    extension('2.5.29.17', false, sequence(...names.map(generalName))),
    extension('2.5.29.14', false, octets(keyIdentifier(spki(publicKey)))),
    extension('2.5.29.35', false, sequence(tagged(0, false, keyIdentifier(spki(issuer.publicKey))))),
  ];
  const body = tbs({
    subject: name(names[0]!.slice(0, 64)),
    issuer: name(/^CN=(.*)$/m.exec(issuer.subject)?.[1] ?? ''),
    notBeforeMs: now - SKEW_MS,
    notAfterMs: Math.min(now + LEAF_DAYS * DAY_MS, Date.parse(issuer.validTo)),
    key: spki(publicKey),
    extensions,
  });
  return { cert: signed(body, authority.key), key: pem(privateKey) };
}

function makeAuthority(now: number): string {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const date = new Date(now).toISOString().slice(0, 10);
  const title = name(
    `Millrace local authority ${hostname()
      .replace(/[^A-Za-z0-9.-]/g, '')
      .slice(0, 24)} ${date}`,
  );
  const key = pem(privateKey);
  const body = tbs({
    subject: title,
    issuer: title,
    notBeforeMs: now - SKEW_MS,
    notAfterMs: now + AUTHORITY_DAYS * DAY_MS,
    key: spki(publicKey),
    extensions: [
      // CA, and none below it.
      extension('2.5.29.19', true, sequence(primitive(Type.BOOLEAN, '\xff'), primitive(Type.INTEGER, '\0'))),
      // keyCertSign and cRLSign: bits 5 and 6.
      extension('2.5.29.15', true, bits(1, 0x06)),
      extension('2.5.29.14', false, octets(keyIdentifier(spki(publicKey)))),
    ],
  });
  return signed(body, key) + key;
}

function split(text: string, file: string): Pair {
  const cert = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----\n?/.exec(text)?.[0];
  const key = /-----BEGIN PRIVATE KEY-----[^-]+-----END PRIVATE KEY-----\n?/.exec(text)?.[0];
  if (cert === undefined || key === undefined) throw new Error(`${file}: damaged; remove it to get another authority`);
  return { cert, key };
}

function readCertificate(cert: string, file: string): X509Certificate {
  try {
    return new X509Certificate(cert);
  } catch {
    throw new Error(`${file}: damaged; remove it to get another authority`);
  }
}
