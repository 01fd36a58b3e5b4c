// A hash table from spans of bytes to values, asked without making a string of the span. Built once, then only read.

/** Where every hash begins (FNV-1a's offset basis). */
export const HASH_SEED = 0x811c9dc5 | 0;

/** One step of FNV-1a. Callers hash while they scan for the end of the span, so bytes are visited once. */
export function hashByte(hash: number, byte: number): number {
  return Math.imul(hash ^ byte, 0x01000193);
}

/** A value that was filed under a span. */
interface Slot<Value> {
  readonly hash: number;
  readonly owner: number;
  readonly key: Uint8Array;
  readonly value: Value;
}

/**
 * Keys are an owner (any integer: tables within the table) and a span of bytes. The caller brings the hash, made with
 * `hashByte` over the span in whichever direction it scans, but always the same one.
 */
export class SpanMap<Value> {
  #slots: (Slot<Value> | null)[] = new Array(8).fill(null);
  #mask = 7;
  #count = 0;

  /** Files a value under a key that is not there yet. Keeps `key`: do not change it afterwards. */
  add(owner: number, hash: number, key: Uint8Array, value: Value): void {
    if (++this.#count * 4 > this.#slots.length) this.#grow();
    this.#insert({ hash: mix(owner, hash), owner, key, value });
  }

  /** The value of the span `start..end` of `bytes`, or null. Allocates nothing. */
  find(owner: number, hash: number, bytes: Uint8Array, start: number, end: number): Value | null {
    const mixed = mix(owner, hash);
    const slots = this.#slots;
    const mask = this.#mask;
    for (let at = mixed & mask; ; at = (at + 1) & mask) {
      const slot = slots[at]!;
      if (slot === null) return null;
      // The key is compared even though the hash is equal: requests choose their bytes, so they can choose collisions.
      if (slot.hash === mixed && slot.owner === owner && sameBytes(slot.key, bytes, start, end)) return slot.value;
    }
  }

  #grow(): void {
    const old = this.#slots;
    this.#slots = new Array(old.length * 2).fill(null);
    this.#mask = this.#slots.length - 1;
    for (const slot of old) if (slot !== null) this.#insert(slot);
  }

  #insert(slot: Slot<Value>): void {
    let at = slot.hash & this.#mask;
    while (this.#slots[at] !== null) at = (at + 1) & this.#mask;
    this.#slots[at] = slot;
  }
}

/** Spreads the owner over the hash and the high bits over the low ones, which choose the slot. */
function mix(owner: number, hash: number): number {
  const mixed = hash ^ Math.imul(owner, 0x9e3779b1);
  return mixed ^ (mixed >>> 15);
}

/** Whether the span `start..end` of `bytes` is exactly `key`. */
export function sameBytes(key: Uint8Array, bytes: Uint8Array, start: number, end: number): boolean {
  if (end - start !== key.length) return false;
  for (let i = 0; i < key.length; i++) if (key[i] !== bytes[start + i]) return false;
  return true;
}
