// Signed requests of ACME (RFC 8555 6.2): JSON Web Signatures (RFC 7515) in the one form and with the one algorithm that
// we use, ES256.

import { createHash, createHmac, createPrivateKey, createPublicKey, type KeyObject, sign } from 'node:crypto';

/** A public key of P-256 as JSON (RFC 7517), members in the order that thumbprints want (RFC 7638 3.2). */
interface Jwk {
  readonly crv: string;
  readonly kty: string;
  readonly x: string;
  readonly y: string;
}

/** The key of an account. It never leaves this object. */
export class AccountKey {
  readonly #key: KeyObject;
  readonly jwk: Jwk;
  /** What tokens of challenges are completed with (RFC 8555 8.1). */
  readonly thumbprint: string;

  /** `pem`: a private key of P-256. */
  constructor(pem: string) {
    this.#key = createPrivateKey(pem);
    const { crv = '', kty = '', x = '', y = '' } = createPublicKey(this.#key).export({ format: 'jwk' });
    if (crv !== 'P-256') throw new Error('the key of the account is not of P-256');
    this.jwk = { crv, kty, x, y };
    this.thumbprint = createHash('sha256').update(JSON.stringify(this.jwk)).digest('base64url');
  }

  /** The body of a request: `payload` is JSON text, '' for a POST that is a GET. `account` is its URL, '' before there is one. */
  signRequest(url: string, nonce: string, account: string, payload: string): string {
    const who = account === '' ? { jwk: this.jwk } : { kid: account };
    const head = encode(JSON.stringify({ alg: 'ES256', ...who, nonce, url }));
    const body = encode(payload);
    const signature = sign('sha256', Buffer.from(`${head}.${body}`), {
      key: this.#key,
      // RFC 7518 3.4: both numbers one after the other, not their DER.
      dsaEncoding: 'ieee-p1363',
    });
    return JSON.stringify({ protected: head, payload: body, signature: signature.toString('base64url') });
  }

  /** What proves that an account is wanted by who has this key of the authority's (RFC 8555 7.3.4). `secret` is base64url. */
  bind(url: string, keyId: string, secret: string): unknown {
    const head = encode(JSON.stringify({ alg: 'HS256', kid: keyId, url }));
    const payload = encode(JSON.stringify(this.jwk));
    const mac = createHmac('sha256', Buffer.from(secret, 'base64url')).update(`${head}.${payload}`);
    return { protected: head, payload, signature: mac.digest('base64url') };
  }
}

function encode(text: string): string {
  return Buffer.from(text).toString('base64url');
}
