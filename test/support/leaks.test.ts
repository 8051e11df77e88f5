/**
 * `formsIn` finds a value in every encoding, and nothing in other text.
 */
import { assert, describe, it } from "@effect/vitest"
import { formsIn } from "./leaks.ts"

const value = 'a "quoted" \\ line <é>\nand another line of it'

describe("formsIn", () => {
  for (const [form, text] of [
    ["plain", `before ${value} after`],
    ["by one of its lines", "log: and another line of it"],
    ["in JSON", JSON.stringify({ deep: [value] })],
    ["in JSON within JSON", JSON.stringify(JSON.stringify({ value }))],
    ["in hex", `x${Buffer.from(value).toString("hex")}`],
    ["in a URL", `http://x/?q=${encodeURIComponent(value)}&r=1`],
    ["in base64", Buffer.from(value).toString("base64")],
    ["in base64 behind one byte", Buffer.from(`1${value}`).toString("base64")],
    ["in base64 behind two bytes, with more to come", Buffer.from(`12${value}4567`).toString("base64url")]
  ] as const) {
    it(`finds a value ${form}`, () => {
      assert.isNotEmpty(formsIn(Buffer.from(text), value))
    })
  }

  it("finds nothing in other text", () => {
    assert.deepStrictEqual(formsIn(Buffer.from('a "quoted" something and another line of that'), value), [])
  })
})
