// What OpenSSL is given for a listener's identities or for a cluster: versions, ciphers and groups by profile, tickets,
// and whom to believe. Which context serves which client is the store's business.

import { constants, randomBytes } from 'node:crypto';
import { createSecureContext, rootCertificates, type SecureContext } from 'node:tls';
import type { Identity } from './identity.ts';
import type { Profile, TlsVersion, UpstreamTlsOptions } from './options.ts';
import type { TicketKeys } from './ticket.ts';

/** What a context for clients of ours is made of. */
export interface ServerContextOptions {
  readonly profile: Profile;
  readonly minVersion: TlsVersion | null;
  readonly ciphers: readonly string[] | null;
  readonly curves: readonly string[] | null;
  /** PEM of the authorities of client certificates, '' when none are asked for. */
  readonly clientAuthorities: string;
  /** How long sessions can be resumed, at most a week; 0: never. */
  readonly resumptionMs: number;
  /** Sessions are resumed only where this is the same: 1 to 32 bytes that name listener and demands on clients. */
  readonly sessionScope: string;
}

// RFC 9325 4.2 and Mozilla's recommendations: forward secrecy and AEAD alone. AES of 128 bits first: as safe, and cheaper.
const TLS13_CIPHERS = ['TLS_AES_128_GCM_SHA256', 'TLS_AES_256_GCM_SHA384', 'TLS_CHACHA20_POLY1305_SHA256'];
const TLS12_CIPHERS = [
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
  'ECDHE-RSA-CHACHA20-POLY1305',
];
const HYBRID = 'X25519MLKEM768';
const CURVES = ['X25519', 'P-256', 'P-384'];

interface NativeContext {
  enableTicketKeyCallback(): void;
  onticketkeycallback: (name: Buffer, iv: Buffer, making: boolean) => unknown[];
}

/** The context that serves with `identities`: at most one for each kind of key. Throws what OpenSSL says against them. */
export function serverContext(
  identities: readonly Identity[],
  options: ServerContextOptions,
  tickets: TicketKeys,
): SecureContext {
  const { resumptionMs, clientAuthorities } = options;
  const context = createSecureContext({
    cert: identities.map(({ chain }) => chain),
    key: identities.map((identity) => identity.privateKey()),
    ...strength(options.profile, options.minVersion, options.ciphers, options.curves),
    ...(clientAuthorities !== '' && { ca: clientAuthorities }),
    honorCipherOrder: true,
    secureOptions:
      constants.SSL_OP_NO_RENEGOTIATION |
      constants.SSL_OP_NO_COMPRESSION |
      // A phone without AES in hardware gets ChaCha20 when that is its own first choice.
      constants.SSL_OP_PRIORITIZE_CHACHA |
      (resumptionMs === 0 ? constants.SSL_OP_NO_TICKET : 0),
    sessionTimeout: Math.max(1, Math.round(resumptionMs / 1000)),
    sessionIdContext: options.sessionScope,
  });
  if (resumptionMs > 0) useTickets((context as unknown as { context: NativeContext }).context, tickets);
  return context;
}

/** The context for connections to endpoints. `authorities` is PEM, '' for those of the system. Throws like the above. */
export function clientContext(
  options: UpstreamTlsOptions,
  authorities: string,
  identity: Identity | null,
): SecureContext {
  return createSecureContext({
    ca: authorities === '' ? [...rootCertificates] : authorities,
    ...(identity !== null && { cert: identity.chain, key: identity.privateKey() }),
    ...strength('intermediate', options.minVersion, null, null),
    secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
  });
}

/** Whether OpenSSL knows these ciphers or groups; '' or its objection in words. */
export function strengthFault(ciphers: readonly string[] | null, curves: readonly string[] | null): string {
  try {
    createSecureContext(strength('intermediate', null, ciphers, curves));
    return '';
  } catch (error) {
    return (error as Error).message.replace(/^error:[0-9A-F]+:/i, '').replace(/^[^:]*:[^:]*:/, '');
  }
}

function strength(
  profile: Profile,
  minVersion: TlsVersion | null,
  ciphers: readonly string[] | null,
  curves: readonly string[] | null,
): { minVersion: TlsVersion; ciphers: string; ecdhCurve: string } {
  return {
    minVersion: minVersion ?? (profile === 'modern' ? 'TLSv1.3' : 'TLSv1.2'),
    ciphers: (ciphers ?? [...TLS13_CIPHERS, ...TLS12_CIPHERS]).join(':'),
    ecdhCurve: (curves ?? defaultCurves()).join(':'),
  };
}

let known: readonly string[] | null = null;

/** The hybrid of ML-KEM where this OpenSSL has it. */
function defaultCurves(): readonly string[] {
  if (known !== null) return known;
  try {
    createSecureContext({ ecdhCurve: HYBRID });
    known = [HYBRID, ...CURVES];
  } catch {
    known = CURVES;
  }
  return known;
}

function useTickets(context: NativeContext, tickets: TicketKeys): void {
  context.enableTicketKeyCallback();
  // Answers: 0 not ours, 1 fine, 2 fine and to be made anew; then HMAC key, AES key, and for new ones name and IV.
  context.onticketkeycallback = (name, _iv, making) => {
    if (making) {
      const key = tickets.current();
      return [1, key.hmac, key.aes, key.name, randomBytes(16)];
    }
    const found = tickets.find(name);
    if (found !== null) return [found.fresh ? 1 : 2, found.key.hmac, found.key.aes];
    // Anybody can send a ticket of anybody's. Node looks at the keys all the same, and aborts the process without any.
    const key = tickets.current();
    return [0, key.hmac, key.aes];
  };
}
