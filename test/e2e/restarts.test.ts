/**
 * A restart is not an error: commands wait for the daemon and retry.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { randomFrom } from "../support/random.ts"
import { restartRounds } from "../torture/restarts.ts"

describe("a restart of the daemon", () => {
  it.live("fails no command of eight callers, in order or by kill -9", () =>
    Effect.gen(function* () {
      const rows = yield* Effect.promise(() =>
        restartRounds(
          { rounds: 2, random: randomFrom(1), log: (line) => assert.fail(line) },
          { least: 0.1, most: 0.3 },
          // On a busy machine, a start alone may take as long as a command waits by default.
          120
        )
      )
      for (const { stats = "", failed, tried, what } of rows) {
        process.stdout.write(`${what}: ${failed} of ${tried}${stats && `, ${stats}`}\n`)
        assert.strictEqual(failed, 0, what)
        assert.isAbove(tried, 0, what)
      }
    })
  )
})
