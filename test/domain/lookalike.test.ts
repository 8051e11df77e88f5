/**
 * Names that look alike are found; names that are merely similar are not.
 */
import { assert, describe, it } from "@effect/vitest"
import { lookalikes } from "../../src/domain/lookalike.ts"

describe("names that look alike", () => {
  it.each([
    ["caf\u00e9", "cafe\u0301"],
    ["\uac00", "\u1100\u1161"],
    ["token", "tok\u200ben"],
    ["token", "token "],
    ["token", "\uff54oken"],
    ["\u212b", "\u00c5"]
  ])("are %j and %j", (one, other) => {
    assert.deepStrictEqual(lookalikes([one], ["x", one, other]), [[one, other]])
    assert.deepStrictEqual(lookalikes([other], [one]), [[other, one]])
  })

  it("are not those that differ to the eye", () => {
    const names = ["token", "Token", "tokens", "to ken", "caf\u00e9", "cafe"]
    assert.deepStrictEqual(lookalikes(names, names), [])
  })
})
