/**
 * Globs on names, in no more steps than the length of the glob times that of the name: `*` is any text, `?` one character, `[a-z]` one of a set and
 * `[!a-z]` one that is not in it. No character is special beyond that, so `*` matches `/` too.
 */

/** What one part of a glob stands for: any text, or one character. */
interface Token {
  readonly kind: "any text" | "any character" | "set" | "literal"
  readonly text: string
  /** Returns whether one character matches. */
  readonly accepts: (character: string) => boolean
}

/**
 * Makes a matcher of whole names. What stands between two stars has a fixed length, so the engine searches for each piece
 * in turn, at the first place that is left, and never goes back.
 */
export const globMatcher = (glob: string): ((name: string) => boolean) => {
  const tokens = tokensOf(glob)
  const pieces = splitAtStars(tokens).map(pieceFinder)
  const [first, ...others] = pieces
  const last = others.pop()
  if (first === undefined || last === undefined) return (name) => first?.isAll(name) === true
  return (name) => {
    let at = first.atBeginning(name)
    for (const piece of others) {
      if (at < 0) return false
      at = piece.after(name, at)
    }
    return at >= 0 && last.isAtEnd(name, at)
  }
}

/** The part of a glob between two stars. Positions are those after a match; -1 is none. */
interface PieceFinder {
  readonly isAll: (name: string) => boolean
  readonly atBeginning: (name: string) => number
  readonly after: (name: string, from: number) => number
  readonly isAtEnd: (name: string, from: number) => boolean
}

const splitAtStars = (tokens: ReadonlyArray<Token>): ReadonlyArray<ReadonlyArray<Token>> => {
  const pieces: Array<Array<Token>> = [[]]
  for (const token of tokens) {
    if (token.kind === "any text") pieces.push([])
    else pieces.at(-1)?.push(token)
  }
  return pieces
}

const pieceFinder = (tokens: ReadonlyArray<Token>): PieceFinder => {
  const text = tokens.map((token) => token.text).join("")
  if (tokens.every(({ kind }) => kind === "literal")) {
    return {
      isAll: (name) => name === text,
      atBeginning: (name) => (name.startsWith(text) ? text.length : -1),
      after: (name, from) => {
        const found = name.indexOf(text, from)
        return found < 0 ? -1 : found + text.length
      },
      isAtEnd: (name, from) => name.length - text.length >= from && name.endsWith(text)
    }
  }
  const source = tokens.map(sourceOf).join("")
  const [here, anywhere, end] = [new RegExp(source, "uy"), new RegExp(source, "ug"), new RegExp(`${source}$`, "ug")]
  return {
    isAll: (name) => find(here, name, 0) === name.length,
    atBeginning: (name) => find(here, name, 0),
    after: (name, from) => find(anywhere, name, from),
    isAtEnd: (name, from) => find(end, name, from) >= 0
  }
}

/** Returns where a match ends, of a pattern that has a position; -1 if there is none. */
const find = (pattern: RegExp, name: string, from: number): number => {
  pattern.lastIndex = from
  return pattern.test(name) ? pattern.lastIndex : -1
}

/** Returns the regular expression of one character. */
const sourceOf = ({ kind, text }: Token): string => {
  if (kind === "any character") return "[^]"
  if (kind === "literal") return escaped(text)
  const [, not = "", set = ""] = /^\[(!?)([^]+)\]$/u.exec(text) ?? []
  const members = rangesOf(set).flatMap(([from, to]) =>
    compare(from, to) <= 0 ? [`${escaped(from)}-${escaped(to)}`] : []
  )
  return `[${not === "" ? "" : "^"}${members.join("")}]`
}

const escaped = (text: string): string =>
  Array.from(text, (character) => `\\u{${character.codePointAt(0)?.toString(16)}}`).join("")

/** Returns whether one glob matches every name that the other matches; false where that is not plain to see. */
export const globCovers = (wider: string, narrower: string): boolean =>
  matchesSequence(
    tokensOf(wider),
    tokensOf(narrower),
    ({ kind }) => kind === "any text",
    (token, inner) =>
      inner.kind !== "any text" &&
      (token.kind === "any character" ||
        (inner.kind === "literal"
          ? token.accepts(inner.text)
          : inner.kind === "set" && token.kind === "set" && token.text === inner.text))
  )

/** Returns what is wrong with a glob that cannot match what it says; undefined if nothing is. */
export const globMistake = (glob: string): string | undefined => {
  const tokens = tokensOf(glob)
  if (tokens.some(({ kind, text }) => kind === "literal" && text === "["))
    return "has a [ without a ] that closes a set"
  const isBackwards = tokens.some(
    ({ kind, text }) => kind === "set" && rangesOf(text.slice(1, -1)).some(([from, to]) => compare(from, to) > 0)
  )
  return isBackwards ? "has a range in [ ] that goes backwards" : undefined
}

const tokensOf = (glob: string): ReadonlyArray<Token> =>
  [...glob.matchAll(/\*+|\?|\[(!?)([^\]]+)\]|./gsu)].map(([text, not, set]) => {
    if (text.startsWith("*")) return { kind: "any text", text, accepts: () => true }
    if (text === "?") return { kind: "any character", text, accepts: () => true }
    if (set === undefined) return { kind: "literal", text, accepts: (character) => character === text }
    const isIn = setMatcher(set)
    return { kind: "set", text, accepts: not === "!" ? (character) => !isIn(character) : isIn }
  })

const rangesOf = (set: string): ReadonlyArray<readonly [from: string, to: string]> =>
  [...set.matchAll(/(.)-(.)|./gsu)].map(([one, from = one, to = from]) => [from, to] as const)

const setMatcher = (set: string): ((character: string) => boolean) => {
  const ranges = rangesOf(set)
  return (character) => ranges.some(([from, to]) => compare(from, character) <= 0 && compare(character, to) <= 0)
}

const compare = (one: string, other: string): number => (one.codePointAt(0) ?? 0) - (other.codePointAt(0) ?? 0)

/**
 * Returns whether a pattern matches all items: a wildcard stands for any number of them, every other part for one that it
 * accepts. Goes back to the last wildcard alone, which is enough: an earlier one could only match less.
 */
export const matchesSequence = <Part, Item>(
  pattern: ReadonlyArray<Part>,
  items: ReadonlyArray<Item>,
  isWildcard: (part: Part) => boolean,
  accepts: (part: Part, item: Item) => boolean
): boolean => {
  let [at, part, star, begun] = [0, 0, -1, 0]
  while (at < items.length) {
    const [next, item] = [pattern[part], items[at]]
    if (next !== undefined && isWildcard(next)) {
      star = part
      begun = at
      part += 1
    } else if (next !== undefined && item !== undefined && accepts(next, item)) {
      at += 1
      part += 1
    } else if (star >= 0) {
      begun += 1
      at = begun
      part = star + 1
    } else return false
  }
  return pattern.slice(part).every(isWildcard)
}
