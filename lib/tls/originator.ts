// TLS towards the endpoints of one cluster: begun on a connection that stands, verified before a byte is sent, sessions
// kept for the next one. Who is dialed, and what is said then, is left to others.

import { createHash, X509Certificate } from 'node:crypto';
import { statSync } from 'node:fs';
import { isIP } from 'node:net';
import { checkServerIdentity, type SecureContext } from 'node:tls';
import type { Log } from '../base/log.ts';
import type { Connection, Receiver } from '../io/connection.ts';
import type { SecureLink } from '../io/secure.ts';
import { flush } from '../io/send.ts';
import { protocolList } from './alpn.ts';
import { clientContext } from './context.ts';
import type { Identity } from './identity.ts';
import { authoritiesFault, clusterFiles, identityOf, Materials, readMaterial, textOf } from './material.ts';
import type { UpstreamTlsOptions } from './options.ts';

/** Who waits for a handshake with an endpoint. */
export interface Originating {
  /** Done: `protocol` is what was agreed on, '' for nothing. The connection needs a receiver before this returns. */
  secured(protocol: string): void;
  /** Not done; the connection is closed. `cause` in one or a few words, for the log. */
  insecure(cause: string): void;
}

const HTTP1 = protocolList(['http/1.1']);
/** Sessions kept, over all endpoints and names. */
const MOST_SESSIONS = 1024;
/** How often our own certificate and the authorities are looked at for changes. */
const LOOK_EVERY_MS = 5000;

export class Originator {
  readonly options: UpstreamTlsOptions;
  readonly stats = { handshakes: 0, resumed: 0, failed: 0 };
  readonly #alpn: Buffer | null;
  readonly #log: Log;
  readonly #cluster: string;
  readonly #materials: Materials;
  #context: SecureContext;
  #stamp: string;
  #lookedMs = performance.now();
  /** By endpoint and name; the oldest is dropped first. A session was verified as all of this cluster's are. */
  #sessions = new Map<string, Buffer>();

  /** Where files cannot be used now, takes what they held before; throws when nobody knows. */
  constructor(cluster: string, options: UpstreamTlsOptions, log: Log, materials = new Materials()) {
    this.options = options;
    this.#materials = materials;
    this.#cluster = cluster;
    this.#log = log;
    this.#alpn = options.alpn.length === 0 ? null : protocolList(options.alpn);
    this.#stamp = this.#stampOfFiles();
    this.#context = this.#begin();
    if (options.insecure)
      log.warn('TLS towards endpoints is not verified: anybody in between can change it', { cluster });
  }

  /**
   * Makes the handshake on `connection`, which stands and has sent nothing that waits. `host`: the endpoint's own, asked
   * for and verified unless the configuration has another. `endpoint` tells endpoints apart.
   * `plain`: nothing but HTTP/1.1 is offered.
   */
  begin(connection: Connection, endpoint: string, host: string, plain: boolean, originating: Originating): void {
    this.#look();
    const name = this.options.serverName || host;
    const key = `${endpoint} ${name}${plain ? ' plain' : ''}`;
    let verified = false;
    let early: Buffer | null = null;
    const handshake = new Handshake(connection, originating, this.options.handshakeTimeoutMs, (link) => {
      const fault = this.#verify(link, name);
      verified = fault === '';
      if (verified) this.stats.handshakes++;
      else this.stats.failed++;
      if (link.resumed) this.stats.resumed++;
      if (verified && early !== null) this.#remember(key, early);
      return fault;
    });
    connection.encrypt(
      {
        context: this.#context,
        server: false,
        alpn: plain && this.#alpn !== null ? HTTP1 : this.#alpn,
        // RFC 6066 3: literal addresses are no server names.
        serverName: isIP(name) === 0 ? name : '',
        session: this.#sessions.get(key) ?? null,
        // TLS 1.2 tells of it before it is known whom we speak with; what is kept here is trusted when it is resumed.
        remember: (session) => {
          if (verified) this.#remember(key, session);
          else early = session;
        },
        established: (link) => handshake.established(link),
        failed: (error) => handshake.fail((error as { reason?: string }).reason ?? error.code ?? error.message),
      },
      null,
    );
  }

  /** '' or why this peer is not the one that we wanted. */
  #verify(link: SecureLink, name: string): string {
    const { insecure, pins } = this.options;
    if (insecure) return '';
    const fault = pins.length > 0 ? '' : link.verifyFault();
    if (fault !== '') return `certificate ${fault}`;
    // Its certificate is not shown again: it was verified for this name when the session began.
    if (link.resumed) return '';
    const der = link.peerCertificate();
    if (der === null) return 'certificate none';
    if (pins.length > 0) {
      const fingerprint = createHash('sha256').update(der).digest('hex');
      return pins.includes(fingerprint) ? '' : `certificate not_pinned ${fingerprint}`;
    }
    // The chain was verified; what it holds for is ours to check.
    const certificate = new X509Certificate(der).toLegacyObject();
    return checkServerIdentity(name, certificate as never) === undefined ? '' : `certificate not_for ${name}`;
  }

  #remember(key: string, session: Buffer): void {
    this.#sessions.delete(key);
    this.#sessions.set(key, session);
    if (this.#sessions.size > MOST_SESSIONS) {
      for (const oldest of this.#sessions.keys()) {
        this.#sessions.delete(oldest);
        break;
      }
    }
  }

  #look(): void {
    const now = performance.now();
    if (now - this.#lookedMs < LOOK_EVERY_MS) return;
    this.#lookedMs = now;
    const stamp = this.#stampOfFiles();
    if (stamp === this.#stamp) return;
    this.#stamp = stamp;
    try {
      this.#context = this.#read();
      // They were made under other conditions.
      this.#sessions = new Map();
    } catch (error) {
      this.#tellFault(error as Error);
    }
  }

  #begin(): SecureContext {
    try {
      return this.#read();
    } catch (error) {
      const last = this.#materials.last(clusterFiles(this.options));
      if (last === null) throw error;
      this.#tellFault(error as Error);
      return this.#contextOf(last);
    }
  }

  #tellFault({ message: fault }: Error): void {
    this.#log.error('certificates not read, those before go on', { cluster: this.#cluster, fault });
  }

  #read(): SecureContext {
    const files = clusterFiles(this.options);
    const read = readMaterial(files);
    if ('fault' in read) throw new Error(read.fault);
    const context = this.#contextOf(read);
    this.#materials.keep(files, read);
    return context;
  }

  #contextOf([authorities, cert, key]: readonly Uint8Array[]): SecureContext {
    const { ca, certificate } = this.options;
    let identity: Identity | null = null;
    if (certificate !== null) {
      const read = identityOf([cert!, key!]);
      if ('fault' in read) throw new Error(read.fault);
      identity = read;
    }
    const fault = ca === '' ? '' : authoritiesFault(ca, authorities!);
    if (fault !== '') throw new Error(fault);
    return clientContext(this.options, textOf(authorities!), identity);
  }

  #stampOfFiles(): string {
    return clusterFiles(this.options).map(stampOf).join();
  }
}

class Handshake implements Receiver {
  readonly #connection: Connection;
  readonly #originating: Originating;
  readonly #verify: (link: SecureLink) => string;
  #over = false;

  constructor(
    connection: Connection,
    originating: Originating,
    timeoutMs: number,
    verify: (link: SecureLink) => string,
  ) {
    this.#connection = connection;
    this.#originating = originating;
    this.#verify = verify;
    connection.receiver = this;
    connection.expireIn(timeoutMs);
  }

  established(link: SecureLink): void {
    if (this.#over || this.#connection.gone) return;
    const fault = this.#verify(link);
    if (fault !== '') return this.fail(fault);
    this.#over = true;
    this.#connection.expireIn(0);
    this.#originating.secured(link.protocol);
    // This is told in the middle of a read that may bring nothing else.
    queueMicrotask(flush);
  }

  received(): void {
    this.fail('early_data');
  }

  finished(): void {
    this.fail('closed');
  }

  drained(): void {}

  closed(error: NodeJS.ErrnoException | null): void {
    this.fail(error?.code ?? 'closed');
  }

  expired(): void {
    this.fail('handshake_timeout');
  }

  crashed(error: unknown): void {
    this.fail('internal');
    throw error;
  }

  fail(cause: string): void {
    if (this.#over) return;
    this.#over = true;
    this.#connection.destroy();
    this.#originating.insecure(cause.replace(/[^\x20-\x7e]/g, ' ').slice(0, 100));
  }
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
