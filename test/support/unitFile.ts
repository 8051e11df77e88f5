/**
 * A unit of systemd as systemd reads it, written from systemd.syntax(7) and without a
 * look at what renders it: a second opinion about quotes, escapes and specifiers.
 */
import { assert } from "@effect/vitest"

/** The settings by section; lines that are neither of these are no unit file. */
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
    assert.isDefined(current, `a setting before any section: ${line}`)
    assert.isDefined(name, `not a setting: ${line}`)
    assert.notProperty(current, name ?? "", "a setting stands twice")
    if (current !== undefined) current[name ?? ""] = value ?? ""
  }
  return sections
}

/** The words of a value. `escapes`: whether a backslash escapes, as in command lines, or stands for itself, as in lists of paths. */
export const wordsOf = (value: string, escapes = true): Array<string> => {
  const words: Array<string> = []
  let word: string | undefined
  let quote: string | undefined
  for (let at = 0; at < value.length; at += 1) {
    const letter = value.charAt(at)
    if (letter === "\\" && escapes) {
      at += 1
      assert.include(`\\"'`, value.charAt(at), "an escape that needs no other character")
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
  assert.isUndefined(quote, "a quote that does not end")
  return [...words, ...(word === undefined ? [] : [word])].map(withoutSpecifiers)
}

export const withoutSpecifiers = (text: string): string => {
  assert.notMatch(text.replaceAll("%%", ""), /%/, "a specifier")
  return text.replaceAll("%%", "%")
}
