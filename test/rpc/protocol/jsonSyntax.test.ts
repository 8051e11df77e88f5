/**
 * A malformed line is answered in the predecessor's words, with the one character
 * that does not belong and nothing else of the text: it may hold a value. What
 * stops too early is told as such, and no depth of nesting breaks the walk.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import { syntaxError } from "../../../src/rpc/protocol/jsonSyntax.ts"

const ended = "unexpected end of JSON input"

/** Compared with encoding/json of Go. */
const told: ReadonlyArray<readonly [text: string, message: string]> = [
  ["", ended],
  ["  \t\r", ended],
  [`{"a":`, ended],
  [`{"a":1`, ended],
  [`["a`, ended],
  [String.raw`"\u00`, ended],
  ["garbage", "invalid character 'g' looking for beginning of value"],
  ["}", "invalid character '}' looking for beginning of value"],
  ["'a'", String.raw`invalid character '\'' looking for beginning of value`],
  ["[1,]", "invalid character ']' looking for beginning of value"],
  [`{"a":,}`, "invalid character ',' looking for beginning of value"],
  ["{a:1}", "invalid character 'a' looking for beginning of object key string"],
  [`{"a":1,}`, "invalid character '}' looking for beginning of object key string"],
  [`{"a" 1}`, "invalid character '1' after object key"],
  [`{"a":1 "b":2}`, `invalid character '"' after object key:value pair`],
  [`[1 2]`, "invalid character '2' after array element"],
  [`{"method":"secrets.get","id":1} x`, "invalid character 'x' after top-level value"],
  [`"jsonrpc": "2.0",`, "invalid character ':' after top-level value"],
  ["01", "invalid character '1' after top-level value"],
  ["-x", "invalid character 'x' in numeric literal"],
  ["1.x", "invalid character 'x' after decimal point in numeric literal"],
  ["1ex", "invalid character 'x' in exponent of numeric literal"],
  ["1e-x", "invalid character 'x' in exponent of numeric literal"],
  ["1e+x", "invalid character 'x' in exponent of numeric literal"],
  ["+1", "invalid character '+' looking for beginning of value"],
  ["tru0", "invalid character '0' in literal true (expecting 'e')"],
  ["fals ", "invalid character ' ' in literal false (expecting 'e')"],
  ["nil", "invalid character 'i' in literal null (expecting 'u')"],
  [`"a\tb"`, String.raw`invalid character '\t' in string literal`],
  [String.raw`"\x"`, "invalid character 'x' in string escape code"],
  [String.raw`"\u00g0"`, String.raw`invalid character 'g' in \u hexadecimal character escape`],
  [String.raw`"\u000g"`, String.raw`invalid character 'g' in \u hexadecimal character escape`]
]

const message =
  /^(unexpected end of JSON input|invalid character '(.|\\.|\\u[0-9a-f]{4})' (looking for|after|in) [a-z:\\' ()-]+)$/u

const isJson = (text: string): boolean => {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

describe("syntaxError", () => {
  it.each(told)("says of %j: %s", (text, message) => {
    assert.strictEqual(syntaxError(text), message)
  })

  it.each(["[", `{"a":`, '[{"b":'])("refuses %s nested a hundred thousand times", (opening) => {
    assert.strictEqual(syntaxError(opening.repeat(100_000)), "invalid character '[' exceeded max depth")
  })

  /** Nothing of which a shorter piece is whole, as it is with numbers. */
  const Nested = Schema.Array(Schema.Record(Schema.String, Schema.Array(Schema.String)))

  it.prop("knows the end of a text that was cut off", [Nested], ([value]) => {
    const text = JSON.stringify(value)
    for (let at = 0; at < text.length; at += 1) assert.strictEqual(syntaxError(text.slice(0, at)), ended)
  })

  const Characters = Schema.Array(Schema.Literals([...'{}[]":,01.e+-\\u/ \ttrue', "null", `"a"`, "é", "😀"]))

  it.prop(
    "refuses what JSON.parse refuses, in words that show one character at the most",
    [Characters.check(Schema.isMaxLength(12))],
    ([characters]) => {
      const text = characters.join("")
      if (isJson(text)) assert.strictEqual(syntaxError(text), "not valid JSON")
      else assert.match(syntaxError(text), message)
    },
    { arbitrary: { runs: 2_000 } }
  )

  it("shows at most one character of a value, wherever a character is missing or too many", () => {
    const value = "KXQWZVJY"
    const line = `{"method":"secrets.add","params":{"name":"n","value":"${value}"},"id":1}`
    const shown = (text: string) => [...value].filter((character) => syntaxError(text).includes(character)).length
    for (let at = 0; at <= line.length; at += 1) {
      assert.isAtMost(shown(line.slice(0, at) + line.slice(at + 1)), 1)
      assert.isAtMost(shown(`${line.slice(0, at)}"${line.slice(at)}`), 1)
      assert.isAtMost(shown(line.slice(at)), 1)
    }
  })
})
