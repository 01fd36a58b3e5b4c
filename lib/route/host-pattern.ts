// Host patterns as routes write them. Finding the patterns that match a request is the index's business.

/** A host pattern: any host or none (`*`), one name, or every name below one. */
export interface HostPattern {
  readonly kind: 'any' | 'exact' | 'below';
  /** Lower-case name without trailing dot: the exact host, or what stands after `*.`; '' for any. */
  readonly name: string;
}

/**
 * Hosts longer than this match only `*`: a name has at most 253 characters (RFC 1035 2.3.4), and the bound keeps what a
 * client can make us look at small.
 */
export const LONGEST_HOST_BYTES = 255;

/**
 * Parses a host pattern. Hosts compare without case and without the trailing dot of a rooted name; IP literals are
 * names like any other, IPv6 in brackets (RFC 9110 4.2.3, RFC 3986 3.2.2).
 */
export function parseHost(text: string): HostPattern {
  if (text === '*') return { kind: 'any', name: '' };
  const name = text.toLowerCase().replace(/\.$/, '');
  return name.startsWith('*.') ? { kind: 'below', name: name.slice(2) } : { kind: 'exact', name };
}

/** Whether everything that `inner` matches is matched by `outer`. */
export function hostCovers(outer: HostPattern, inner: HostPattern): boolean {
  if (outer.kind === 'any') return true;
  if (outer.kind === 'exact') return inner.kind === 'exact' && outer.name === inner.name;
  if (inner.kind === 'below' && outer.name === inner.name) return true;
  // Longer than the dot and the name: at least one byte stands where the star is.
  return inner.kind !== 'any' && inner.name.length > outer.name.length + 1 && inner.name.endsWith(`.${outer.name}`);
}
