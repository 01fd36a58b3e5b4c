// The joint between everything that speaks HTTP: codecs, the proxy, and later caches and filters. A request flows into
// the sink that an action answers, its reply into the exchange's.

import type { ProxyError } from '../base/errors.ts';
import type { Fields } from '../wire/fields.ts';

/** Takes one message. In order: heads, data, then either `end` or `abort`. Nothing follows those. */
export interface Sink<Head> {
  /**
   * The head; `last` says that neither data nor `end` follows. Replies may have several interim heads (1xx) first.
   * The head is borrowed: valid until return. False: stop until `resume`.
   */
  head(head: Head, last: boolean): boolean;
  /**
   * Bytes of the body without transfer coding. Borrowed: valid until return when the answer is true. False: stop until
   * `resume`, and leave these bytes as they are until then.
   */
  data(bytes: Uint8Array, start: number, end: number): boolean;
  /** The body is complete. Trailers are borrowed: valid until return. */
  end(trailers: Fields | null): void;
  /** The message will not be completed. Travels both ways: whoever gives up tells the other. */
  abort(error: ProxyError): void;
}

/** Where a message comes from. */
export interface Source {
  pause(): void;
  resume(): void;
}
