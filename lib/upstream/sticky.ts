// Clients that stay with their endpoint: the cookie that names it. What it says is a signature of the endpoint's name, so
// nobody learns addresses from it or chooses by making one up, and it holds after a restart and in other processes.

import { createHmac } from 'node:crypto';
import type { Endpoint } from './endpoint.ts';
import type { StickyOptions } from './options.ts';

export class Sticky {
  readonly options: StickyOptions;
  readonly #byValue = new Map<string, Endpoint>();
  readonly #lines = new Map<Endpoint, string>();

  constructor(options: StickyOptions) {
    this.options = options;
  }

  /** These are the endpoints from now on. */
  update(endpoints: readonly Endpoint[]): void {
    this.#byValue.clear();
    this.#lines.clear();
    const { cookie, maxAgeMs, secret } = this.options;
    const age = maxAgeMs === 0 ? '' : `; Max-Age=${Math.floor(maxAgeMs / 1000)}`;
    for (const endpoint of endpoints) {
      const value = createHmac('sha256', secret).update(endpoint.name).digest('base64url').slice(0, 22);
      this.#byValue.set(value, endpoint);
      this.#lines.set(endpoint, `Set-Cookie: ${cookie}=${value}; Path=/${age}; HttpOnly; SameSite=Lax`);
    }
  }

  /** The endpoint that a cookie names, null when there is none of this name any more. */
  find(value: string): Endpoint | null {
    return this.#byValue.get(value) ?? null;
  }

  /** The line that sends the cookie; `secure`: over TLS, and then over nothing else. '' for one that has gone. */
  line(endpoint: Endpoint, secure: boolean): string {
    const line = this.#lines.get(endpoint);
    return line === undefined ? '' : `${line}${secure ? '; Secure' : ''}\r\n`;
  }
}
