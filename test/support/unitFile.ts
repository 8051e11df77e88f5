/**
 * A parser of systemd units, written from systemd.syntax(7) and independent of our renderer,
 * to check quotes, escapes and specifiers.
 */
import { assert } from "@effect/vitest"

/** Returns the settings by section; rejects any other line. */
export const settingsOf = (text: string): Record<string, Record<string, string>> => {
  const sections: Record<string, Record<string, string>> = {}
  let current: Record<string, string> | undefined
  for (const line of text.split("\n")) {
    if (line === "" || line.startsWith("#")) continue
    const section = /^\[(\w+)\]$/.exec(line)?.[1]
    if (section !== undefined) {
      current = sections[section] ??= {}
      continue
    }
    const [, name, value] = /^([A-Za-z]+)=(.*)$/.exec(line) ?? []
    assert.isDefined(current, `setting before any section: ${line}`)
    assert.isDefined(name, `not a setting: ${line}`)
    assert.notProperty(current, name ?? "", "duplicate setting")
    if (current !== undefined) current[name ?? ""] = value ?? ""
  }
  return sections
}

/** Splits a value into words. In command lines a backslash escapes; in lists of paths it does not. */
export const wordsOf = (value: string, escapes = true): Array<string> => {
  const words: Array<string> = []
  let word: string | undefined
  let quote: string | undefined
  for (let at = 0; at < value.length; at += 1) {
    const letter = value.charAt(at)
    if (letter === "\\" && escapes) {
      at += 1
      assert.include(`\\"'`, value.charAt(at), "unknown escape")
      word = (word ?? "") + value.charAt(at)
    } else if (quote !== undefined) {
      if (letter === quote) quote = undefined
      else word = (word ?? "") + letter
    } else if (letter === '"' || letter === "'") {
      quote = letter
      word ??= ""
    } else if (letter === " ") {
      if (word !== undefined) words.push(word)
      word = undefined
    } else {
      word = (word ?? "") + letter
    }
  }
  assert.isUndefined(quote, "unterminated quote")
  return [...words, ...(word === undefined ? [] : [word])].map(withoutSpecifiers)
}

export const withoutSpecifiers = (text: string): string => {
  assert.notMatch(text.replaceAll("%%", ""), /%/, "unescaped specifier")
  return text.replaceAll("%%", "%")
}
