/**
 * Output is cut to its first quarter and its last three, at whole characters.
 */
import { assert, describe, it } from "@effect/vitest"
import { CutOutput } from "../../../../src/cli/commands/mcp/cutOutput.ts"

const cut = (limit: number, ...pieces: ReadonlyArray<string | Buffer>) => {
  const output = new CutOutput(limit)
  for (const piece of pieces) output.push(Buffer.from(piece))
  return output
}

describe("CutOutput", () => {
  it("returns what fits as it came, however it was split", () => {
    assert.strictEqual(cut(8, "ab", "", "cdefgh").text(), "abcdefgh")
    assert.strictEqual(cut(8, "abcdefgh").leftOut, 0)
    assert.strictEqual(cut(8).text(), "")
  })

  it("leaves out the middle, and counts its bytes", () => {
    for (const pieces of [["abcdefghijk"], [..."abcdefghijk"]]) {
      const output = cut(8, ...pieces)
      assert.strictEqual(output.text(), "ab … 3 bytes left out … fghijk")
      assert.strictEqual(output.leftOut, 3)
    }
  })

  it("keeps little, also of a long output", () => {
    const output = new CutOutput(8)
    for (let n = 0; n < 10_000; n += 1) output.push(Buffer.from("0123456789"))
    assert.strictEqual(output.text(), "01 … 99992 bytes left out … 456789")
  })

  it("splits no character, and replaces bytes that are not UTF-8", () => {
    assert.strictEqual(cut(8, "aéxxxxxxxxxé1234").text(), "a … 10 bytes left out … é1234")
    assert.strictEqual(cut(8, "aéxxxxxxxxxé12345").text(), "a … 11 bytes left out … 12345")
    assert.strictEqual(cut(8, Buffer.from([0x61, 0xff, 0x62])).text(), "a\ufffdb")
    assert.strictEqual(cut(4, Buffer.alloc(12, 0x80)).text(), "\ufffd … 8 bytes left out … ")
  })
})
