/**
 * Globs on names, in linear time: `*` is any text, `?` one character, `[a-z]` one of a set and
 * `[!a-z]` one that is not in it. No character is special beyond that, so `*` matches `/` too.
 */

/** Returns whether one character matches. */
type Token = (character: string) => boolean

/** Makes a matcher of whole names. */
export const globMatcher = (glob: string): ((name: string) => boolean) => {
  const tokens = tokensOf(glob)
  return (name) => matchesTokens(tokens, Array.from(name))
}

const anyText = "any text"

const tokensOf = (glob: string): ReadonlyArray<Token | typeof anyText> =>
  [...glob.matchAll(/\*+|\?|\[(!?)([^\]]+)\]|./gsu)].map(([text, not, set]) => {
    if (text.startsWith("*")) return anyText
    if (text === "?") return () => true
    if (set === undefined) return (character) => character === text
    const isIn = setMatcher(set)
    return not === "!" ? (character) => !isIn(character) : isIn
  })

const setMatcher = (set: string): Token => {
  const ranges = [...set.matchAll(/(.)-(.)|./gsu)].map(([one, from = one, to = from]) => [from, to] as const)
  return (character) => ranges.some(([from, to]) => compare(from, character) <= 0 && compare(character, to) <= 0)
}

const compare = (one: string, other: string): number => (one.codePointAt(0) ?? 0) - (other.codePointAt(0) ?? 0)

/** Goes back to the last `*` alone, which is enough: an earlier one could only match less. */
const matchesTokens = (tokens: ReadonlyArray<Token | typeof anyText>, name: ReadonlyArray<string>): boolean => {
  let [at, token, star, begun] = [0, 0, -1, 0]
  while (at < name.length) {
    const next = tokens[token]
    if (next === anyText) {
      star = token
      begun = at
      token += 1
    } else if (next?.(name[at] ?? "") === true) {
      at += 1
      token += 1
    } else if (star >= 0) {
      begun += 1
      at = begun
      token = star + 1
    } else return false
  }
  return tokens.slice(token).every((rest) => rest === anyText)
}
