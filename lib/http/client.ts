// What is known about a client for as long as its connection lasts, and what upstreams are told about it. The words are
// put together once per connection; a request merely copies them.

import { isIP } from 'node:net';
import type { ForwardedMode, ForwardedOptions } from './options.ts';

/** What happens to a field that names the client: nothing is added, ours goes behind theirs, ours alone. */
export const Forward = { OFF: 0, APPEND: 1, REPLACE: 2 } as const;

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

  constructor(address: string, port: number, trusted: boolean, options: ForwardedOptions) {
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
    this.lines =
      this.xForwarded === Forward.REPLACE ? `X-Forwarded-For: ${this.name}\r\nX-Forwarded-Proto: http\r\n` : '';
    this.via = options.via;
  }
}

function resolve(mode: ForwardedMode, trusted: boolean): number {
  if (mode === 'auto') return trusted ? Forward.APPEND : Forward.REPLACE;
  return mode === 'off' ? Forward.OFF : mode === 'append' ? Forward.APPEND : Forward.REPLACE;
}
