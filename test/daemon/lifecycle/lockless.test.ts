/**
 * On a file system without locks, such as NFS without its lock service, every lock is refused as if
 * another process held it.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Result from "effect/Result"
import { TestClock } from "effect/testing"
import { instancePaths } from "../../../src/daemon/Daemon.ts"
import { rejectServed } from "../../../src/daemon/lifecycle/Instance.ts"
import { decodeConfig } from "../../../src/domain/Config.ts"
import { temporaryDirectory } from "../../support/temporary.ts"

describe("a start whose lock is refused", () => {
  it.effect("names a file system without locks as the other possible cause if no process is known", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      const { config } = Result.getOrThrow(decodeConfig(JSON.stringify({ directory }), "/home"))
      const reject = (owner: number | undefined) => Effect.flip(rejectServed(instancePaths(config), owner))
      const rejecting = yield* Effect.forkChild(reject(undefined))
      yield* TestClock.adjust("3 seconds")
      const unknown = yield* Fiber.join(rejecting)
      const cause = "or its file system cannot lock files"
      assert.strictEqual(unknown.reason, `another daemon, with an unknown pid, is serving ${directory}, ${cause}`)
      assert.include(unknown.fix, "on a local disk")
      assert.strictEqual(unknown.exitStatus, 75)
      const known = yield* reject(4711)
      assert.strictEqual(known.reason, `another daemon, process 4711, is serving ${directory}`)
      assert.notInclude(known.fix, "disk")
    })
  )
})
