// Which identity serves which server name: exact names, then wildcards of one label (RFC 6125 6.4.3), then the first
// that there is. Sources replace their part as a whole; connections only read.

import type { SecureContext } from 'node:tls';
import { type ServerContextOptions, serverContext } from './context.ts';
import type { Identity } from './identity.ts';
import type { TicketKeys } from './ticket.ts';

/** What a client is served with. */
export interface Entry {
  readonly context: SecureContext;
  readonly identities: readonly Identity[];
  /** What is stapled, null for nothing: only where there is no second identity that it would be wrong for. */
  readonly ocsp: Buffer | null;
}

export class CertificateStore {
  #options: ServerContextOptions;
  readonly #tickets: TicketKeys;
  /** By source, in the order of the configuration. */
  readonly #parts: (readonly Identity[])[];
  #exact = new Map<string, Entry>();
  #wildcards = new Map<string, Entry>();
  #default: Entry | null = null;
  /** Contexts are costly, so sets of identities that stay keep theirs. */
  #entries = new Map<string, Entry>();

  /** `sources`: how many parts there are. */
  constructor(sources: number, options: ServerContextOptions, tickets: TicketKeys) {
    this.#parts = new Array(sources).fill([]);
    this.#options = options;
    this.#tickets = tickets;
  }

  /** All identities, in the order of their sources. */
  get identities(): readonly Identity[] {
    return this.#parts.flat();
  }

  /** Those of one source. */
  part(source: number): readonly Identity[] {
    return this.#parts[source]!;
  }

  /** What serves a client that asks for this name (lower case; '' for none); null while there is nothing at all. */
  find(serverName: string): Entry | null {
    return this.named(serverName) ?? this.#default;
  }

  /** As `find`, but only what holds for the name. */
  named(serverName: string): Entry | null {
    const exact = this.#exact.get(serverName);
    if (exact !== undefined) return exact;
    const dot = serverName.indexOf('.');
    return dot < 0 ? null : (this.#wildcards.get(serverName.slice(dot + 1)) ?? null);
  }

  /** Serves with this identity alone, which is nobody's certificate: made for one connection. */
  entryOf(identity: Identity): Entry {
    return { context: serverContext([identity], this.#options, this.#tickets), identities: [identity], ocsp: null };
  }

  /** Replaces what a source has. Answers '' or why OpenSSL refuses it, and then nothing has changed. */
  replace(source: number, identities: readonly Identity[]): string {
    const before = this.#parts[source]!;
    this.#parts[source] = identities;
    try {
      this.#index();
      return '';
    } catch (error) {
      this.#parts[source] = before;
      return error instanceof Error ? error.message : String(error);
    }
  }

  /** Other authorities of client certificates, and other sessions with them. Answers as `replace`. */
  ask(clientAuthorities: string, sessionScope: string): string {
    const before = this.#options;
    const entries = this.#entries;
    this.#options = { ...before, clientAuthorities, sessionScope };
    this.#entries = new Map();
    try {
      this.#index();
      return '';
    } catch (error) {
      this.#options = before;
      this.#entries = entries;
      return error instanceof Error ? error.message : String(error);
    }
  }

  #index(): void {
    const all = this.identities;
    const byName = new Map<string, Identity[]>();
    for (const identity of all) {
      for (const name of identity.names) {
        const same = byName.get(name) ?? [];
        // One for each kind of key: the client's signature algorithms choose. The first of the configuration wins.
        if (!same.some(({ keyKind }) => keyKind === identity.keyKind)) same.push(identity);
        byName.set(name, same);
      }
    }
    const entries = new Map<string, Entry>();
    const exact = new Map<string, Entry>();
    const wildcards = new Map<string, Entry>();
    for (const [name, identities] of byName) {
      if (name.startsWith('*.')) wildcards.set(name.slice(2), this.#entry(identities, entries));
      else exact.set(name, this.#entry(identities, entries));
    }
    const first = all[0];
    // The default has its other kind of key too, if its first name has one.
    const beside = first === undefined ? [] : (byName.get(first.names[0] ?? '') ?? [first]);
    this.#default = first === undefined ? null : this.#entry(beside.includes(first) ? beside : [first], entries);
    this.#exact = exact;
    this.#wildcards = wildcards;
    this.#entries = entries;
  }

  #entry(identities: readonly Identity[], entries: Map<string, Entry>): Entry {
    const staple = identities.length === 1 ? identities[0]!.ocsp : null;
    const key = `${identities.map(({ fingerprint }) => fingerprint).join()} ${staple?.toString('base64') ?? ''}`;
    let entry = entries.get(key) ?? this.#entries.get(key);
    if (entry === undefined) {
      entry = { context: serverContext(identities, this.#options, this.#tickets), identities, ocsp: staple };
    }
    entries.set(key, entry);
    return entry;
  }
}
