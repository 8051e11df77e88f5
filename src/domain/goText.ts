/**
 * JSON and quoted names exactly as Go's encoding/json and strconv.Quote write them. Replies,
 * leases.json, audit.log and the store are read by programs written against Go's encoder. It
 * differs from `JSON.stringify`: `<`, `>`, `&`, U+2028, U+2029 and all control characters
 * but `\n \r \t` are `\uXXXX`. Source: protocol specification, 3 and 7.
 */

/** Encodes JSON, compact or with `indent` blanks. Undefined members are omitted. */
export const stringify = (value: unknown, indent?: number): string => {
  let text = JSON.stringify(value, undefined, indent)
  if (!foreign.test(text)) return text
  // Much faster than a regular expression on large values with many escapes.
  for (const [found, escaped] of escapes) text = text.split(found).join(escaped)
  return longEscapes(text)
}

/** Writes \b and \f as numbers: newer versions of Go use the short forms. */
export const longEscapes = (text: string): string =>
  shortEscape.test(text) ? text.replace(backspace, "$1\\u0008").replace(formFeed, "$1\\u000c") : text

const foreign = /[<>&\u2028\u2029]|\\[bf]/
const escapes = [
  ["<", "\\u003c"],
  [">", "\\u003e"],
  ["&", "\\u0026"],
  ["\u2028", "\\u2028"],
  ["\u2029", "\\u2029"]
] as const
/** An even number of backslashes before it is backslashes of the text. */
const backspace = /(?<!\\)((?:\\\\)*)\\b/g
const formFeed = /(?<!\\)((?:\\\\)*)\\f/g
const shortEscape = /\\[bf]/

/** Quotes a name for a message, like a Go string literal. */
export const quote = (name: string): string => {
  if (isPlain(name)) return `"${name}"`
  let out = ""
  for (const character of name) {
    const code = character.codePointAt(0) ?? 0
    const short = shortEscapes.get(character)
    if (short !== undefined) out += short
    else if (code < 0x20 || code === 0x7f) out += `\\x${hex(code, 2)}`
    else if (isPrintable(character)) out += character
    else out += code > 0xffff ? `\\U${hex(code, 8)}` : `\\u${hex(code, 4)}`
  }
  return `"${out}"`
}

/** Returns whether nothing needs an escape. */
export const isPlain = (text: string): boolean => plain.test(text)
const plain = /^[ !#-[\]-~]*$/
const isPrintable = (character: string): boolean => /^[\p{L}\p{M}\p{N}\p{P}\p{S} ]$/u.test(character)
const hex = (code: number, digits: number): string => code.toString(16).padStart(digits, "0")
const shortEscapes: ReadonlyMap<string, string> = new Map([
  ['"', '\\"'],
  ["\\", "\\\\"],
  ["\n", "\\n"],
  ["\r", "\\r"],
  ["\t", "\\t"],
  ["\u0007", "\\a"],
  ["\b", "\\b"],
  ["\f", "\\f"],
  ["\v", "\\v"]
])
