/**
 * File names survive as text, whatever their bytes are.
 */
import { assert, describe, it } from "@effect/vitest"
import { decodePath, encodePath } from "../../src/domain/pathText.ts"
import { randomFrom } from "../support/random.ts"

describe("a file name as text", () => {
  it("is its UTF-8 text, and each other byte is an unpaired surrogate", () => {
    assert.strictEqual(decodePath(Buffer.from("é日🔑\ufffd")), "é日🔑\ufffd")
    assert.strictEqual(decodePath(Buffer.from("a\xffb\xe9", "latin1")), "a\udcffb\udce9")
    // Overlong, a surrogate, and above the last character.
    assert.strictEqual(decodePath(Buffer.from("c0afeda080f4908080", "hex")).length, 9)
  })

  it("gives the same bytes back", () => {
    const random = randomFrom(20_260_302)
    const parts = ["a", "é", "日", "🔑", "\ufffd"].map((text) => Buffer.from(text))
    for (let round = 0; round < 2000; round += 1) {
      const bytes = Buffer.concat(
        Array.from({ length: random.below(6) }, () =>
          random.below(2) === 0 ? random.pick(parts) : Buffer.of(random.below(256))
        )
      )
      assert.deepStrictEqual(Buffer.from(encodePath(decodePath(bytes))), bytes)
    }
  })
})
