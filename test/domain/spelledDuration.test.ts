/**
 * Days, weeks and words become units that Go reads; everything else stays as it is.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import { hour, minute, parseDuration, second } from "../../src/domain/GoDuration.ts"
import { inGoUnits } from "../../src/domain/spelledDuration.ts"

describe("a spelled duration", () => {
  for (const [text, length] of [
    ["1d", 24n * hour],
    ["7d", 168n * hour],
    ["2w", 336n * hour],
    ["1d12h", 36n * hour],
    ["1.5d", 36n * hour],
    [".5d", 12n * hour],
    ["-1d", -24n * hour],
    ["2 days", 48n * hour],
    ["1 week", 168n * hour],
    ["1 hour 30 minutes", 90n * minute],
    ["90 secs", 90n * second],
    ["1h30m", 90n * minute],
    ["1h30m5s", 90n * minute + 5n * second]
  ] as const) {
    it(`is read: ${text}`, () => assert.deepStrictEqual(parseDuration(inGoUnits(text)), Result.succeed(length)))
  }

  it("is left to the parser if it is none", () => {
    for (const text of ["", "0", "5", "1ms", "3us", "7\u00b5s", "8ns", "bad", "1month", "1M", "1 D", "d", "1y"]) {
      assert.strictEqual(inGoUnits(text), text)
    }
  })
})
