// What TLS is built from: the parsed, defaulted form. Reading and checking documents is left to the config room.

/** Termination on a listener. */
export interface TlsOptions {
  /** At least one. Where none fits a client's server name, the first that has one serves. */
  readonly certificates: readonly CertificateOptions[];
  /** Application protocols offered, ours first choice first; empty: ALPN is not answered. */
  readonly alpn: readonly Protocol[];
  readonly profile: Profile;
  /** In place of what the profile says. */
  readonly minVersion: TlsVersion | null;
  /** Cipher names of OpenSSL for TLS 1.2 and 1.3 in order, in place of the profile's; null for those. */
  readonly ciphers: readonly string[] | null;
  /** Groups of the key exchange in order, in place of the profile's; null for those. */
  readonly curves: readonly string[] | null;
  /** Client certificates; null: none are asked for. */
  readonly clientAuth: ClientAuthOptions | null;
  /** From the first byte to the end of the handshake. 0 sets no limit. */
  readonly handshakeTimeoutMs: number;
  /** Most handshakes under way at once; more connections are closed. 0 sets no limit. */
  readonly handshakes: number;
  /** How long a session can be resumed, in seconds; 0: sessions are not resumed. */
  readonly resumptionMs: number;
  /** Whether endpoints are told the fingerprints of the client's hello. */
  readonly fingerprint: boolean;
  /** Strict-Transport-Security (RFC 6797) of every reply, null for none. */
  readonly hsts: HstsOptions | null;
}

export type Protocol = 'h2' | 'http/1.1';

/** `modern`: TLS 1.3 alone. `intermediate`: also TLS 1.2 with forward secrecy and AEAD. */
export type Profile = 'modern' | 'intermediate';

export type TlsVersion = 'TLSv1.2' | 'TLSv1.3';

/** Where a certificate comes from. */
export type CertificateOptions = FileCertificate | LocalCertificate | AcmeCertificate;

/** PEM files, read again when they change. Paths are absolute. */
export interface FileCertificate {
  readonly source: 'files';
  /** The leaf and its chain. */
  readonly cert: string;
  readonly key: string;
  /** DER of an OCSP response for the leaf, '' for none. */
  readonly ocsp: string;
}

/** Leaves of an authority of our own, made when they are asked for. */
export interface LocalCertificate {
  readonly source: 'local';
  /** DNS names, `*.` wildcards and IP addresses; a leaf is made for each. Others are not answered. */
  readonly names: readonly string[];
  /** Folder that keeps authority and leaves. */
  readonly folder: string;
}

/** Certificates of a public authority by ACME (RFC 8555). */
export interface AcmeCertificate {
  readonly source: 'acme';
  /** DNS names in lower case; one certificate is ordered for all of them. May be empty with `onDemand`. */
  readonly names: readonly string[];
  /** Names, and `*.` patterns for all names below, for which one is ordered when a client first asks. */
  readonly onDemand: readonly string[];
  /** Folder that keeps accounts and certificates of all authorities. */
  readonly folder: string;
  /** URL of the authority's directory. */
  readonly directory: string;
  /** PEM file that the authority itself is verified with, '' for the authorities that Node believes in. */
  readonly ca: string;
  /** Contact of the account, '' for none. */
  readonly email: string;
  readonly challenge: 'http-01' | 'tls-alpn-01' | 'dns-01';
  /** With `dns-01`: path of the program that sets and removes records. */
  readonly dnsHook: string;
  /** External account binding, null for none; `key` is base64url. */
  readonly binding: { readonly keyId: string; readonly key: string } | null;
}

export interface ClientAuthOptions {
  /** PEM file with the authorities whose clients are let in. */
  readonly ca: string;
  /** `optional`: clients without a certificate are let in too; one that does not verify never is. */
  readonly mode: 'require' | 'optional';
}

export interface HstsOptions {
  readonly maxAgeMs: number;
  readonly includeSubdomains: boolean;
  readonly preload: boolean;
}

/** Origination towards a cluster's endpoints. */
export interface UpstreamTlsOptions {
  /** PEM file with the authorities that endpoints are verified with, '' for the system's. */
  readonly ca: string;
  /** Name that is asked for and verified; '' for the host of the endpoint. */
  readonly serverName: string;
  /** Our own certificate, null for none. */
  readonly certificate: { readonly cert: string; readonly key: string } | null;
  /** Offered in this order; empty: ALPN is not sent. */
  readonly alpn: readonly Protocol[];
  /** SHA-256 fingerprints in hex, lower case; one must be the endpoint's. They stand in for verification by authority. */
  readonly pins: readonly string[];
  /** Nothing is verified. */
  readonly insecure: boolean;
  readonly minVersion: TlsVersion;
  readonly handshakeTimeoutMs: number;
}
