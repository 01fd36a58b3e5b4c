// What is known about a client for as long as its connection lasts, and what upstreams are told about it. The words are
// put together once per connection; a request merely copies them.

import { isIP } from 'node:net';
import type { Fingerprints } from '../tls/fingerprint.ts';
import { sameIgnoringCase } from '../wire/fields.ts';
import type { ForwardedMode, ForwardedOptions } from './options.ts';

/** What happens to a field that names the client: nothing is added, ours goes behind theirs, ours alone. */
export const Forward = { OFF: 0, APPEND: 1, REPLACE: 2 } as const;

/** What a client has shown of itself by TLS. */
export interface SecuredClient {
  /** The name that it asked for, in lower case; '' for none. */
  readonly serverName: string;
  /** Lines that tell upstreams of its certificate and its hello, '' without. */
  readonly lines: string;
  /** Of its hello; null where nobody asks. */
  readonly fingerprints: Fingerprints | null;
  /** Whether the certificate that it was shown holds for this host (lower case) too. */
  covers(host: string): boolean;
}

export class Client {
  /** IP literal; '' when there is none, as for a unix socket. From a PROXY header where one was accepted. */
  readonly address: string;
  readonly port: number;
  /** Whether the peer is a trusted proxy, whose word about its own client is taken. */
  readonly trusted: boolean;
  /** What becomes of X-Forwarded-* and of Forwarded: one of `Forward`. */
  readonly xForwarded: number;
  readonly standard: number;
  /** Whether a request id that the client sends is kept, and whether one is added. */
  readonly keepsId: boolean;
  readonly makesId: boolean;
  /** Whether Via is added. */
  readonly via: boolean;
  /** Lines that every request of this client gets, ready to be written. */
  readonly lines: string;
  /** The client as X-Forwarded-For and as `for=` of Forwarded name it. */
  readonly name: string;
  readonly element: string;
  /** What its URLs begin with. */
  readonly scheme: 'http' | 'https';
  /** Whether fields that tell of a certificate are kept: from trusted proxies that have shown none of their own. */
  readonly keepsCertificate: boolean;
  /** Of its TLS hello, for routes; null without TLS, or where no route asks. */
  readonly fingerprints: Fingerprints | null;
  readonly #secured: SecuredClient | null;
  readonly #serverName: Buffer;
  /** Another host that the certificate has been found to hold for. */
  #covered = '';

  constructor(
    address: string,
    port: number,
    trusted: boolean,
    options: ForwardedOptions,
    secured: SecuredClient | null = null,
  ) {
    this.scheme = secured === null ? 'http' : 'https';
    this.#secured = secured;
    this.fingerprints = secured?.fingerprints ?? null;
    this.#serverName = Buffer.from(secured?.serverName ?? '', 'latin1');
    this.keepsCertificate = trusted && (secured === null || secured.lines === '');
    // Whatever is not an address must not get into a head.
    this.address = isIP(address) === 0 ? '' : address;
    this.port = port;
    this.trusted = trusted;
    this.xForwarded = resolve(options.xForwarded, trusted);
    this.standard = resolve(options.standard, trusted);
    this.keepsId = options.requestId === 'off' || (options.requestId === 'auto' && trusted);
    this.makesId = options.requestId !== 'off';
    // RFC 7239 6: what has no address is "unknown"; IPv6 in brackets and quotes.
    this.name = this.address === '' ? 'unknown' : address;
    this.element =
      this.address === '' ? 'for=unknown' : address.includes(':') ? `for="[${address}]"` : `for=${address}`;
    const named =
      this.xForwarded === Forward.REPLACE
        ? `X-Forwarded-For: ${this.name}\r\nX-Forwarded-Proto: ${this.scheme}\r\n`
        : '';
    this.lines = named + (secured?.lines ?? '');
    this.via = options.via;
  }

  /**
   * Whether a request for the host at `start..end` belongs on this connection. One for a name that the certificate does
   * not hold for came here by mistake, or around what guards the other name (RFC 9110 15.5.20).
   */
  mayAsk(bytes: Buffer, start: number, end: number): boolean {
    const name = this.#serverName;
    if (name.length === 0) return true;
    if (end - start === name.length && sameIgnoringCase(bytes, start, name)) return true;
    // HTTP/1.0 without Host names nobody.
    if (end === start) return true;
    const host = bytes.toString('latin1', start, end).toLowerCase();
    if (host === this.#covered) return true;
    if (!this.#secured!.covers(host)) return false;
    this.#covered = host;
    return true;
  }
}

function resolve(mode: ForwardedMode, trusted: boolean): number {
  if (mode === 'auto') return trusted ? Forward.APPEND : Forward.REPLACE;
  return mode === 'off' ? Forward.OFF : mode === 'append' ? Forward.APPEND : Forward.REPLACE;
}
