/**
 * The word that was probably meant: the one of the fewest edits, if those are few.
 */

/** More edits than this make another word of it. */
const mostEdits = 2

export const nearest = (given: string, words: ReadonlyArray<string>): string | undefined => {
  const [best] = words
    .map((word) => ({ word, edits: word.startsWith(given) && given.length > 1 ? 0 : distance(given, word) }))
    .filter(({ edits, word }) => edits <= Math.min(mostEdits, word.length - 2))
    .toSorted((a, b) => a.edits - b.edits)
  return best?.word
}

/** Letters to be added, taken away, changed, or swapped with their neighbour, as Damerau and Levenshtein count them. */
const distance = (from: string, to: string): number => {
  // A name of any length may have been typed; one that much longer is none of ours.
  if (Math.abs(from.length - to.length) > mostEdits) return Number.POSITIVE_INFINITY
  let older: ReadonlyArray<number> = []
  let row = [...Array(to.length + 1).keys()]
  for (let i = 1; i <= from.length; i += 1) {
    const next = [i]
    for (let j = 1; j <= to.length; j += 1) {
      const isSame = from[i - 1] === to[j - 1]
      const isSwapped = i > 1 && j > 1 && from[i - 1] === to[j - 2] && from[i - 2] === to[j - 1]
      next.push(
        Math.min(
          (row[j] ?? 0) + 1,
          (next[j - 1] ?? 0) + 1,
          (row[j - 1] ?? 0) + (isSame ? 0 : 1),
          isSwapped ? (older[j - 2] ?? 0) + 1 : Number.POSITIVE_INFINITY
        )
      )
    }
    older = row
    row = next
  }
  return row[to.length] ?? 0
}
