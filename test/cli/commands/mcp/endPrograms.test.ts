/**
 * The end of the server waits for its programs, and not for longer than a client does.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/testing/TestClock"
import { endPrograms, runningPrograms } from "../../../../src/cli/commands/mcp/programRun.ts"

/** A program whose end takes a time that no interruption shortens. */
const program = (taken: Effect.Effect<unknown>) => ({
  ended: Effect.never,
  written: () => 0,
  stop: () => Effect.uninterruptible(Effect.asVoid(taken))
})

const ending = (taken: Effect.Effect<unknown>) =>
  Effect.gen(function* () {
    runningPrograms.set("a test", program(taken))
    return yield* Effect.forkChild(Effect.uninterruptible(endPrograms(Effect.void)), { startImmediately: true })
  }).pipe(Effect.ensuring(Effect.sync(() => runningPrograms.clear())))

describe("the end of the server", () => {
  it.effect("waits at most 60 ms for programs that do not end", () =>
    Effect.gen(function* () {
      const fiber = yield* ending(Effect.never)
      yield* TestClock.adjust("59 millis")
      assert.isUndefined(fiber.pollUnsafe())
      yield* TestClock.adjust("1 millis")
      assert.isDefined(fiber.pollUnsafe())
    })
  )

  it.effect("does not wait when they have ended", () =>
    Effect.gen(function* () {
      const fiber = yield* ending(Effect.sleep("20 millis"))
      yield* TestClock.adjust("20 millis")
      yield* Fiber.join(fiber)
    })
  )
})
