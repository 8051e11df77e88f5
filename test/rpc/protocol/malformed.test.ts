/**
 * A line that is not JSON gets one message that quotes no character of it, since it may hold
 * a value. This holds wherever the line is cut or broken, and however deep it nests.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { decodeRequest } from "../../../src/rpc/protocol/Protocol.ts"

const notJson = "parse error: the line is not JSON"

const messageFor = (line: string): string =>
  Result.match(decodeRequest(line), { onSuccess: () => "", onFailure: ({ message }) => message })

const malformed: ReadonlyArray<string> = [
  "",
  "  \t\r",
  `{"a":`,
  `{"a":1`,
  `["a`,
  String.raw`"\u00`,
  "garbage",
  "}",
  "'a'",
  "[1,]",
  `{"a":,}`,
  "{a:1}",
  `{"a":1,}`,
  `{"a" 1}`,
  `{"a":1 "b":2}`,
  `[1 2]`,
  `{"method":"secrets.get","id":1} x`,
  `"jsonrpc": "2.0",`,
  "01",
  "-x",
  "1.x",
  "1ex",
  "1e-x",
  "1e+x",
  "+1",
  "tru0",
  "fals ",
  "nil",
  `"a\tb"`,
  String.raw`"\x"`,
  String.raw`"\u00g0"`,
  String.raw`"\u000g"`
]

const isJson = (text: string): boolean => {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

describe("a line that is not JSON", () => {
  it.each(malformed)("is refused: %j", (line) => {
    assert.strictEqual(messageFor(line), notJson)
  })

  it.each(["[", `{"a":`, '[{"b":'])("is refused when %s nests a hundred thousand times", (opening) => {
    assert.strictEqual(messageFor(opening.repeat(100_000)), "parse error: the line is nested too deeply")
  })

  /** No shorter piece of these is whole, as it is with numbers. */
  const Nested = Schema.Array(
    Schema.Record(Schema.String, Schema.Array(Schema.String).check(Schema.isMaxLength(6)))
  ).check(Schema.isMaxLength(6))

  it.prop("is refused wherever it was cut off", [Nested], ([value]) => {
    const text = JSON.stringify(value)
    for (let at = 0; at < text.length; at += 1) {
      assert.match(messageFor(text.slice(0, at)), /^parse error: the line (is not JSON|holds more than 1000 values)$/)
    }
  })

  const Characters = Schema.Array(Schema.Literals([...'{}[]":,01.e+-\\u/ \ttrue', "null", `"a"`, "é", "😀"]))

  it.prop(
    "is refused exactly when JSON.parse refuses it",
    [Characters.check(Schema.isMaxLength(12))],
    ([characters]) => {
      const text = characters.join("")
      assert.strictEqual(messageFor(text) === notJson, !isJson(text))
    },
    { arbitrary: { runs: 2_000 } }
  )

  it("is reported without any part of a value, wherever a character is missing or added", () => {
    const value = "KXQWZVJY"
    const line = `{"method":"secrets.add","params":{"name":"n","value":"${value}"},"id":1}`
    for (let at = 0; at <= line.length; at += 1) {
      for (const text of [
        line.slice(0, at) + line.slice(at + 1),
        `${line.slice(0, at)}"${line.slice(at)}`,
        line.slice(at)
      ]) {
        assert.include(
          ["", notJson, "parse error: json: cannot unmarshal number into Go value of type types.RPCRequest"],
          messageFor(text)
        )
      }
    }
  })
})
