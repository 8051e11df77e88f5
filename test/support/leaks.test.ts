import { assert, describe, it } from "@effect/vitest"
import { formsIn } from "./leaks.ts"

const value = 'a "quoted" \\ line <é>\nand another line of it'

describe("a value that leaked is found", () => {
  for (const [form, text] of [
    ["as it is", `before ${value} after`],
    ["by one line of it", "log: and another line of it"],
    ["in JSON", JSON.stringify({ deep: [value] })],
    ["in JSON within JSON", JSON.stringify(JSON.stringify({ value }))],
    ["in hex", `x${Buffer.from(value).toString("hex")}`],
    ["in a URL", `http://x/?q=${encodeURIComponent(value)}&r=1`],
    ["in base64", Buffer.from(value).toString("base64")],
    ["in base64 behind one byte", Buffer.from(`1${value}`).toString("base64")],
    ["in base64 behind two bytes, with more to come", Buffer.from(`12${value}4567`).toString("base64url")]
  ] as const) {
    it(form, () => {
      assert.isNotEmpty(formsIn(Buffer.from(text), value))
    })
  }

  it("and is not found where it is not", () => {
    assert.deepStrictEqual(formsIn(Buffer.from('a "quoted" something and another line of that'), value), [])
  })
})
