// The Huffman code of HPACK (RFC 7541 5.2 and Appendix B): decoding, four bits at a time by a table of states. Nothing is
// ever encoded with it: that costs more time than the bytes are worth between machines that are close to each other.

/**
 * Code lengths of the symbols 0 to 255 and EOS in base 36. The code is canonical: sorted by length, then by symbol, each
 * code is the one before it plus one. So this is all of Appendix B.
 */
const LENGTHS =
  'dnsssssssoussussssssssusssssssss6aacd68baa8b8666555666666678f6cad67777777777777777777777878djde6' +
  'f56565666577666567655677777fbedskmkkmmmnmnnnnnonoomnonnnnlmnmnnomlkmmnnlnmmolmnnllmlnmnnkmmmnmmn' +
  'qqkjmnmpqqqrrqopjlqrrqrollqqsrrrkoklmllnmmppooqnqrqqrrrrrsrrrrrqu';

const EOS = 256;
/** Entries of a transition: the next state in the upper bits, the symbol put out in the lower nine (NONE: none). */
const NONE = 511;
const FAULT = -1;

/** By state * 16 + the next four bits. */
let transitions = new Int32Array(0);
/** By state: whether the bits so far are at most seven ones of padding. */
let final = new Uint8Array(0);
build();

/**
 * Decodes `bytes[start..end]` to `into[at..most]`. Answers the offset after the last byte; -1: not a Huffman string
 * (EOS within it, or wrong padding), -2: it does not fit. Time is linear in the input.
 */
export function decodeHuffman(
  bytes: Uint8Array,
  start: number,
  end: number,
  into: Uint8Array,
  at: number,
  most: number,
): number {
  let state = 0;
  for (let from = start; from < end; from++) {
    const byte = bytes[from]!;
    let transition = transitions[(state << 4) | (byte >> 4)]!;
    if (transition === FAULT) return -1;
    let symbol = transition & NONE;
    if (symbol !== NONE) {
      if (at === most) return -2;
      into[at++] = symbol;
    }
    transition = transitions[((transition >> 9) << 4) | (byte & 15)]!;
    if (transition === FAULT) return -1;
    symbol = transition & NONE;
    if (symbol !== NONE) {
      if (at === most) return -2;
      into[at++] = symbol;
    }
    state = transition >> 9;
  }
  return final[state] === 1 ? at : -1;
}

function build(): void {
  const symbols = Array.from(LENGTHS, (digit, symbol) => ({ symbol, length: Number.parseInt(digit, 36) }));
  symbols.sort((a, b) => a.length - b.length || a.symbol - b.symbol);
  // The tree: per state the two children; a child below zero is a leaf.
  const children: [number, number][] = [[0, 0]];
  let code = 0;
  let length = symbols[0]!.length;
  for (const entry of symbols) {
    code *= 2 ** (entry.length - length);
    length = entry.length;
    let state = 0;
    for (let bit = length - 1; bit > 0; bit--) {
      const way = (code >>> bit) & 1;
      if (children[state]![way] === 0) children[state]![way] = children.push([0, 0]) - 1;
      state = children[state]![way]!;
    }
    children[state]![code & 1] = -1 - entry.symbol;
    code++;
  }
  transitions = new Int32Array(children.length * 16);
  final = new Uint8Array(children.length);
  for (let state = 0; state < children.length; state++) {
    for (let bits = 0; bits < 16; bits++) transitions[(state << 4) | bits] = walk(children, state, bits);
  }
  // RFC 7541 5.2: padding is the beginning of EOS, all ones, and shorter than a byte.
  for (let state = 0, ones = 0; ones < 8; ones++, state = children[state]![1]) final[state] = 1;
}

function walk(children: readonly (readonly [number, number])[], from: number, bits: number): number {
  let state = from;
  let symbol = NONE;
  for (let bit = 3; bit >= 0; bit--) {
    const next = children[state]![(bits >> bit) & 1]!;
    if (next >= 0) state = next;
    else {
      symbol = -1 - next;
      if (symbol === EOS) return FAULT;
      state = 0;
    }
  }
  return (state << 9) | symbol;
}
