// The TLS keys of the document as the option types of the tls room: names are folded, paths made absolute, and what was
// left out is filled in where it depends on other keys.

import { join, resolve } from 'node:path';
import type { CertificateOptions, TlsOptions, TlsVersion, UpstreamTlsOptions } from '../tls/options.ts';
import { stateFolder } from '../tls/state-folder.ts';
import type { CheckedDocument } from './schema.ts';

type CheckedListenerTls = NonNullable<CheckedDocument['listeners'][string]['tls']>;
type CheckedCertificate = CheckedListenerTls['certificates'][number];
type CheckedClusterTls = NonNullable<CheckedDocument['clusters'][string]['tls']>;

const LETS_ENCRYPT = 'https://acme-v02.api.letsencrypt.org/directory';

/** Termination; files are named from `folder`. */
export function assembleListenerTls(tls: CheckedListenerTls, protocol: string, folder: string): TlsOptions {
  const { clientAuth, hsts } = tls;
  return {
    certificates: tls.certificates.map((certificate) => assembleCertificate(certificate, folder)),
    // What a TCP service speaks is not ours to say.
    alpn: protocol === 'tcp' ? [] : tls.alpn,
    profile: tls.profile,
    minVersion: tls.minVersion === undefined ? null : version(tls.minVersion),
    ciphers: tls.ciphers ?? null,
    curves: tls.curves ?? null,
    clientAuth: clientAuth === undefined ? null : { ca: resolve(folder, clientAuth.ca), mode: clientAuth.mode },
    handshakeTimeoutMs: tls.handshakeTimeout,
    handshakes: tls.handshakes,
    resumptionMs: tls.resumption,
    fingerprint: tls.fingerprint,
    hsts:
      hsts === undefined
        ? null
        : { maxAgeMs: hsts.maxAge, includeSubdomains: hsts.includeSubdomains, preload: hsts.preload },
  };
}

/** Origination; files are named from `folder`. */
export function assembleClusterTls(tls: CheckedClusterTls, folder: string): UpstreamTlsOptions {
  return {
    ca: tls.ca === undefined ? '' : resolve(folder, tls.ca),
    serverName: (tls.serverName ?? '').toLowerCase(),
    certificate:
      tls.cert === undefined || tls.key === undefined
        ? null
        : { cert: resolve(folder, tls.cert), key: resolve(folder, tls.key) },
    alpn: tls.alpn,
    pins: tls.pins.map((pin) => pin.replaceAll(':', '').toLowerCase()),
    insecure: tls.insecure,
    minVersion: version(tls.minVersion),
    handshakeTimeoutMs: tls.handshakeTimeout,
  };
}

function assembleCertificate(certificate: CheckedCertificate, folder: string): CertificateOptions {
  const { cert = '', key = '', ocsp, auto } = certificate;
  const kept = certificate.folder === undefined ? null : resolve(folder, certificate.folder);
  const names = lower(certificate.names);
  if (auto === 'local') return { source: 'local', names, folder: kept ?? join(stateFolder(), 'authority') };
  if (auto === 'acme') {
    const { ca, email, challenge, directory, dnsHook, binding } = certificate;
    return {
      source: 'acme',
      names,
      onDemand: lower(certificate.onDemand),
      folder: kept ?? join(stateFolder(), 'acme'),
      directory: directory ?? LETS_ENCRYPT,
      ca: ca === undefined ? '' : resolve(folder, ca),
      email: email ?? '',
      challenge: challenge ?? 'tls-alpn-01',
      dnsHook: dnsHook === undefined ? '' : resolve(folder, dnsHook),
      binding: binding ?? null,
    };
  }
  return {
    source: 'files',
    cert: resolve(folder, cert),
    key: resolve(folder, key),
    ocsp: ocsp === undefined ? '' : resolve(folder, ocsp),
  };
}

function lower(names: readonly string[] | undefined): readonly string[] {
  return (names ?? []).map((name) => name.toLowerCase());
}

function version(short: '1.2' | '1.3'): TlsVersion {
  return `TLSv${short}`;
}
