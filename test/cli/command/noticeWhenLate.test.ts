/**
 * The line of a command that takes longer than its callers wait in silence.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/testing/TestClock"
import { noticeWhenLate } from "../../../src/cli/command/noticeWhenLate.ts"

const rest = Effect.succeed({ socketPath: "/s", timeout: Duration.seconds(3) })

describe("the line of a command that is late", () => {
  it.effect("is printed once, a little after the time of a request is over", () =>
    Effect.gen(function* () {
      const printed: Array<string> = []
      const print = (line: string) => void printed.push(line)
      const fiber = yield* Effect.forkChild(
        Effect.as(Effect.sleep("1 minute"), "done").pipe(noticeWhenLate(rest, "rotating", print))
      )
      yield* TestClock.adjust(3199)
      assert.deepStrictEqual(printed, [])
      yield* TestClock.adjust("2 minutes")
      assert.deepStrictEqual([yield* Fiber.join(fiber), printed], ["done", ["rotating"]])
    })
  )

  it.effect("is not printed where the end or a failure comes first", () =>
    Effect.gen(function* () {
      const printed: Array<string> = []
      const noticed = noticeWhenLate(rest, "rotating", (line) => void printed.push(line))
      const fiber = yield* Effect.forkChild(Effect.flip(noticed(Effect.delay(Effect.fail("no reply"), "3 seconds"))))
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual([yield* Fiber.join(fiber), printed], ["no reply", []])
    })
  )
})
