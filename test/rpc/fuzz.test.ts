/**
 * A short run of what `npm run torture -- fuzz` does a million times.
 */
import { assert, describe, it } from "@effect/vitest"
import { fuzz } from "../torture/fuzz.ts"
import { randomFrom } from "../support/random.ts"

describe("any bytes", () => {
  it.each([1, 2, 3])("give the same frames in any chunks, and one line of JSON each (seed %d)", (seed) => {
    const printed: Array<string> = []
    const { failed } = fuzz(3_000, randomFrom(seed), (line) => printed.push(line))
    assert.strictEqual(failed, 0, printed.join("\n"))
  })
})
