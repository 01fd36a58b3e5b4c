// Clients that stay with their endpoint, or with their part of a split: the cookie that names it. What it says is a signature
// of the name, so nobody learns addresses from it or chooses by making one up, and it holds after a restart and in other
// processes.

import { createHmac } from 'node:crypto';
import type { StickyOptions } from './options.ts';

export class Sticky<Place extends { readonly name: string }> {
  readonly options: StickyOptions;
  readonly #byValue = new Map<string, Place>();
  readonly #values = new Map<Place, string>();
  /** Those that have not been signed yet: ten thousand at once take some fifty milliseconds. */
  readonly #unsigned = new Set<Place>();
  readonly #attributes: string;

  constructor(options: StickyOptions) {
    this.options = options;
    const { maxAgeMs } = options;
    const age = maxAgeMs === 0 ? '' : `; Max-Age=${Math.floor(maxAgeMs / 1000)}`;
    this.#attributes = `; Path=/${age}; HttpOnly; SameSite=Lax`;
  }

  /** These are the ones that there are from now on; those that stay keep what they have. */
  update(places: readonly Place[]): void {
    const gone = new Set(this.#values.keys());
    this.#unsigned.clear();
    for (const place of places) if (!gone.delete(place)) this.#unsigned.add(place);
    for (const place of gone) {
      this.#byValue.delete(this.#values.get(place)!);
      this.#values.delete(place);
    }
  }

  /** What a cookie names, null when there is none of this name any more. */
  find(value: string): Place | null {
    const known = this.#byValue.get(value);
    if (known !== undefined || value === '') return known ?? null;
    for (const place of this.#unsigned) this.#sign(place);
    return this.#byValue.get(value) ?? null;
  }

  /** The line that sends the cookie; `secure`: over TLS, and then over nothing else. '' for one that has gone. */
  line(place: Place, secure: boolean): string {
    const value = this.#values.get(place) ?? (this.#unsigned.has(place) ? this.#sign(place) : '');
    if (value === '') return '';
    return `Set-Cookie: ${this.options.cookie}=${value}${this.#attributes}${secure ? '; Secure' : ''}\r\n`;
  }

  #sign(place: Place): string {
    const value = createHmac('sha256', this.options.secret).update(place.name).digest('base64url').slice(0, 22);
    this.#unsigned.delete(place);
    this.#values.set(place, value);
    this.#byValue.set(value, place);
    return value;
  }
}
