/**
 * Finds the closest match for a mistyped word. The distance is Damerau-Levenshtein: a letter
 * left out, added, changed or swapped counts one. A prefix of a word has distance 0.
 */

/** Returns the closest word; undefined if all are further off than a third of the length. */
export const closestMatch = (written: string, words: Iterable<string>): string | undefined => {
  const maxDistance = Math.max(1, Math.floor(written.length / 3))
  let best: string | undefined
  let distance = maxDistance + 1
  for (const word of words) {
    const isPrefix = written.length > 1 && word.startsWith(written)
    if (!isPrefix && Math.abs(word.length - written.length) > maxDistance) continue
    const found = isPrefix ? 0 : distanceOf(written.toLowerCase(), word.toLowerCase())
    if (found >= distance) continue
    best = word
    distance = found
  }
  return best
}

const distanceOf = (left: string, right: string): number => {
  let [before, last]: [Array<number>, Array<number>] = [[], Array.from({ length: right.length + 1 }, (_, at) => at)]
  for (let row = 1; row <= left.length; row += 1) {
    const current = [row]
    for (let column = 1; column <= right.length; column += 1) {
      const same = left[row - 1] === right[column - 1]
      const swapped =
        row > 1 && column > 1 && left[row - 1] === right[column - 2] && left[row - 2] === right[column - 1]
      current[column] = Math.min(
        (last[column] ?? 0) + 1,
        (current[column - 1] ?? 0) + 1,
        (last[column - 1] ?? 0) + (same ? 0 : 1),
        swapped ? (before[column - 2] ?? 0) + 1 : Number.POSITIVE_INFINITY
      )
    }
    ;[before, last] = [last, current]
  }
  return last[right.length] ?? 0
}
