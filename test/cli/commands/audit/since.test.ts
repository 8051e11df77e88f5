/**
 * --since takes a moment as people write it.
 */
import { afterEach, assert, describe, it, vi } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { TestClock } from "effect/testing"
import { parseSince } from "../../../../src/cli/commands/audit/since.ts"

const now = "2026-03-09T12:00:00Z"

afterEach(() => void vi.unstubAllEnvs())

describe("--since", () => {
  for (const [given, moment] of [
    ["2h", "2026-03-09T10:00:00Z"],
    ["2h ago", "2026-03-09T10:00:00Z"],
    ["2 hours ago", "2026-03-09T10:00:00Z"],
    ["1d", "2026-03-08T12:00:00Z"],
    ["7d", "2026-03-02T12:00:00Z"],
    ["1 week ago", "2026-03-02T12:00:00Z"],
    ["today", "2026-03-09T04:00:00Z"],
    // The clock was set forward in that night.
    ["yesterday", "2026-03-08T05:00:00Z"],
    ["2026-02-22", "2026-02-22T05:00:00Z"],
    ["2026-02-22 08:30", "2026-02-22T13:30:00Z"],
    ["2026-02-22T08:30:15", "2026-02-22T13:30:15Z"],
    ["2026-02-22T08:00:00Z", "2026-02-22T08:00:00Z"]
  ] as const) {
    it.effect(`is read: ${given}`, () =>
      Effect.gen(function* () {
        vi.stubEnv("TZ", "America/New_York")
        yield* TestClock.setTime(Date.parse(now))
        assert.strictEqual(Date.parse((yield* parseSince(given)) ?? ""), Date.parse(moment))
      })
    )
  }

  for (const given of ["", "-2h", "tomorrow", "2", "last week", "2026-02-30", "2026-02-22 25:00", "2h later"]) {
    it.effect(`rejects ${JSON.stringify(given)}`, () =>
      Effect.gen(function* () {
        const failure = yield* Effect.flip(parseSince(given))
        assert.strictEqual(failure.message, "--since must be a duration or a time")
      })
    )
  }
})
