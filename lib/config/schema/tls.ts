// The keys of TLS, towards clients and towards endpoints: their types, defaults and meaning. Which go together, and what
// the files hold, is checked by check-tls.

import * as z from 'zod';
import { choice, duration, section, text, whole } from './values.ts';

const VERSIONS = ['1.2', '1.3'] as const;
const YEAR_MS = 365 * 24 * 60 * 60 * 1000;

const binding = section({
  keyId: text().describe('Key identifier that the authority gave.'),
  key: text('base64url', (value) => (/^[A-Za-z0-9_-]+={0,2}$/.test(value) ? '' : 'must be base64url')).describe(
    'HMAC key that the authority gave; best from a variable of the environment.',
  ),
});

const certificate = section({
  cert: text('file')
    .optional()
    .describe('PEM file with the certificate and its chain. Read again when it changes, like `key` and `ocsp`.'),
  key: text('file').optional().describe('PEM file with its private key, without a passphrase.'),
  ocsp: text('file').optional().describe('DER file with an OCSP response that is stapled.'),
  auto: choice(['local', 'acme'])
    .optional()
    .describe(
      'In place of files: `local` for leaves of an authority of our own, `acme` for certificates of a public one (RFC 8555).',
    ),
  names: z
    .array(text('server name'))
    .optional()
    .describe(
      'With `auto`: the names to get a certificate for, such as `www.example.com`, `*.example.com` (with `acme`: by `dns-01` alone) or `127.0.0.1` (`local`).',
    ),
  onDemand: z
    .array(text('server name'))
    .optional()
    .describe(
      'With `acme`: names that a certificate is ordered for when a client first asks; `*.example.com` allows all names below.',
    ),
  folder: text('folder')
    .optional()
    .describe('With `auto`: where keys and certificates are kept; by default in the state folder of the user.'),
  directory: text('URL', (value) => (/^https:/.test(value) && URL.canParse(value) ? '' : 'must be an https URL'))
    .optional()
    .describe("With `acme`: the authority's directory; by default that of Let's Encrypt."),
  ca: text('file')
    .optional()
    .describe('With `acme`: PEM file that the authority itself is verified with, for one of your own.'),
  email: text('address', (value) => (/^[^\s@,?]+@[^\s@,?]+$/.test(value) ? '' : 'must be an e-mail address'))
    .optional()
    .describe('With `acme`: contact of the account.'),
  challenge: choice(['tls-alpn-01', 'http-01', 'dns-01'])
    .optional()
    .describe(
      'With `acme`: how the authority sees that a name is ours: on this listener at port 443 (`tls-alpn-01`, the default), on a listener at port 80 (`http-01`) or in DNS (`dns-01`).',
    ),
  dnsHook: text('program')
    .optional()
    .describe('With `dns-01`: program that is run as `PROGRAM set NAME VALUE` and `PROGRAM remove NAME VALUE`.'),
  binding: binding.optional().describe('With `acme`: external account binding, where the authority wants it.'),
});

const clientAuth = section({
  ca: text('file').describe('PEM file with the authorities whose clients are let in.'),
  mode: choice(['require', 'optional'])
    .prefault('require')
    .describe('Whether clients without a certificate are let in; one that does not verify never is.'),
});

const hsts = section({
  maxAge: duration({ max: 10 * YEAR_MS })
    .prefault('365d')
    .describe('How long browsers remember to use TLS alone.'),
  includeSubdomains: z.boolean().prefault(false).describe('Whether that goes for all names below too.'),
  preload: z.boolean().prefault(false).describe('Whether browsers may build it in; think before you do.'),
});

const versions = () => choice(VERSIONS);

/** `tls` of a listener. */
export const listenerTls = section({
  certificates: z
    .array(certificate)
    .min(1)
    .describe(
      'Certificates, chosen by the server name that the client asks for; of the same name one ECDSA and one RSA. The first serves where none fits.',
    ),
  alpn: z
    .array(choice(['h2', 'http/1.1']))
    .prefault(['h2', 'http/1.1'])
    .describe('Protocols offered, in the order in which we prefer them. Not with protocol `tcp`.'),
  profile: choice(['modern', 'intermediate'])
    .prefault('intermediate')
    .describe('`modern`: TLS 1.3 alone. `intermediate`: TLS 1.2 too, with forward secrecy and AEAD ciphers.'),
  minVersion: versions().optional().describe("Oldest version of TLS, in place of the profile's."),
  ciphers: z.array(text('cipher')).optional().describe("OpenSSL's names in order, in place of the profile's."),
  curves: z
    .array(text('group'))
    .optional()
    .describe('Groups of the key exchange in order; by default X25519MLKEM768, X25519, P-256 and P-384.'),
  clientAuth: clientAuth
    .optional()
    .describe('Client certificates: asked for and verified, and told to upstreams in X-Client-Cert fields.'),
  handshakeTimeout: duration({ min: 1 })
    .prefault('10s')
    .describe('From the connection to the end of the handshake; then it is closed.'),
  handshakes: whole(0, 1_000_000)
    .prefault(1024)
    .describe('Most handshakes under way at once; more connections are closed. 0 sets no limit.'),
  resumption: duration({ max: 7 * 24 * 60 * 60 * 1000 })
    .prefault('24h')
    .describe('How long a session can be resumed without a whole handshake, at most a week; 0: never.'),
  fingerprint: z
    .boolean()
    .prefault(false)
    .describe(
      "Tells endpoints the JA3 and JA4 of the client's hello, in `X-Client-Ja3` and `X-Client-Ja4`. Routes can ask for both without this.",
    ),
  hsts: hsts.optional().describe('Strict-Transport-Security on replies over TLS.'),
});

const pins = z
  .array(text('SHA-256 fingerprint', checkPin))
  .prefault([])
  .describe(
    'SHA-256 fingerprints of certificates, in hex; an endpoint must have one of them, and need not be verified otherwise.',
  );

/** `tls` of a cluster. */
export const clusterTls = section({
  ca: text('file')
    .optional()
    .describe('PEM file with the authorities of the endpoints; by default the public ones that Node comes with.'),
  serverName: text('server name')
    .optional()
    .describe('The name that is asked for and verified; by default the host of the endpoint.'),
  cert: text('file').optional().describe('PEM file with our own certificate for endpoints that ask for one.'),
  key: text('file').optional().describe('PEM file with its private key.'),
  alpn: z
    .array(choice(['h2', 'http/1.1']))
    .prefault(['http/1.1'])
    .describe('Protocols offered, in order.'),
  pins,
  insecure: z
    .boolean()
    .prefault(false)
    .describe('Verifies nothing. Anybody in between can read and change everything.'),
  minVersion: versions().prefault('1.2').describe('Oldest version of TLS.'),
  handshakeTimeout: duration({ min: 1 }).prefault('5s').describe('From the connection to the end of the handshake.'),
});

function checkPin(value: string): string {
  return /^([0-9a-fA-F]{2}:?){32}$/.test(value) ? '' : 'must be the 64 hexadecimal digits of a SHA-256 fingerprint';
}
