/**
 * Escapes what a terminal would obey, reorder or hide: every character but letters, marks,
 * numbers, punctuation, symbols and the space. Invisible ones among those, such as variation
 * selectors, and unpaired surrogates are escaped too. Escapes are Go's: `\n`, `\x1b`, `\u202e`.
 *
 * It loads nothing: the fast path uses it.
 */

const unsafe = String.raw`[^\p{L}\p{M}\p{N}\p{P}\p{S} ]|\p{DI}`
const longForms = "x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8}"

/** Compiles on first use: it takes milliseconds, and most calls need no pattern. */
const compiled = (source: string): (() => RegExp) => {
  let pattern: RegExp | undefined
  return () => (pattern ??= new RegExp(source, "gu"))
}
const unsafeCharacters = compiled(unsafe)
/** Backslashes before an escape, or before what looks like one. */
const ambiguous = compiled(String.raw`(?<!\\)\\+(?=[nrt]|${longForms}|${unsafe})`)
/** In a label a line feed is `\n` already. */
const ambiguousInLabel = compiled(String.raw`(?<!\\)\\+(?=${longForms}|(?!\n)(?:${unsafe}))`)

/** Almost every text, and much faster to test. */
const plainLine = /^[ -~]*$/
const plainLines = /^[\n -~]*$/

/**
 * Escapes a name, a path or another value, so that it fits on one line and two different ones never look alike. Call it
 * once: backslashes that could be mistaken for escapes are doubled.
 */
export const escapeValue = (text: string): string =>
  plainLine.test(text) && !text.includes("\\") ? text : escapeLine(text.replace(ambiguous(), "$&$&"))

/** Escapes a line that may hold escaped values, which it leaves as they are. */
export const escapeLine = (line: string): string =>
  plainLine.test(line)
    ? line
    : line.replace(unsafeCharacters(), (found) => shortEscapes.get(found) ?? `\\${longEscape(found)}`)

/** Escapes JSON, as JSON does: the data stay the same. */
export const escapeJson = (json: string): string =>
  plainLines.test(json)
    ? json
    : json.replace(unsafeCharacters(), (found) =>
        found === "\n" ? found : found.replace(/[^]/g, (unit) => `\\u${hex(unit.charCodeAt(0), 4)}`)
      )

/** Escapes metrics in the Prometheus text format: label values stay different and well-formed. */
export const escapeMetrics = (text: string): string =>
  plainLines.test(text) && !text.includes("\\")
    ? text
    : text
        .replace(ambiguousInLabel(), "$&$&")
        .replace(unsafeCharacters(), (found) => (found === "\n" ? found : `\\\\${longEscape(found)}`))

const shortEscapes: ReadonlyMap<string, string> = new Map([
  ["\n", "\\n"],
  ["\r", "\\r"],
  ["\t", "\\t"]
])

const longEscape = (found: string): string => {
  const code = found.codePointAt(0) ?? 0
  if (code < 0x20 || code === 0x7f) return `x${hex(code, 2)}`
  // A byte of a file name that is not UTF-8 (`pathText`).
  if (code >= 0xdc80 && code <= 0xdcff) return `x${hex(code - 0xdc00, 2)}`
  return code > 0xffff ? `U${hex(code, 8)}` : `u${hex(code, 4)}`
}

const hex = (code: number, digits: number): string => code.toString(16).padStart(digits, "0")
