/**
 * Times and ages as a terminal shows them, in the local zone.
 */
import { assert, describe, it } from "@effect/vitest"
import { ageOf, shortTime, shownTime, timeUntil } from "../../../src/cli/terminal/times.ts"
import { fromMillis } from "../../../src/domain/Timestamp.ts"

const now = Date.UTC(2026, 5, 15, 12, 0, 0)
const local = (millis: number) => fromMillis(millis).text

describe("a time", () => {
  it("is short on a terminal: of today, of this year, of another", () => {
    assert.strictEqual(shortTime(new Date(now - 1000).toISOString(), now), local(now - 1000).slice(11, 19))
    assert.strictEqual(
      shortTime("2026-01-02T03:04:05Z", now),
      local(Date.UTC(2026, 0, 2, 3, 4))
        .slice(5, 16)
        .replace("T", " ")
    )
    assert.strictEqual(shortTime("2020-06-15T12:00:00Z", now), "2020-06-15")
    assert.strictEqual(shortTime("soon", now), "soon")
    assert.strictEqual(shownTime("2026-01-02T03:04:05Z", now, false), "2026-01-02T03:04:05Z")
  })

  it("has an age, and a distance", () => {
    assert.strictEqual(ageOf(new Date(now - 90_000).toISOString(), now), "1m")
    assert.strictEqual(ageOf("0001-01-01T00:00:00Z", now), "never")
    assert.strictEqual(timeUntil(new Date(now + 7_200_000).toISOString(), now), "2h")
    assert.deepStrictEqual([ageOf("x", now), timeUntil("x", now)], ["?", "?"])
  })
})
