// Keys of session tickets (RFC 8446 4.6.1, RFC 5077): derived from one secret by the clock, so that all event loops that
// are given the same secret have the same keys at the same time without a message between them. A secret is replaced by
// its own hash at every turn: whoever gets the one of today cannot open the tickets of last week.

import { createHash, hkdfSync, randomBytes } from 'node:crypto';

/** How long new tickets are made with one key. It opens them for two turns more. */
export const TICKET_TURN_MS = 12 * 60 * 60 * 1000;
/** Keys that still open tickets, beside the one that makes them. */
const OLDER = 2;
/** Turns that are made up for at once after the clock has jumped; a machine that slept for longer begins anew. */
const MOST_TURNS = 10_000;

export interface TicketKey {
  /** 16 bytes each: what tickets begin with, and what they are made with. */
  readonly name: Buffer;
  readonly hmac: Buffer;
  readonly aes: Buffer;
}

/** The 32 bytes that every event loop of a process must be given alike. */
export function ticketSecret(): Buffer {
  return randomBytes(32);
}

/** The turn of the clock that a secret made now is of. */
export function ticketTurn(now = Date.now()): number {
  return Math.floor(now / TICKET_TURN_MS);
}

export class TicketKeys {
  #secret: Buffer;
  #turn: number;
  /** The one in use first. */
  #keys: TicketKey[];
  readonly #now: () => number;

  /** `secret`: 32 bytes, of turn `turn` of the clock (by default the present one). */
  constructor(secret: Buffer, now: () => number = Date.now, turn = Math.floor(now() / TICKET_TURN_MS)) {
    this.#secret = secret;
    this.#turn = turn;
    this.#now = now;
    this.#keys = [deriveKey(secret, turn)];
  }

  /** What new tickets are made with. */
  current(): TicketKey {
    this.#advance();
    return this.#keys[0]!;
  }

  /** What opens a ticket of this name; `fresh`: it would be made so today. Null: too old, or not ours. */
  find(name: Uint8Array): { readonly key: TicketKey; readonly fresh: boolean } | null {
    this.#advance();
    for (const [index, key] of this.#keys.entries()) if (key.name.equals(name)) return { key, fresh: index === 0 };
    return null;
  }

  #advance(): void {
    const turn = Math.floor(this.#now() / TICKET_TURN_MS);
    // A clock that was put back changes nothing: its old keys are gone for good.
    for (let made = 0; this.#turn < turn && made < MOST_TURNS; made++) {
      this.#secret = createHash('sha256').update(this.#secret).digest();
      this.#keys = [deriveKey(this.#secret, ++this.#turn), ...this.#keys].slice(0, 1 + OLDER);
    }
    if (this.#turn < turn) this.#turn = turn;
  }
}

function deriveKey(secret: Buffer, turn: number): TicketKey {
  const bytes = Buffer.from(hkdfSync('sha256', secret, '', `session tickets ${turn}`, 48));
  return { name: bytes.subarray(0, 16), hmac: bytes.subarray(16, 32), aes: bytes.subarray(32, 48) };
}
