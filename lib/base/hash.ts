// Hashes of 32 bits that spread well and are quick. Not for secrets, nor against people who choose their keys to collide.

/** Of these bytes: FNV-1a, and Murmur3's finaliser, since FNV alone leaves similar keys near each other. */
export function hashBytes(bytes: Uint8Array, start: number, end: number, seed = 0): number {
  let hash = 0x811c9dc5 ^ seed;
  for (let at = start; at < end; at++) hash = Math.imul(hash ^ bytes[at]!, 0x01000193);
  return mix(hash);
}

/** Of text, as of its bytes in Latin-1. */
export function hashText(text: string, seed = 0): number {
  let hash = 0x811c9dc5 ^ seed;
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ (text.charCodeAt(at) & 0xff), 0x01000193);
  return mix(hash);
}

function mix(value: number): number {
  let hash = value;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
