/**
 * Every line of a client arrives whole or is marked as too long, however the chunks are split.
 */
import { assert, describe, it } from "@effect/vitest"
import { makeLineSplitter } from "../../../../src/cli/commands/mcp/mcpLines.ts"

const split = (limit: number, ...chunks: ReadonlyArray<string>) => chunks.flatMap(makeLineSplitter(limit))

describe("makeLineSplitter", () => {
  it("returns whole lines, and keeps the rest", () => {
    assert.deepStrictEqual(split(9, "a\nb", "c\n", "\nd"), ["a", "bc", ""])
  })

  it("marks a line that is too long, wherever it is split, and nothing of the others", () => {
    for (const chunks of [["a\n0123456789\nb\n"], ["a\n01234", "56789", "99\nb\n"], ["a\n0123456789", "9", "\nb\n"]]) {
      assert.deepStrictEqual(split(9, ...chunks), ["a", undefined, "b"])
    }
  })
})
