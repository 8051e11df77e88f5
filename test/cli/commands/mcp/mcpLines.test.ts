/**
 * Every line of a client is a message or dropped, however the chunks are split.
 */
import { assert, describe, it } from "@effect/vitest"
import { makeLineSplitter, readMcpLine } from "../../../../src/cli/commands/mcp/mcpLines.ts"

const split = (limit: number, ...chunks: ReadonlyArray<string>) => chunks.flatMap(makeLineSplitter(limit))

describe("makeLineSplitter", () => {
  it("returns whole lines, and keeps the rest", () => {
    assert.deepStrictEqual(split(9, "a\nb", "c\n", "\nd"), ["a", "bc", ""])
  })

  it("drops a line that is too long, wherever it is split, and nothing of the others", () => {
    for (const chunks of [["a\n0123456789\nb\n"], ["a\n01234", "56789", "99\nb\n"], ["a\n0123456789", "9", "\nb\n"]]) {
      assert.deepStrictEqual(split(9, ...chunks), ["a", "", "b"])
    }
  })
})

const initialize = (protocolVersion: string, elicitation?: object) =>
  JSON.stringify({ id: 1, method: "initialize", params: { protocolVersion, capabilities: { elicitation } } })

describe("readMcpLine", () => {
  it.each(["", "x", "{", "5", '"a"', "null", "[1]", '[{"a":1},[]]', "{}}", "\u0000"])("drops %j", (line) => {
    assert.strictEqual(readMcpLine(line), undefined)
  })

  it.each([
    '{"a":1}',
    "[]",
    '[{"a":1}]',
    ' {"a":1}\r',
    initialize("2025-06-18"),
    initialize("2025-06-18", { form: {} })
  ])("passes on %j", (line) => {
    assert.strictEqual(readMcpLine(line), line)
  })

  it("lets a client of 2025-06-18 that opens addresses speak the version that has a word for it", () => {
    const line = initialize("2025-06-18", { form: {}, url: {} })
    assert.strictEqual(readMcpLine(line), initialize("2025-11-25", { form: {}, url: {} }))
    assert.strictEqual(readMcpLine(initialize("2025-03-26", { url: {} })), initialize("2025-03-26", { url: {} }))
  })
})
