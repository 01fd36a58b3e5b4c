// An authority of our own for names that no public one certifies: made once, kept in a folder, and asked for leaves.
// ASN.1 is node-forge's, keys and signatures are Node's, since node-forge knows no ECDSA.

import {
  createHash,
  createPrivateKey,
  type createPublicKey,
  generateKeyPairSync,
  randomBytes,
  sign,
  X509Certificate,
} from 'node:crypto';
import {
  chmodSync,
  closeSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { isIP } from 'node:net';
import { hostname } from 'node:os';
import { join } from 'node:path';
import forge from 'node-forge';
import { readIPv4, readIPv6 } from '../wire/ip-address.ts';

/** A certificate with its key, in PEM. */
export interface Pair {
  readonly cert: string;
  readonly key: string;
}

const DAY_MS = 24 * 60 * 60 * 1000;
const AUTHORITY_DAYS = 3650;
/** Browsers refuse leaves that hold for more than some months. */
const LEAF_DAYS = 90;
/** Clocks of clients that are behind. */
const SKEW_MS = 60 * 60 * 1000;

const { asn1 } = forge;
const { Class, Type } = asn1;
type Node = forge.asn1.Asn1;

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
  const kept = readKept(file) ?? keep(file, folder, makeAuthority(now));
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

// X.509 (RFC 5280 4.1) in node-forge's terms: strings of bytes.

interface Body {
  readonly subject: Node;
  readonly issuer: Node;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  readonly key: Buffer;
  readonly extensions: readonly Node[];
}

/** ecdsa-with-SHA256 (RFC 5758 3.2). */
const ALGORITHM = '1.2.840.10045.4.3.2';

function tbs({ subject, issuer, notBeforeMs, notAfterMs, key, extensions }: Body): Node {
  // Positive, and never 0.
  const serial = randomBytes(16);
  serial[0] = (serial[0]! & 0x7f) | 0x40;
  return sequence(
    tagged(0, true, sequence2(primitive(Type.INTEGER, '\x02'))),
    primitive(Type.INTEGER, serial.toString('latin1')),
    sequence(oid(ALGORITHM)),
    issuer,
    sequence(time(notBeforeMs), time(notAfterMs)),
    subject,
    asn1.fromDer(key.toString('latin1')),
    tagged(3, true, sequence2(sequence(...extensions))),
  );
}

function signed(body: Node, key: string): string {
  const bytes = Buffer.from(asn1.toDer(body).getBytes(), 'latin1');
  const signature = sign('sha256', bytes, key).toString('latin1');
  const whole = sequence(body, sequence(oid(ALGORITHM)), primitive(Type.BITSTRING, `\0${signature}`));
  const der = Buffer.from(asn1.toDer(whole).getBytes(), 'latin1');
  return `-----BEGIN CERTIFICATE-----\n${der
    .toString('base64')
    .replace(/(.{64})/g, '$1\n')
    .trimEnd()}\n-----END CERTIFICATE-----\n`;
}

function name(common: string): Node {
  return sequence(
    asn1.create(Class.UNIVERSAL, Type.SET, true, [sequence(oid('2.5.4.3'), primitive(Type.UTF8, common))]),
  );
}

/** RFC 5280 4.2.1.6: dNSName, or iPAddress in bytes. */
function generalName(text: string): Node {
  const family = isIP(text);
  if (family === 0) return tagged(2, false, text);
  const address = new Uint8Array(16);
  const bytes = Buffer.from(text, 'latin1');
  if (family === 4) readIPv4(bytes, 0, bytes.length, address, 0);
  else readIPv6(bytes, 0, bytes.length, address, 0);
  return tagged(7, false, Buffer.from(address.subarray(0, family === 4 ? 4 : 16)).toString('latin1'));
}

function extension(id: string, critical: boolean, value: Node): Node {
  const parts = [oid(id)];
  if (critical) parts.push(primitive(Type.BOOLEAN, '\xff'));
  return sequence(...parts, octets(asn1.toDer(value).getBytes()));
}

function time(ms: number): Node {
  // RFC 5280 4.1.2.5: UTCTime until 2049.
  const utc = new Date(ms).getUTCFullYear() < 2050;
  const text = new Date(ms).toISOString().replace(/[-:T]|\.\d+/g, '');
  return primitive(utc ? Type.UTCTIME : Type.GENERALIZEDTIME, utc ? text.slice(2) : text);
}

function bits(unused: number, byte: number): Node {
  return primitive(Type.BITSTRING, String.fromCharCode(unused, byte));
}

function sequence(...parts: Node[]): Node {
  return asn1.create(Class.UNIVERSAL, Type.SEQUENCE, true, parts);
}

function sequence2(only: Node): Node[] {
  return [only];
}

function tagged(tag: number, constructed: boolean, value: Node[] | string): Node {
  return asn1.create(Class.CONTEXT_SPECIFIC, tag as forge.asn1.Type, constructed, value as never);
}

function primitive(type: forge.asn1.Type, value: string): Node {
  return asn1.create(Class.UNIVERSAL, type, false, value);
}

function octets(value: string): Node {
  return primitive(Type.OCTETSTRING, value);
}

function oid(id: string): Node {
  return primitive(Type.OID, asn1.oidToDer(id).getBytes());
}

function spki(key: ReturnType<typeof createPublicKey>): Buffer {
  return key.export({ type: 'spki', format: 'der' });
}

/** RFC 5280 4.2.1.2, method 1: SHA-1 of the bits of the key; for P-256 the last 65 bytes of its SPKI. */
function keyIdentifier(key: Buffer): string {
  return createHash('sha1').update(key.subarray(-65)).digest().toString('latin1');
}

function pem(key: ReturnType<typeof createPrivateKey>): string {
  return key.export({ type: 'pkcs8', format: 'pem' }).toString();
}

// What is kept.

function readKept(file: string): string | null {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

/** Puts `text` at `file` unless somebody was quicker; answers what is there then. */
function keep(file: string, folder: string, text: string): string {
  const fresh = join(folder, `.${process.pid}-${randomBytes(6).toString('hex')}`);
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

function writeAnew(file: string, text: string, mode: number): void {
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
