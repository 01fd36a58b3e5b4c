// "Did you mean": the known word that is closest to a mistyped one.

/**
 * The candidate with the smallest edit distance to `name`, or '' when none is close enough to be what was meant
 * (at most a third of the longer word's letters wrong, letter case aside). Linear in the number of candidates.
 */
export function nearest(name: string, candidates: Iterable<string>): string {
  if (name.length > LONGEST) return '';
  const wanted = name.toLowerCase();
  let best = '';
  let bestDistance = Number.POSITIVE_INFINITY;
  for (const candidate of candidates) {
    if (candidate.length > LONGEST) continue;
    const allowed = Math.floor(Math.max(name.length, candidate.length) / 3);
    const distance = editDistance(wanted, candidate.toLowerCase());
    if (distance <= allowed && distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

/** `; did you mean "x"?` or '', to append to a message. */
export function didYouMean(name: string, candidates: Iterable<string>): string {
  const found = nearest(name, candidates);
  return found === '' ? '' : `; did you mean "${found}"?`;
}

/** Words longer than this are not typing mistakes of anything, and the distance is quadratic. */
const LONGEST = 64;

/** Damerau-Levenshtein with adjacent transpositions (optimal string alignment). */
function editDistance(a: string, b: string): number {
  let before: number[] = [];
  let previous = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1];
      let cost = Math.min(previous[j]! + 1, row[j - 1]! + 1, previous[j - 1]! + (same ? 0 : 1));
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) cost = Math.min(cost, before[j - 2]! + 1);
      row.push(cost);
    }
    before = previous;
    previous = row;
  }
  return previous[b.length]!;
}
