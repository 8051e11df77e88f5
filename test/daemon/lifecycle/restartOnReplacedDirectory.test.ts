/**
 * A restart on a replaced directory is retried until it succeeds, with one log line per
 * reason, or until another daemon serves the directory.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Logger from "effect/Logger"
import { TestClock } from "effect/testing"
import { restartOnReplacedDirectory } from "../../../src/daemon/lifecycle/restartOnReplacedDirectory.ts"
import { StartError } from "../../../src/daemon/files/StartError.ts"
import { temporaryDirectory } from "../../support/temporary.ts"

const error = (reason: string, exitStatus = 65) => Effect.fail(new StartError({ reason, fix: "", exitStatus }))

/** Runs a daemon with these results, one after the other. */
const following = Effect.fnUntraced(function* (
  ...courses: ReadonlyArray<Effect.Effect<"restart" | "directory replaced", StartError>>
) {
  const directory = yield* temporaryDirectory
  const starts: Array<boolean> = []
  const log: Array<string> = []
  const logger = Logger.make<unknown, void>(({ message }) => void log.push(String(message)))
  const once = (isRestart: boolean) =>
    Effect.suspend(() => {
      starts.push(isRestart)
      return courses[starts.length - 1] ?? Effect.never
    })
  const fiber = yield* Effect.forkScoped(
    Effect.provide(restartOnReplacedDirectory([directory], once), Logger.layer([logger]))
  )
  return { starts, log, end: Fiber.await(fiber), fiber }
})

const replaced = Effect.succeed("directory replaced" as const)
const restart = Effect.succeed("restart" as const)

describe("a restart on a replaced directory", () => {
  it.effect("happens at once if the directory was replaced, and not after a requested restart", () =>
    Effect.gen(function* () {
      const { end, starts } = yield* following(replaced, replaced, restart)
      assert.strictEqual((yield* end)._tag, "Success")
      assert.deepStrictEqual(starts, [false, true, true])
    })
  )

  it.effect("does not happen if the first start fails", () =>
    Effect.gen(function* () {
      const { end, starts } = yield* following(error("no"))
      assert.strictEqual((yield* end)._tag, "Failure")
      assert.deepStrictEqual(starts, [false])
    })
  )

  it.effect("is retried until it succeeds, with one log line per reason", () =>
    Effect.gen(function* () {
      const { end, log, starts } = yield* following(replaced, error("a"), error("a"), error("b"), restart)
      yield* TestClock.adjust("2.999 seconds")
      assert.lengthOf(starts, 4)
      yield* TestClock.adjust("1 millis")
      assert.strictEqual((yield* end)._tag, "Success")
      assert.deepStrictEqual(log, ["cannot restart yet: a", "cannot restart yet: b"])
    })
  )

  it.effect("is not retried if another daemon already serves the directory", () =>
    Effect.gen(function* () {
      const { end, log, starts } = yield* following(replaced, error("taken", 75))
      assert.strictEqual((yield* end)._tag, "Failure")
      assert.lengthOf(starts, 2)
      assert.deepStrictEqual(log, [])
    })
  )
})
