// What an authority of ACME is handed or shown: the request for a certificate, and the certificate that meets TLS-ALPN-01.

import { createHash, createPublicKey, generateKeyPairSync } from 'node:crypto';
import {
  extension,
  generalName,
  name,
  octets,
  oid,
  type Pair,
  pem,
  primitive,
  sequence,
  set,
  signed,
  signedDer,
  spki,
  spkiNode,
  Type,
  tagged,
  tbs,
} from '../x509.ts';

/** A new private key of P-256 in PEM. */
export function makeKey(): string {
  return pem(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey);
}

/** PKCS #10 (RFC 2986) in DER for these DNS names; the subject is left empty (RFC 8555 7.4 asks for the names alone). */
export function certificateRequest(names: readonly string[], key: string): Buffer {
  const extensions = sequence(extension('2.5.29.17', false, sequence(...names.map(generalName))));
  const body = sequence(
    primitive(Type.INTEGER, '\0'),
    sequence(),
    spkiNode(spki(createPublicKey(key))),
    // extensionRequest (RFC 2985 5.4.2).
    tagged(0, true, [sequence(oid('1.2.840.113549.1.9.14'), set(extensions))]),
  );
  return signedDer(body, key);
}

/** The certificate that proves to hold a name by TLS (RFC 8737 3): of the name alone, with the digest of the answer, critical. */
export function challengeCertificate(server: string, answer: string): Pair {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const key = pem(privateKey);
  const digest = createHash('sha256').update(answer).digest().toString('latin1');
  const now = Date.now();
  const body = tbs({
    subject: name('ACME challenge'),
    issuer: name('ACME challenge'),
    notBeforeMs: now - 60 * 60_000,
    notAfterMs: now + 24 * 60 * 60_000,
    key: spki(publicKey),
    extensions: [
      extension('2.5.29.17', false, sequence(generalName(server))),
      extension('1.3.6.1.5.5.7.1.31', true, octets(digest)),
    ],
  });
  return { cert: signed(body, key), key };
}
