// Pairs like `name=value` in a line of them: cookies (RFC 6265 4.2.1), and queries as browsers write them.

const EQUALS = 0x3d;
const SPACE = 0x20;

/** Where `findPair` has found a value. */
export const pair = { start: 0, end: 0 };

/**
 * Finds the first `name=value` in `bytes[start..end]` among those that the byte `between` separates; `pair` says then where
 * the value is. `name` is ASCII and compared byte by byte.
 */
export function findPair(bytes: Uint8Array, start: number, end: number, name: string, between: number): boolean {
  const { length } = name;
  for (let at = start; at < end; ) {
    while (at < end && bytes[at] === SPACE) at++;
    // Not by indexOf: it does not stop at our end, and the memory of the parser goes on for long after it.
    let stop = at;
    while (stop < end && bytes[stop] !== between) stop++;
    if (stop - at > length && bytes[at + length] === EQUALS && startsWith(bytes, at, name)) {
      pair.start = at + length + 1;
      pair.end = stop;
      return true;
    }
    at = stop + 1;
  }
  return false;
}

function startsWith(bytes: Uint8Array, at: number, name: string): boolean {
  for (let i = 0; i < name.length; i++) if (bytes[at + i] !== name.charCodeAt(i)) return false;
  return true;
}
