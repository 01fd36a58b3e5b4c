// X.509 (RFC 5280) and requests for it in node-forge's terms, which are strings of bytes: the parts that certificates of
// our own are put together from. ASN.1 is node-forge's, keys and signatures are Node's, since node-forge knows no ECDSA.

import { createHash, type createPrivateKey, type createPublicKey, randomBytes, sign } from 'node:crypto';
import { isIP } from 'node:net';
import type forge from 'node-forge';
// Not the whole package: that is 25 ms of every start, certificates or not.
import asn1 from 'node-forge/lib/asn1.js';
import { readIPv4, readIPv6 } from '../wire/ip-address.ts';

const { Class } = asn1;
export const { Type } = asn1;
type Node = forge.asn1.Asn1;

/** A certificate or a chain of them, leaf first, with the key of the leaf: PEM. */
export interface Pair {
  readonly cert: string;
  readonly key: string;
}

/** What a certificate says. */
export interface Body {
  readonly subject: Node;
  readonly issuer: Node;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  readonly key: Buffer;
  readonly extensions: readonly Node[];
}

/** ecdsa-with-SHA256 (RFC 5758 3.2). */
const ALGORITHM = '1.2.840.10045.4.3.2';

/** What is signed of a certificate (RFC 5280 4.1.2). */
export function tbs({ subject, issuer, notBeforeMs, notAfterMs, key, extensions }: Body): Node {
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
    spkiNode(key),
    tagged(3, true, sequence2(sequence(...extensions))),
  );
}

/** PEM of a certificate: its body, signed with this key of P-256. */
export function signed(body: Node, key: string): string {
  const lines = signedDer(body, key)
    .toString('base64')
    .replace(/(.{64})/g, '$1\n')
    .trimEnd();
  return `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`;
}

/** DER of something with its signature behind it, as certificates and requests for them are. */
export function signedDer(body: Node, key: string): Buffer {
  const bytes = Buffer.from(asn1.toDer(body).getBytes(), 'latin1');
  const signature = sign('sha256', bytes, key).toString('latin1');
  const whole = sequence(body, sequence(oid(ALGORITHM)), primitive(Type.BITSTRING, `\0${signature}`));
  return Buffer.from(asn1.toDer(whole).getBytes(), 'latin1');
}

export function name(common: string): Node {
  return sequence(set(sequence(oid('2.5.4.3'), primitive(Type.UTF8, common))));
}

/** RFC 5280 4.2.1.6: dNSName, or iPAddress in bytes. */
export function generalName(text: string): Node {
  const family = isIP(text);
  if (family === 0) return tagged(2, false, text);
  const address = new Uint8Array(16);
  const bytes = Buffer.from(text, 'latin1');
  if (family === 4) readIPv4(bytes, 0, bytes.length, address, 0);
  else readIPv6(bytes, 0, bytes.length, address, 0);
  return tagged(7, false, Buffer.from(address.subarray(0, family === 4 ? 4 : 16)).toString('latin1'));
}

/** A SET of one. */
export function set(only: Node): Node {
  return asn1.create(Class.UNIVERSAL, Type.SET, true, [only]);
}

/** A public key in DER as a part of something else. */
export function spkiNode(key: Buffer): Node {
  return asn1.fromDer(key.toString('latin1'));
}

export function extension(id: string, critical: boolean, value: Node): Node {
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

export function bits(unused: number, byte: number): Node {
  return primitive(Type.BITSTRING, String.fromCharCode(unused, byte));
}

export function sequence(...parts: Node[]): Node {
  return asn1.create(Class.UNIVERSAL, Type.SEQUENCE, true, parts);
}

function sequence2(only: Node): Node[] {
  return [only];
}

export function tagged(tag: number, constructed: boolean, value: Node[] | string): Node {
  return asn1.create(Class.CONTEXT_SPECIFIC, tag as forge.asn1.Type, constructed, value as never);
}

export function primitive(type: forge.asn1.Type, value: string): Node {
  return asn1.create(Class.UNIVERSAL, type, false, value);
}

export function octets(value: string): Node {
  return primitive(Type.OCTETSTRING, value);
}

export function oid(id: string): Node {
  return primitive(Type.OID, asn1.oidToDer(id).getBytes());
}

export function spki(key: ReturnType<typeof createPublicKey>): Buffer {
  return key.export({ type: 'spki', format: 'der' });
}

/** RFC 5280 4.2.1.2, method 1: SHA-1 of the bits of the key; for P-256 the last 65 bytes of its SPKI. */
export function keyIdentifier(key: Buffer): string {
  return createHash('sha1').update(key.subarray(-65)).digest().toString('latin1');
}

export function pem(key: ReturnType<typeof createPrivateKey>): string {
  return key.export({ type: 'pkcs8', format: 'pem' }).toString();
}
