/**
 * Which of some words somebody meant who wrote one that is not among them.
 *
 * Letters left out, put in, changed or swapped count one each; a word that was only
 * begun counts none. What is further off than a third of its length is no guess worth
 * making.
 */

/** The nearest word; undefined if none is near. */
export const closestMatch = (written: string, words: Iterable<string>): string | undefined => {
  const most = Math.max(1, Math.floor(written.length / 3))
  let best: string | undefined
  let distance = most + 1
  for (const word of words) {
    const isBegun = written.length > 1 && word.startsWith(written)
    if (!isBegun && Math.abs(word.length - written.length) > most) continue
    const found = isBegun ? 0 : distanceOf(written.toLowerCase(), word.toLowerCase())
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
