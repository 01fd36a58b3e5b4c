// TLS of one listener: the certificates that serve it, from files and issuers, and which one a client gets.

import { createHash } from 'node:crypto';
import { statSync } from 'node:fs';
import type { Log } from '../base/log.ts';
import type { Connection } from '../io/connection.ts';
import { type Accepted, type AcceptOptions, alert, Handshake, INTERNAL_ERROR } from './accept.ts';
import { CHALLENGE_PROTOCOL, protocolList } from './alpn.ts';
import { HandshakeGate } from './gate.ts';
import { HeldClient } from './held-client.ts';
import type { Identity } from './identity.ts';
import type { CertificateNews, Issuer } from './issuer.ts';
import { authoritiesFault, certificateFiles, identityOf, Materials, readMaterial, textOf } from './material.ts';
import type { CertificateOptions, FileCertificate, TlsOptions } from './options.ts';
import { CertificateStore, type Entry } from './store.ts';
import type { TicketKeys } from './ticket.ts';

/** How often files are looked at. Watching them by events misses what is behind links, as containers lay them. */
const LOOK_EVERY_MS = 5000;
/** A certificate that ends within this time is warned about once a day. */
const ENDING_MS = 14 * 24 * 60 * 60 * 1000;
const DAY_MS = 24 * 60 * 60 * 1000;
/** Clients that may wait for a certificate that is being ordered. */
const MOST_AWAITING = 256;
/** Authorities are served in their own way, whatever the listener's. */
const PROVING: AcceptOptions = { alpn: protocolList([CHALLENGE_PROTOCOL]), clients: 'ignored', timeoutMs: 10_000 };

export class Terminator {
  readonly options: TlsOptions;
  readonly stats = { handshakes: 0, resumed: 0, failed: 0, refused: 0 };
  readonly store: CertificateStore;
  readonly #name: string;
  readonly #log: Log;
  readonly #gate: HandshakeGate;
  readonly #accept: AcceptOptions;
  readonly #sources: readonly (FileSource | IssuerSource)[];
  /** Issuers that get certificates when clients ask. */
  readonly #demands: readonly Issuer[];
  readonly #materials: Materials;
  /** Clients that wait for one. */
  #awaiting = 0;
  #timer: NodeJS.Timeout | null = null;
  #warnedMs = 0;
  /** What the file of client authorities was when it was read last. */
  #authoritiesStamp = '';

  /**
   * Reads what is in files, and takes what they held before where they cannot be used now; throws when nobody knows: without
   * its certificate a listener is not to serve. `issuer`: for those sources that have one.
   */
  constructor(
    name: string,
    options: TlsOptions,
    log: Log,
    tickets: TicketKeys,
    issuer: (certificate: CertificateOptions) => Issuer | null,
    materials = new Materials(),
  ) {
    this.#name = name;
    this.#materials = materials;
    this.options = options;
    this.#log = log;
    const authorities = this.#firstAuthorities();
    this.store = new CertificateStore(
      options.certificates.length,
      {
        profile: options.profile,
        minVersion: options.minVersion,
        ciphers: options.ciphers,
        curves: options.curves,
        clientAuthorities: authorities,
        resumptionMs: options.resumptionMs,
        // A session begun where clients prove who they are must not be resumed where others are believed, nor the reverse.
        sessionScope: sessionScope(name, options, authorities),
      },
      tickets,
    );
    this.#gate = new HandshakeGate(options.handshakes);
    this.#accept = {
      alpn: options.alpn.length === 0 ? null : protocolList(options.alpn),
      clients: options.clientAuth?.mode ?? 'ignored',
      timeoutMs: options.handshakeTimeoutMs,
    };
    this.#sources = options.certificates.map((certificate) => {
      const made = issuer(certificate);
      return made !== null ? { issuer: made } : { files: certificate as FileCertificate, stamp: '' };
    });
    this.#demands = this.#sources.flatMap((source) =>
      'issuer' in source && source.issuer.demand !== undefined ? [source.issuer] : [],
    );
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
      this.#lookAtAuthorities();
      this.#warnOfEnding();
    }, LOOK_EVERY_MS);
    this.#timer.unref();
  }

  /** Another event loop has said something of certificates. */
  hear(news: CertificateNews): void {
    for (const source of this.#sources) if ('issuer' in source) source.issuer.hear?.(news);
  }

  /** Resolves once issuers have tidied up behind them. */
  async stop(): Promise<void> {
    if (this.#timer !== null) clearInterval(this.#timer);
    await Promise.all(this.#sources.map((source) => ('issuer' in source ? source.issuer.stop() : null)));
  }

  get inFlight(): number {
    return this.#gate.inFlight;
  }

  /** Makes the handshake on `connection` with a client that asks for `serverName` ('' for none); `early` is what was read of the client, its own. */
  accept(connection: Connection, serverName: string, early: Buffer, accepted: Accepted): void {
    const entry = this.store.named(serverName);
    if (entry !== null) return this.#begin(connection, entry, this.#accept, early, accepted);
    if (this.#demands.length > 0 && this.#await(connection, serverName, early, accepted)) return;
    this.#serveDefault(connection, early, accepted);
  }

  /** Shows an authority what it has asked to see (RFC 8737). Answers false when there is nothing to be shown for this name. */
  prove(connection: Connection, serverName: string, early: Buffer, accepted: Accepted): boolean {
    for (const source of this.#sources) {
      const identity = 'issuer' in source ? (source.issuer.proof?.(serverName) ?? null) : null;
      if (identity === null) continue;
      this.#begin(connection, this.store.entryOf(identity), PROVING, early, {
        // Nothing is said on such a connection: the handshake was all.
        secured: () => connection.close(),
        refused: (cause) => accepted.refused(cause),
      });
      return true;
    }
    return false;
  }

  #serveDefault(connection: Connection, early: Buffer, accepted: Accepted): void {
    const entry = this.store.find('');
    if (entry !== null) return this.#begin(connection, entry, this.#accept, early, accepted);
    this.#refuse('no_certificate', accepted);
    alert(connection, INTERNAL_ERROR);
  }

  /** Holds a client up until there is a certificate for what it asks for, if somebody gets one. */
  #await(connection: Connection, serverName: string, early: Buffer, accepted: Accepted): boolean {
    if (serverName === '' || this.#awaiting >= MOST_AWAITING) return false;
    const held = new HeldClient(connection, this.options.handshakeTimeoutMs, (cause) => {
      this.#awaiting--;
      if (cause !== '') this.#refuse(cause, accepted);
    });
    const done = (found: boolean): void => {
      if (!held.let()) return;
      const entry = found ? this.store.named(serverName) : null;
      if (entry !== null) this.#begin(connection, entry, this.#accept, early, accepted);
      else this.#serveDefault(connection, early, accepted);
    };
    if (!this.#demands.some((issuer) => issuer.demand!(serverName, done))) return false;
    this.#awaiting++;
    held.hold();
    return true;
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

  /** PEM of the authorities of client certificates, '' when none are asked for. */
  #firstAuthorities(): string {
    const { clientAuth } = this.options;
    if (clientAuth === null) return '';
    const read = this.#readAuthorities(clientAuth.ca);
    if (!('fault' in read)) return read.text;
    const last = this.#materials.last([clientAuth.ca]);
    if (last === null) throw new Error(`listener ${this.#name}: ${read.fault}`);
    this.#tellAuthorities(clientAuth.ca, read.fault);
    return textOf(last[0]!);
  }

  #readAuthorities(file: string): { readonly text: string } | { readonly fault: string } {
    this.#authoritiesStamp = stampOf(file);
    const read = readMaterial([file]);
    const fault = 'fault' in read ? read.fault : authoritiesFault(file, read[0]!);
    if ('fault' in read || fault !== '') return { fault };
    this.#materials.keep([file], read);
    return { text: textOf(read[0]!) };
  }

  #lookAtAuthorities(): void {
    const { clientAuth } = this.options;
    if (clientAuth === null || stampOf(clientAuth.ca) === this.#authoritiesStamp) return;
    const read = this.#readAuthorities(clientAuth.ca);
    const scope = 'fault' in read ? '' : sessionScope(this.#name, this.options, read.text);
    const fault = 'fault' in read ? read.fault : this.store.ask(read.text, scope);
    this.#tellAuthorities(clientAuth.ca, fault);
  }

  #tellAuthorities(file: string, fault: string): void {
    const told = { listener: this.#name, file };
    if (fault === '') this.#log.info('authorities of clients replaced', told);
    else this.#log.error('authorities of clients not read, those before go on', { ...told, fault });
  }

  /** Reads files that have changed; those that are wrong leave what is served as it is. */
  #look(): void {
    for (const [index, source] of this.#sources.entries()) {
      if (!('files' in source)) continue;
      const files = certificateFiles(source.files);
      const stamp = files.map(stampOf).join();
      if (stamp === source.stamp) continue;
      const first = source.stamp === '';
      const told = { listener: this.#name, file: source.files.cert };
      const fault = this.#read(index, files);
      if (fault === '') {
        source.stamp = stamp;
        if (!first) this.#log.info('certificate replaced', { ...told, ...lifeOf(this.store.part(index)[0]!) });
        continue;
      }
      if (first) {
        const last = this.#materials.last(files);
        if (last === null || this.#take(index, last) !== '') {
          throw new Error(`listener ${this.#name}: certificate ${source.files.cert}: ${fault}`);
        }
      }
      this.#log.error('certificate not read, the one before goes on serving', { ...told, fault });
      // Its files may be in the middle of being written: looked at again next time.
      source.stamp = `${stamp} faulty`;
    }
  }

  /** Reads what these hold now and serves with it; answers '' or why not. */
  #read(index: number, files: readonly string[]): string {
    const read = readMaterial(files);
    if ('fault' in read) return read.fault;
    const fault = this.#take(index, read);
    if (fault === '') this.#materials.keep(files, read);
    return fault;
  }

  #take(index: number, contents: readonly Uint8Array[]): string {
    const identity = identityOf(contents);
    return 'fault' in identity ? identity.fault : this.store.replace(index, [identity]);
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
        ...lifeOf(identity),
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

/** OpenSSL takes 32 bytes of it. */
function sessionScope(name: string, { clientAuth }: TlsOptions, authorities: string): string {
  const scope = JSON.stringify([name, authorities, clientAuth?.mode ?? '']);
  return createHash('sha256').update(scope).digest('hex').slice(0, 32);
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

function lifeOf(identity: Identity): { names: string; until: string } {
  return { names: identity.names.slice(0, 5).join(' '), until: new Date(identity.notAfterMs).toISOString() };
}
