// TLS of one listener: the certificates that serve it, from files and issuers, and which one a client gets.

import { createHash } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import type { Log } from '../base/log.ts';
import type { Connection } from '../io/connection.ts';
import { type Accepted, type AcceptOptions, Alert, alert, Handshake } from './accept.ts';
import { protocolList } from './alpn.ts';
import { HandshakeGate } from './gate.ts';
import { type Identity, readIdentity } from './identity.ts';
import type { Issuer } from './issuer.ts';
import type { CertificateOptions, FileCertificate, TlsOptions } from './options.ts';
import { CertificateStore, type Entry } from './store.ts';
import type { TicketKeys } from './ticket.ts';

/** How often files are looked at. Watching them by events misses what is behind links, as containers lay them. */
const LOOK_EVERY_MS = 5000;
/** A certificate that ends within this time is warned about once a day. */
const ENDING_MS = 14 * 24 * 60 * 60 * 1000;
const DAY_MS = 24 * 60 * 60 * 1000;
/** Connections that wait for a certificate to be ordered. */
const MOST_ORDERED = 100;
/** RFC 8737 6.2. */
const ACME_PROTOCOL = 'acme-tls/1';
const ACME_LIST = protocolList([ACME_PROTOCOL]);

/** What a client's hello says. */
export interface Asked {
  readonly serverName: string;
  readonly alpn: readonly string[];
}

export class Terminator {
  readonly options: TlsOptions;
  readonly stats = { handshakes: 0, resumed: 0, failed: 0, refused: 0 };
  readonly store: CertificateStore;
  readonly #name: string;
  readonly #log: Log;
  readonly #gate: HandshakeGate;
  readonly #accept: AcceptOptions;
  readonly #sources: readonly (FileSource | IssuerSource)[];
  #timer: NodeJS.Timeout | null = null;
  #ordered = 0;
  #warnedMs = 0;

  /** Reads what is in files; what is wrong there is logged, since it was checked before. `issuers`: for those sources that have one. */
  constructor(
    name: string,
    options: TlsOptions,
    log: Log,
    tickets: TicketKeys,
    issuer: (certificate: CertificateOptions) => Issuer | null,
  ) {
    this.#name = name;
    this.options = options;
    this.#log = log;
    const { clientAuth } = options;
    this.store = new CertificateStore(
      options.certificates.length,
      {
        profile: options.profile,
        minVersion: options.minVersion,
        ciphers: options.ciphers,
        curves: options.curves,
        clientAuthorities: clientAuth === null ? '' : readText(clientAuth.ca),
        resumptionMs: options.resumptionMs,
        // A session begun where clients prove who they are must not be resumed where others are believed, nor the reverse.
        sessionScope: sessionScope(name, options),
      },
      tickets,
    );
    this.#gate = new HandshakeGate(options.handshakes);
    this.#accept = {
      alpn: options.alpn.length === 0 ? null : protocolList(options.alpn),
      clients: clientAuth === null ? 'ignored' : clientAuth.mode,
      timeoutMs: options.handshakeTimeoutMs,
    };
    this.#sources = options.certificates.map((certificate) => {
      const made = issuer(certificate);
      return made !== null ? { issuer: made } : { files: certificate as FileCertificate, stamp: '' };
    });
    this.#look();
  }

  /** Begins to renew: issuers start, files are looked at from now on. */
  start(): void {
    for (const [index, source] of this.#sources.entries()) {
      if ('issuer' in source) source.issuer.start((identities) => this.#replace(index, identities));
    }
    this.#warnOfEnding();
    this.#timer = setInterval(() => {
      this.#look();
      this.#warnOfEnding();
    }, LOOK_EVERY_MS);
    this.#timer.unref();
  }

  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    for (const source of this.#sources) if ('issuer' in source) source.issuer.stop();
  }

  get inFlight(): number {
    return this.#gate.inFlight;
  }

  /** What answers an HTTP-01 validation, null where there is none. */
  authorization(token: string): string | null {
    for (const source of this.#sources) {
      const answer = 'issuer' in source ? source.issuer.authorization(token) : null;
      if (answer !== null) return answer;
    }
    return null;
  }

  /** Makes the handshake on `connection`; `early` is what was read of the client, its own. */
  accept(connection: Connection, asked: Asked, early: Buffer, accepted: Accepted): void {
    if (asked.alpn.length === 1 && asked.alpn[0] === ACME_PROTOCOL) {
      return this.#validate(connection, asked.serverName, early, accepted);
    }
    const entry = this.store.named(asked.serverName);
    if (entry !== null) return this.#begin(connection, entry, this.#accept, early, accepted);
    const order = this.#order(asked.serverName);
    if (order !== null) return this.#await(order, connection, asked.serverName, early, accepted);
    this.#beginWith(this.store.find(''), connection, early, accepted);
  }

  #beginWith(entry: Entry | null, connection: Connection, early: Buffer, accepted: Accepted): void {
    if (entry !== null) return this.#begin(connection, entry, this.#accept, early, accepted);
    this.#refuse('no_certificate', accepted);
    alert(connection, Alert.INTERNAL_ERROR);
  }

  #begin(connection: Connection, entry: Entry, options: AcceptOptions, early: Buffer, accepted: Accepted): void {
    const handshake = new Handshake(connection, entry, options, early, this.#gate, {
      secured: (link) => {
        this.stats.handshakes++;
        if (link.resumed) this.stats.resumed++;
        accepted.secured(link);
      },
      refused: (cause) => {
        this.stats.failed++;
        accepted.refused(cause);
      },
    });
    if (this.#gate.enter(handshake)) return;
    this.#log.limited(`handshakes ${this.#name}`, 1000).warn('too many handshakes', {
      listener: this.#name,
      limit: this.options.handshakes,
    });
    this.#refuse('handshakes_full', accepted);
    connection.reset();
  }

  #refuse(cause: string, accepted: Accepted): void {
    this.stats.refused++;
    accepted.refused(cause);
  }

  /** An ACME authority asks whether the name is ours. It gets its proof and nothing else. */
  #validate(connection: Connection, name: string, early: Buffer, accepted: Accepted): void {
    for (const source of this.#sources) {
      const identity = 'issuer' in source ? source.issuer.challenge(name) : null;
      if (identity === null) continue;
      const entry = { context: this.store.single(identity), identities: [identity], ocsp: null };
      const options: AcceptOptions = { ...this.#accept, alpn: ACME_LIST, clients: 'ignored' };
      return this.#begin(connection, entry, options, early, {
        secured: () => connection.close(),
        refused: (cause) => accepted.refused(cause),
      });
    }
    this.#refuse('no_validation', accepted);
    alert(connection, Alert.UNRECOGNIZED_NAME);
  }

  #order(name: string): Promise<void> | null {
    if (name === '' || this.#ordered >= MOST_ORDERED) return null;
    for (const source of this.#sources) {
      const order = 'issuer' in source ? source.issuer.demand(name) : false;
      if (order !== false) return order;
    }
    return null;
  }

  #await(order: Promise<void>, connection: Connection, name: string, early: Buffer, accepted: Accepted): void {
    this.#ordered++;
    connection.pause();
    connection.receiver = {
      received: () => connection.destroy(),
      finished: () => connection.destroy(),
      drained() {},
      closed() {},
      expired: () => {
        this.#refuse('no_certificate', accepted);
        alert(connection, Alert.INTERNAL_ERROR);
      },
      crashed: () => connection.reset(),
    };
    connection.expireIn(this.options.handshakeTimeoutMs);
    const done = (): void => {
      this.#ordered--;
      if (!connection.gone) this.#beginWith(this.store.find(name), connection, early, accepted);
    };
    order.then(done, done);
  }

  /** Reads files that have changed; those that are wrong leave what is served as it is. */
  #look(): void {
    for (const [index, source] of this.#sources.entries()) {
      if (!('files' in source)) continue;
      const { cert, key, ocsp } = source.files;
      const stamp = [cert, key, ocsp].map(stampOf).join();
      if (stamp === source.stamp) continue;
      const first = source.stamp === '';
      source.stamp = stamp;
      const identity = readFiles(source.files);
      if ('fault' in identity) {
        this.#log.error('certificate not read, the one before goes on serving', {
          listener: this.#name,
          file: cert,
          fault: identity.fault,
        });
        // Its files may be in the middle of being written: looked at again next time.
        source.stamp = first ? '' : `${stamp} faulty`;
        continue;
      }
      this.#replace(index, [identity]);
      if (!first) this.#log.info('certificate replaced', { listener: this.#name, file: cert, ...told(identity) });
    }
  }

  #replace(index: number, identities: readonly Identity[]): void {
    const fault = this.store.replace(index, identities);
    if (fault !== '') this.#log.error('certificate refused', { listener: this.#name, fault });
  }

  #warnOfEnding(): void {
    const now = Date.now();
    if (now - this.#warnedMs < DAY_MS) return;
    for (const identity of this.store.identities) {
      if (identity.notAfterMs - now > ENDING_MS) continue;
      this.#warnedMs = now;
      const over = identity.notAfterMs < now;
      this.#log.warn(over ? 'certificate has expired' : 'certificate ends soon', {
        listener: this.#name,
        ...told(identity),
      });
    }
  }
}

interface FileSource {
  readonly files: FileCertificate;
  /** Sizes and times of what was read last, '' before. */
  stamp: string;
}
interface IssuerSource {
  readonly issuer: Issuer;
}

/** Reads a certificate from its files. Faults name the file, never what is in it. */
export function readFiles(files: FileCertificate): Identity | { readonly fault: string } {
  try {
    const ocsp = files.ocsp === '' ? null : readFileSync(files.ocsp);
    return readIdentity(readFileSync(files.cert, 'utf8'), readFileSync(files.key, 'utf8'), ocsp);
  } catch (error) {
    const { code, path } = error as NodeJS.ErrnoException;
    return { fault: `${path ?? files.cert}: ${code ?? 'cannot be read'}` };
  }
}

/** OpenSSL takes 32 bytes of it. */
function sessionScope(name: string, { clientAuth }: TlsOptions): string {
  const scope = JSON.stringify([name, clientAuth?.ca ?? '', clientAuth?.mode ?? '']);
  return createHash('sha256').update(scope).digest('hex').slice(0, 32);
}

function readText(file: string): string {
  return readFileSync(file, 'utf8');
}

function stampOf(file: string): string {
  if (file === '') return '';
  try {
    const { mtimeMs, size, ino } = statSync(file);
    return `${mtimeMs} ${size} ${ino}`;
  } catch {
    return 'missing';
  }
}

function told(identity: Identity): { names: string; until: string } {
  return { names: identity.names.slice(0, 5).join(' '), until: new Date(identity.notAfterMs).toISOString() };
}
