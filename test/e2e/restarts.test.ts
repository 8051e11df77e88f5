/**
 * A restart is not an error: the command waits for the daemon, and asks again.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { randomFrom } from "../torture/Attack.ts"
import { restartRounds } from "../torture/restarts.ts"

describe("a restart of the daemon", () => {
  it.live("is noticed by none of eight callers, whatever they run, in order or by kill -9", () =>
    Effect.gen(function* () {
      const rows = yield* Effect.promise(() =>
        restartRounds(
          { rounds: 4, random: randomFrom(1), tell: (line) => assert.fail(line) },
          { least: 0.1, most: 0.3 }
        )
      )
      for (const { figures = "", lost, tried, what } of rows) {
        process.stdout.write(`${what}: ${lost} of ${tried}${figures && `, ${figures}`}\n`)
        assert.strictEqual(lost, 0, what)
        assert.isAbove(tried, 0, what)
      }
    })
  )
})
