// Clients that stay with their endpoint, or with their part of a split: the cookie that names it. What it says is a signature
// of the name, so nobody learns addresses from it or chooses by making one up, and it holds after a restart and in other
// processes.

import { createHmac } from 'node:crypto';
import type { StickyOptions } from './options.ts';

export class Sticky<Place extends { readonly name: string }> {
  readonly options: StickyOptions;
  readonly #byValue = new Map<string, Place>();
  readonly #lines = new Map<Place, string>();

  constructor(options: StickyOptions) {
    this.options = options;
  }

  /** These are the ones that there are from now on. */
  update(places: readonly Place[]): void {
    this.#byValue.clear();
    this.#lines.clear();
    const { cookie, maxAgeMs, secret } = this.options;
    const age = maxAgeMs === 0 ? '' : `; Max-Age=${Math.floor(maxAgeMs / 1000)}`;
    for (const place of places) {
      const value = createHmac('sha256', secret).update(place.name).digest('base64url').slice(0, 22);
      this.#byValue.set(value, place);
      this.#lines.set(place, `Set-Cookie: ${cookie}=${value}; Path=/${age}; HttpOnly; SameSite=Lax`);
    }
  }

  /** What a cookie names, null when there is none of this name any more. */
  find(value: string): Place | null {
    return this.#byValue.get(value) ?? null;
  }

  /** The line that sends the cookie; `secure`: over TLS, and then over nothing else. '' for one that has gone. */
  line(place: Place, secure: boolean): string {
    const line = this.#lines.get(place);
    return line === undefined ? '' : `${line}${secure ? '; Secure' : ''}\r\n`;
  }
}
