/**
 * Nothing but visible text reaches a terminal, and two different names never look alike.
 */
import { assert, describe, it } from "@effect/vitest"
import { escapeJson, escapeLine, escapeMetrics, escapeValue } from "../../src/domain/escape.ts"
import { randomFrom } from "../support/random.ts"

/** One of each kind: control, C1, bidi, zero width, tag, separator, space, variation selector, filler, surrogate. */
const hostile = [
  ["\u001b", "\\x1b"],
  ["\u0007", "\\x07"],
  ["\u007f", "\\x7f"],
  ["\n", "\\n"],
  ["\r", "\\r"],
  ["\t", "\\t"],
  ["\u009b", "\\u009b"],
  ["\u202e", "\\u202e"],
  ["\u2066", "\\u2066"],
  ["\u200d", "\\u200d"],
  ["\ufeff", "\\ufeff"],
  ["\u00ad", "\\u00ad"],
  ["\u{e0041}", "\\U000e0041"],
  ["\u2028", "\\u2028"],
  ["\u2029", "\\u2029"],
  ["\u00a0", "\\u00a0"],
  ["\ufe0f", "\\ufe0f"],
  ["\u3164", "\\u3164"],
  ["\ue000", "\\ue000"],
  ["\ud800", "\\ud800"],
  ["\udcff", "\\xff"]
] as const

/** Decodes what `escapeValue` returns, written from its description. */
const decoded = (shown: string): string =>
  shown.replace(
    /(\\+)(?:([nrt])|x([0-9a-f]{2})|u([0-9a-f]{4})|U([0-9a-f]{8}))/g,
    (found, run: string, short?: string, x?: string, u?: string, U?: string) => {
      const slashes = "\\".repeat(run.length / 2)
      if (run.length % 2 === 0) return slashes + found.slice(run.length)
      if (short !== undefined) return slashes + { n: "\n", r: "\r", t: "\t" }[short]
      const code = Number.parseInt(x ?? u ?? U ?? "", 16)
      return slashes + String.fromCodePoint(x !== undefined && code > 0x7f ? code + 0xdc00 : code)
    }
  )

describe("a text for the terminal", () => {
  for (const [character, shown] of hostile) {
    it(`shows ${shown} for that character`, () => {
      assert.strictEqual(escapeValue(`a${character}b`), `a${shown}b`)
      assert.strictEqual(escapeLine(`a${character}b`), `a${shown}b`)
    })
  }

  it("leaves ordinary names of any language alone", () => {
    for (const name of [
      "github_token",
      "a\\b",
      "DOMAIN\\svc",
      "é e\u0301 日本 한글 עברית 🔑",
      "~/.config {a}: 'b' \"c\""
    ]) {
      assert.strictEqual(escapeValue(name), name)
      assert.strictEqual(escapeLine(name), name)
    }
  })

  it("is different for different names, also if one has the letters of an escape", () => {
    const random = randomFrom(20_260_301)
    const parts = [...hostile.flat(), "\\", "\\\\", "n", "x1b", "u202e", "U000e0041", "x", "é", "a", "🔑"]
    for (let round = 0; round < 3000; round += 1) {
      const name = Array.from({ length: 1 + random.below(5) }, () => random.pick(parts)).join("")
      const shown = escapeValue(name)
      assert.strictEqual(decoded(shown), name)
      assert.strictEqual(escapeLine(shown), shown)
      assert.notMatch(shown, /[\p{C}\p{Zl}\p{Zp}]/u)
    }
  })
})

describe("JSON for the terminal", () => {
  it("keeps its data and its line breaks", () => {
    const data = Object.fromEntries(hostile.map(([character, shown]) => [`${shown}${character}`, character]))
    const json = escapeJson(JSON.stringify(data, undefined, 2))
    assert.deepStrictEqual(JSON.parse(json), data)
    assert.notMatch(json, /(?!\n)[\p{C}\p{Z}](?<! )/u)
    assert.lengthOf(json.split("\n"), hostile.length + 2)
  })
})

describe("metrics for the terminal", () => {
  /** As the format escapes a label value. */
  const label = (value: string) => value.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n")
  const exposition = (values: Iterable<string>) => [...values].map((value) => `m{name="${label(value)}"} 1\n`).join("")

  it("have one well-formed line for each series, and different label values stay different", () => {
    const names = new Set(hostile.flatMap(([character, shown]) => [character, shown, `\\${character}`, `\\${shown}`]))
    const text = escapeMetrics(exposition(names))
    assert.notMatch(text, /(?!\n)[\p{C}\p{Zl}\p{Zp}]/u)
    const lines = text.trimEnd().split("\n")
    assert.lengthOf(new Set(lines), names.size)
    for (const line of lines) assert.match(line, /^m\{name="(?:[^"\\]|\\[\\"n])*"\} 1$/)
  })

  it("are unchanged for ordinary names", () => {
    const text = exposition(["github_token", "DOMAIN\\svc", 'say "hi"', "a\nb", "日本"])
    assert.strictEqual(escapeMetrics(text), text)
  })
})
