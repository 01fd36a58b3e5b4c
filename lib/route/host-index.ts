// Which path trees a host leads to: that of its exact name, those of the wildcards above it, and that of any host.

import type { HostPattern } from './host-pattern.ts';
import { LONGEST_HOST_BYTES } from './host-pattern.ts';
import type { Candidate, RouteQuery } from './match.ts';
import type { PathPattern } from './path-pattern.ts';
import { NO_ROUTE, type PathNode, PathTrie } from './path-trie.ts';
import { HASH_SEED, hashByte, SpanMap } from './span-map.ts';

/** Owners in the table of names. */
const EXACT = 0;
const BELOW = 1;

const DOT = 0x2e;

/** Routes by host and path. Add them in the order in which they are written, then only search. */
export class HostIndex {
  readonly #names = new SpanMap<PathNode>();
  readonly #trie = new PathTrie();
  readonly #any: PathNode = this.#trie.root();
  /** Whether any route asks for a host at all, and whether any has a wildcard. */
  #named = false;
  #wild = false;
  /** The host of the request in hand, in lower case. */
  readonly #folded = new Uint8Array(LONGEST_HOST_BYTES);

  add(host: HostPattern, path: PathPattern, candidate: Candidate): void {
    this.#trie.add(this.#root(host), path, candidate);
  }

  /** The first route that matches, or `NO_ROUTE`. Allocates nothing; linear in host and path (see `PathTrie`). */
  search(query: RouteQuery): number {
    const best = this.#named ? this.#searchNames(query) : NO_ROUTE;
    return this.#trie.search(this.#any, query, best);
  }

  /** Walks the host from the right, so that the hash of every suffix is at hand when its dot is reached. */
  #searchNames(query: RouteQuery): number {
    const bytes = query.bytes;
    const start = query.hostStart;
    let length = query.hostEnd - start;
    if (length > 0 && bytes[start + length - 1] === DOT) length--;
    if (length <= 0 || length > LONGEST_HOST_BYTES) return NO_ROUTE;
    const folded = this.#folded;
    let best = NO_ROUTE;
    let hash = HASH_SEED;
    for (let i = length - 1; i >= 0; i--) {
      let byte = bytes[start + i]!;
      if (byte >= 0x41 && byte <= 0x5a) byte |= 0x20;
      folded[i] = byte;
      // A dot at the very front leaves no label for the star.
      if (byte === DOT && this.#wild && i > 0) {
        const root = this.#names.find(BELOW, hash, folded, i + 1, length);
        if (root !== null) best = this.#trie.search(root, query, best);
      }
      hash = hashByte(hash, byte);
    }
    const root = this.#names.find(EXACT, hash, folded, 0, length);
    return root === null ? best : this.#trie.search(root, query, best);
  }

  #root(host: HostPattern): PathNode {
    if (host.kind === 'any') return this.#any;
    const owner = host.kind === 'exact' ? EXACT : BELOW;
    const name = Buffer.from(host.name);
    const hash = name.reduceRight(hashByte, HASH_SEED);
    const known = this.#names.find(owner, hash, name, 0, name.length);
    if (known !== null) return known;
    const root = this.#trie.root();
    this.#named = true;
    this.#wild ||= host.kind === 'below';
    this.#names.add(owner, hash, name, root);
    return root;
  }
}
