// What the schema cannot see of TLS: keys that go together, and what is in the files that are named. Works on the
// document as written, like check.ts.

import { X509Certificate } from 'node:crypto';
import { accessSync, constants, readFileSync, statSync } from 'node:fs';
import { isIP } from 'node:net';
import { resolve } from 'node:path';
import { canSecure } from '../io/secure.ts';
import { strengthFault } from '../tls/context.ts';
import type { Identity } from '../tls/identity.ts';
import { readFiles } from '../tls/material.ts';
import type { DocumentPath, Finding } from './error.ts';
import { type CheckResult, list, record } from './shape.ts';

/** A certificate that ends within this time is warned about. */
const ENDING_MS = 14 * 24 * 60 * 60 * 1000;

const FILE_KEYS = ['cert', 'key', 'ocsp'];
const ACME_KEYS = ['onDemand', 'directory', 'ca', 'email', 'challenge', 'dnsHook', 'binding'];
/** What Let's Encrypt allows, and others much alike. */
const MOST_NAMES = 100;

/** Checks `tls` of a listener; files are named from `folder`. */
export function checkListenerTls(path: DocumentPath, value: unknown, protocol: unknown, folder: string): CheckResult {
  const check = new TlsCheck(folder);
  if (value !== undefined) check.listener(path, record(value), protocol);
  return check;
}

/** Checks `tls` of a cluster. */
export function checkClusterTls(path: DocumentPath, value: unknown, folder: string): CheckResult {
  const check = new TlsCheck(folder);
  if (value !== undefined) check.cluster(path, record(value));
  return check;
}

class TlsCheck implements CheckResult {
  readonly errors: Finding[] = [];
  readonly warnings: Finding[] = [];
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  listener(path: DocumentPath, tls: Readonly<Record<string, unknown>>, protocol: unknown): void {
    if (!canSecure()) this.#fail(path, 'cannot be had with this runtime; use the one that Millrace names');
    if (protocol === 'tcp' && tls['alpn'] !== undefined) {
      this.#fail([...path, 'alpn'], 'has no meaning with protocol "tcp"; remove it', true);
    }
    for (const [index, certificate] of list(tls['certificates']).entries()) {
      this.#certificate([...path, 'certificates', index], record(certificate));
    }
    const { clientAuth } = tls as { clientAuth?: unknown };
    if (clientAuth !== undefined) this.#authorities([...path, 'clientAuth', 'ca'], record(clientAuth)['ca']);
    this.#strength([...path, 'ciphers'], words(tls['ciphers']), null);
    this.#strength([...path, 'curves'], null, words(tls['curves']));
  }

  cluster(path: DocumentPath, tls: Readonly<Record<string, unknown>>): void {
    if (!canSecure()) this.#fail(path, 'cannot be had with this runtime; use the one that Millrace names');
    this.#authorities([...path, 'ca'], tls['ca']);
    const { cert, key } = tls as { cert?: unknown; key?: unknown };
    if ((cert === undefined) !== (key === undefined)) {
      this.#fail(path, 'needs cert and key together');
    } else if (typeof cert === 'string' && typeof key === 'string')
      this.#files([...path, 'cert'], cert, key, undefined);
    if (tls['insecure'] === true) {
      if (tls['ca'] !== undefined || list(tls['pins']).length > 0) {
        this.#fail([...path, 'insecure'], 'excludes ca and pins: nothing is verified with it', true);
      } else
        this.#warn([...path, 'insecure'], 'verifies nothing: anybody in between can read and change everything', true);
    }
  }

  #certificate(path: DocumentPath, certificate: Readonly<Record<string, unknown>>): void {
    const { auto, cert, key, ocsp } = certificate;
    if (auto === undefined) {
      for (const name of ['names', 'folder']) this.#without(path, certificate, name, 'auto');
      for (const name of ACME_KEYS) this.#without(path, certificate, name, 'auto: acme');
      if (cert === undefined || key === undefined) this.#fail(path, 'needs cert and key, or auto');
      else if (typeof cert === 'string' && typeof key === 'string') this.#files([...path, 'cert'], cert, key, ocsp);
      return;
    }
    for (const name of FILE_KEYS) {
      if (certificate[name] !== undefined) this.#fail([...path, name], 'and auto exclude each other', true);
    }
    const names = words(certificate['names']) ?? [];
    for (const [index, name] of names.entries()) this.#name([...path, 'names', index], name);
    if (auto === 'acme') return this.#acme(path, certificate, names);
    for (const name of ACME_KEYS) this.#without(path, certificate, name, 'auto: acme');
    if (names.length === 0) this.#fail(path, 'needs names: what the certificates are for, such as localhost');
  }

  #acme(path: DocumentPath, certificate: Readonly<Record<string, unknown>>, names: readonly string[]): void {
    const { challenge = 'tls-alpn-01', dnsHook } = certificate;
    const onDemand = words(certificate['onDemand']) ?? [];
    if (names.length + onDemand.length === 0) {
      this.#fail(path, 'needs names or onDemand: what certificates are for, such as www.example.com');
    }
    if (names.length > MOST_NAMES) this.#fail([...path, 'names'], `must be at most ${MOST_NAMES} for one certificate`);
    for (const [index, name] of names.entries()) {
      const place = [...path, 'names', index];
      if (isIP(name) !== 0 || !name.includes('.'))
        this.#fail(place, 'must be a public DNS name: authorities certify no other');
      else if (name.startsWith('*.') && challenge !== 'dns-01') {
        this.#fail(place, 'is a wildcard, which authorities certify with challenge: dns-01 alone');
      }
    }
    for (const [index, name] of onDemand.entries()) {
      if (
        this.#name([...path, 'onDemand', index], name) &&
        (isIP(name) !== 0 || !name.replace(/^\*\./, '').includes('.'))
      ) {
        this.#fail([...path, 'onDemand', index], 'must be a public DNS name, or *. before one with a dot');
      }
    }
    if (challenge === 'dns-01' && dnsHook === undefined) this.#fail(path, 'needs dnsHook with challenge: dns-01');
    if (challenge !== 'dns-01') this.#without(path, certificate, 'dnsHook', 'challenge: dns-01');
    if (typeof dnsHook === 'string') this.#program([...path, 'dnsHook'], resolve(this.#folder, dnsHook));
    this.#authorities([...path, 'ca'], certificate['ca']);
  }

  #program(path: DocumentPath, file: string): void {
    try {
      accessSync(file, constants.X_OK);
    } catch (error) {
      const missing = (error as NodeJS.ErrnoException).code === 'ENOENT';
      this.#fail(path, `${file}: ${missing ? 'is not there' : 'cannot be run'}`);
    }
  }

  #without(path: DocumentPath, certificate: Readonly<Record<string, unknown>>, key: string, needed: string): void {
    if (certificate[key] !== undefined) this.#fail([...path, key], `needs ${needed}`, true);
  }

  #files(path: DocumentPath, cert: string, key: string, ocsp: unknown): void {
    const file = (name: string): string => resolve(this.#folder, name);
    const identity = readFiles({
      source: 'files',
      cert: file(cert),
      key: file(key),
      ocsp: typeof ocsp === 'string' ? file(ocsp) : '',
    });
    if ('fault' in identity) return this.#fail(path, identity.fault);
    this.#dates(path, identity);
    try {
      const { mode } = statSync(file(key));
      if ((mode & 0o077) !== 0 && (mode & 0o007) !== 0) {
        this.#warn([...path.slice(0, -1), 'key'], 'can be read by every user of this machine; chmod it to 600');
      }
    } catch {
      // Gone since it was read; whoever reads it next says so.
    }
  }

  #dates(path: DocumentPath, { notBeforeMs, notAfterMs, names }: Identity): void {
    const now = Date.now();
    const day = (ms: number): string => new Date(ms).toISOString().slice(0, 10);
    if (notAfterMs < now) this.#warn(path, `has expired on ${day(notAfterMs)}: clients will refuse it`);
    else if (notAfterMs - now < ENDING_MS) this.#warn(path, `ends soon, on ${day(notAfterMs)}`);
    if (notBeforeMs > now) this.#warn(path, `does not hold before ${day(notBeforeMs)}; is the clock right?`);
    if (names.length === 0) this.#warn(path, 'holds for no name, so it serves only where no other does');
  }

  #authorities(path: DocumentPath, value: unknown): void {
    if (typeof value !== 'string') return;
    const file = resolve(this.#folder, value);
    let text: string;
    try {
      text = readFileSync(file, 'utf8');
    } catch (error) {
      return this.#fail(path, `${file}: ${(error as NodeJS.ErrnoException).code ?? 'cannot be read'}`);
    }
    try {
      new X509Certificate(text);
    } catch {
      this.#fail(path, `${file} holds no PEM certificate`);
    }
  }

  /** Whether it can be a server name; if not, that has been told. */
  #name(path: DocumentPath, name: string): boolean {
    const plain = name.startsWith('*.') ? name.slice(2) : name;
    if (isIP(name) !== 0) return true;
    if (/^([A-Za-z0-9_-]{1,63}\.)*[A-Za-z0-9_-]{1,63}$/.test(plain) && plain.length <= 253) return true;
    this.#fail(path, 'must be a DNS name such as www.example.com or *.example.com, or an address');
    return false;
  }

  #strength(path: DocumentPath, ciphers: readonly string[] | null, curves: readonly string[] | null): void {
    if (ciphers === null && curves === null) return;
    const fault = strengthFault(ciphers, curves);
    if (fault !== '') this.#fail(path, `OpenSSL refuses this list: ${fault}`);
  }

  #fail(path: DocumentPath, message: string, atKey = false): void {
    this.errors.push({ path, message, atKey });
  }

  #warn(path: DocumentPath, message: string, atKey = false): void {
    this.warnings.push({ path, message, atKey });
  }
}

function words(value: unknown): readonly string[] | null {
  return Array.isArray(value) ? value.filter((one) => typeof one === 'string') : null;
}
