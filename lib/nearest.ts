/** Suggests the known word that is closest to a mistyped one. */

/** ', did you mean X?' or nothing. */
export function nearest(word: string, known: readonly string[], before: string): string {
  let best = '';
  let bestDistance = Math.max(2, Math.floor(word.length / 3)) + 1;
  for (const one of known) {
    const distance = editDistance(word, one);
    if (distance < bestDistance) {
      best = one;
      bestDistance = distance;
    }
  }
  return best === '' ? '' : `, did you mean ${before}${best}?`;
}

/** Insertions, deletions and replacements that turn one word into the other. */
function editDistance(from: string, to: string): number {
  let previous = Array.from({ length: to.length + 1 }, (_, j) => j);
  for (let i = 1; i <= from.length; i++) {
    const current = [i];
    for (let j = 1; j <= to.length; j++) {
      const replaced = previous[j - 1]! + (from[i - 1] === to[j - 1] ? 0 : 1);
      current.push(Math.min(replaced, previous[j]! + 1, current[j - 1]! + 1));
    }
    previous = current;
  }
  return previous[to.length]!;
}
