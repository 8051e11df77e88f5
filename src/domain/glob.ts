/**
 * Globs on names, in linear time: `*` is any text, `?` one character, `[a-z]` one of a set and
 * `[!a-z]` one that is not in it. No character is special beyond that, so `*` matches `/` too.
 */

/** What one part of a glob stands for: any text, or one character. */
interface Token {
  readonly kind: "any text" | "any character" | "set" | "literal"
  readonly text: string
  /** Returns whether one character matches. */
  readonly accepts: (character: string) => boolean
}

/** Makes a matcher of whole names. */
export const globMatcher = (glob: string): ((name: string) => boolean) => {
  const tokens = tokensOf(glob)
  const [first] = tokens
  // The usual globs need no search: a name, its beginning and a star, or a star alone.
  if (tokens.every(({ kind }) => kind === "literal")) return (name) => name === glob
  if (tokens.length === 1 && first?.kind === "any text") return () => true
  const beginning = glob.replace(/\*+$/u, "")
  if (tokens.slice(0, -1).every(({ kind }) => kind === "literal") && tokens.at(-1)?.kind === "any text") {
    return (name) => name.startsWith(beginning)
  }
  return (name) => matchesTokens(tokens, Array.from(name), (token, character) => token.accepts(character))
}

/** Returns whether one glob matches every name that the other matches; false where that is not plain to see. */
export const globCovers = (wider: string, narrower: string): boolean =>
  matchesTokens(
    tokensOf(wider),
    tokensOf(narrower),
    (token, inner) =>
      inner.kind !== "any text" &&
      (token.kind === "any character" ||
        (inner.kind === "literal"
          ? token.accepts(inner.text)
          : inner.kind === "set" && token.kind === "set" && token.text === inner.text))
  )

const tokensOf = (glob: string): ReadonlyArray<Token> =>
  [...glob.matchAll(/\*+|\?|\[(!?)([^\]]+)\]|./gsu)].map(([text, not, set]) => {
    if (text.startsWith("*")) return { kind: "any text", text, accepts: () => true }
    if (text === "?") return { kind: "any character", text, accepts: () => true }
    if (set === undefined) return { kind: "literal", text, accepts: (character) => character === text }
    const isIn = setMatcher(set)
    return { kind: "set", text, accepts: not === "!" ? (character) => !isIn(character) : isIn }
  })

const setMatcher = (set: string): ((character: string) => boolean) => {
  const ranges = [...set.matchAll(/(.)-(.)|./gsu)].map(([one, from = one, to = from]) => [from, to] as const)
  return (character) => ranges.some(([from, to]) => compare(from, character) <= 0 && compare(character, to) <= 0)
}

const compare = (one: string, other: string): number => (one.codePointAt(0) ?? 0) - (other.codePointAt(0) ?? 0)

/** Goes back to the last `*` alone, which is enough: an earlier one could only match less. */
const matchesTokens = <Item>(
  tokens: ReadonlyArray<Token>,
  items: ReadonlyArray<Item>,
  accepts: (token: Token, item: Item) => boolean
): boolean => {
  let [at, token, star, begun] = [0, 0, -1, 0]
  while (at < items.length) {
    const [next, item] = [tokens[token], items[at]]
    if (next?.kind === "any text") {
      star = token
      begun = at
      token += 1
    } else if (next !== undefined && item !== undefined && accepts(next, item)) {
      at += 1
      token += 1
    } else if (star >= 0) {
      begun += 1
      at = begun
      token = star + 1
    } else return false
  }
  return tokens.slice(token).every(({ kind }) => kind === "any text")
}
