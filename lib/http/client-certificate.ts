// A client's certificate as upstreams are told of it: RFC 9440's Client-Cert, and the parts that most want to know in
// fields of their own. What clients send under these names is dropped by request-writer.

import { X509Certificate } from 'node:crypto';
import type { Fingerprints } from '../tls/fingerprint.ts';

/** Longer certificates are not passed on whole: heads have limits too. */
const LONGEST_DER_BYTES = 4096;
/** Longest value of a part. */
const LONGEST_PART = 2048;

/** The lines for a certificate in DER that has been verified; '' when it cannot be read. */
export function certificateLines(der: Buffer): string {
  let certificate: X509Certificate;
  try {
    certificate = new X509Certificate(der);
  } catch {
    return '';
  }
  const fingerprint = certificate.fingerprint256.replaceAll(':', '').toLowerCase();
  const lines = [
    `X-Client-Cert-Subject: ${visible(certificate.subject.replaceAll('\n', ', '))}`,
    `X-Client-Cert-Fingerprint: ${fingerprint}`,
  ];
  if (certificate.subjectAltName !== undefined) {
    lines.push(`X-Client-Cert-San: ${visible(certificate.subjectAltName)}`);
  }
  // RFC 9440 2.2: a byte sequence of structured fields.
  if (der.length <= LONGEST_DER_BYTES) lines.push(`Client-Cert: :${der.toString('base64')}:`);
  return lines.map((line) => `${line}\r\n`).join('');
}

/** The lines for the fingerprints of a hello. */
export function fingerprintLines({ ja3, ja4 }: Fingerprints): string {
  return `X-Client-Ja3: ${ja3}\r\nX-Client-Ja4: ${ja4}\r\n`;
}

/** Nothing that could end a line, and no letters that a field cannot hold: those as RFC 4514 2.4 writes them. */
function visible(text: string): string {
  let value = '';
  for (const byte of Buffer.from(text)) {
    value += byte >= 0x20 && byte <= 0x7e ? String.fromCharCode(byte) : `\\${byte.toString(16).padStart(2, '0')}`;
    if (value.length >= LONGEST_PART) break;
  }
  return value.trim();
}
