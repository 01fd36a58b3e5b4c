// Paths of many routes in one tree of segments, so that a look-up costs what the path costs and not what the table
// holds. Each host pattern has its own root; hosts are the index's business.

import { type Candidate, firstHolding, type RouteQuery } from './match.ts';
import { isLiteral, matchSegment, type PathPattern, type StarSegment } from './path-pattern.ts';
import { HASH_SEED, hashByte, SpanMap } from './span-map.ts';

/** No route: greater than every place in the order. */
export const NO_ROUTE = 0x7fffffff;

const SLASH = 0x2f;

/** What follows a run of segments. Lists of candidates and star edges are in route order. */
export class PathNode {
  /** Names the node in the trie's table of edges. */
  readonly id: number;
  /** The first route anywhere below: a subtree that cannot beat what was found already is skipped. */
  first = NO_ROUTE;
  /** Routes whose path ends here. */
  readonly ends: Candidate[] = [];
  /** Routes that take any rest from here. */
  readonly tails: Candidate[] = [];
  readonly stars: StarEdge[] = [];
  /** Whether any literal segment follows. */
  branching = false;

  constructor(id: number) {
    this.id = id;
  }
}

interface StarEdge {
  readonly text: string;
  readonly segment: StarSegment;
  readonly node: PathNode;
}

/**
 * A forest of path trees. Add routes in the order in which they are written, then only search.
 *
 * The time of a search is linear in the path as long as no star is met. At a node with stars every star edge that
 * could still win is tried, and each node of the tree is entered at most once, whatever the request.
 */
export class PathTrie {
  /** Literal edges of all nodes: node id and segment to node. */
  readonly #edges = new SpanMap<PathNode>();
  #nodes = 0;

  root(): PathNode {
    return new PathNode(this.#nodes++);
  }

  add(root: PathNode, pattern: PathPattern, candidate: Candidate): void {
    let node = root;
    for (const segment of pattern.segments) {
      node.first = Math.min(node.first, candidate.route);
      node = isLiteral(segment) ? this.#literalChild(node, segment) : this.#starChild(node, segment);
    }
    node.first = Math.min(node.first, candidate.route);
    const list = pattern.tailed ? node.tails : node.ends;
    // A route may name the same pattern twice, or reach it through two hosts.
    if (list.at(-1)?.route !== candidate.route) list.push(candidate);
  }

  /** The first route below `root` that matches and comes before `best`, else `best`. Allocates nothing. */
  search(root: PathNode, query: RouteQuery, best: number): number {
    return this.#walk(root, query.pathStart, query, best);
  }

  /** Goes on from `node` with the rest of the path at `at`, which is its end or a slash. */
  #walk(node: PathNode, at: number, query: RouteQuery, best: number): number {
    const bytes = query.pathBytes;
    const end = query.pathEnd;
    for (;;) {
      if (node.first >= best) return best;
      if (node.tails.length > 0) best = firstHolding(node.tails, query, best);
      if (at === end) return firstHolding(node.ends, query, best);
      // Only at the root: `*` of OPTIONS, which is below no segment.
      if (bytes[at] !== SLASH) return best;
      const from = ++at;
      let hash = HASH_SEED;
      for (; at < end; at++) {
        const byte = bytes[at]!;
        if (byte === SLASH) break;
        hash = hashByte(hash, byte);
      }
      const stars = node.stars;
      for (let i = 0; i < stars.length; i++) {
        const edge = stars[i]!;
        if (edge.node.first >= best) break;
        if (matchSegment(edge.segment, bytes, from, at, null, 0)) best = this.#walk(edge.node, at, query, best);
      }
      if (!node.branching) return best;
      const next = this.#edges.find(node.id, hash, bytes, from, at);
      if (next === null) return best;
      node = next;
    }
  }

  #literalChild(node: PathNode, segment: Uint8Array): PathNode {
    const hash = segment.reduce(hashByte, HASH_SEED);
    const known = this.#edges.find(node.id, hash, segment, 0, segment.length);
    if (known !== null) return known;
    const child = this.root();
    node.branching = true;
    this.#edges.add(node.id, hash, segment, child);
    return child;
  }

  #starChild(node: PathNode, segment: StarSegment): PathNode {
    const text = segment.pieces.map((piece) => Buffer.from(piece).toString('latin1')).join('*');
    const known = node.stars.find((edge) => edge.text === text);
    if (known !== undefined) return known.node;
    const child = this.root();
    node.stars.push({ text, segment, node: child });
    return child;
  }
}
