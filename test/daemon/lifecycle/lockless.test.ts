/**
 * On a file system without locks, such as NFS without its lock service, every lock is refused as if
 * another process held it.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { TestClock } from "effect/testing"
import * as path from "node:path"
import { instancePaths } from "../../../src/daemon/Daemon.ts"
import { holdDirectory } from "../../../src/daemon/lifecycle/Instance.ts"
import { claimSocketPath } from "../../../src/daemon/lifecycle/socketPath.ts"
import { decodeConfig } from "../../../src/domain/Config.ts"
import * as Result from "effect/Result"
import { vi } from "vitest"
import { temporaryDirectory } from "../../support/temporary.ts"

vi.mock("node:sqlite", () => ({
  DatabaseSync: class {
    exec() {
      throw new Error("database is locked")
    }
    close() {}
  }
}))

describe("a start where no file can be locked", () => {
  it.effect("names that as the other possible cause, for the state directory and for a socket", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      const { config } = Result.getOrThrow(decodeConfig(JSON.stringify({ directory }), "/home"))
      const starting = yield* Effect.forkChild(Effect.flip(holdDirectory(instancePaths(config))))
      yield* TestClock.adjust("3 seconds")
      const error = yield* Fiber.join(starting)
      if (error._tag !== "StartError") return assert.fail(error.message)
      assert.strictEqual(
        error.reason,
        `another daemon, with an unknown pid, is serving ${directory}, or its file system cannot lock files`
      )
      assert.include(error.fix, "on a local disk")
      assert.strictEqual(error.exitStatus, 75)

      const socket = path.join(directory, "s.sock")
      const claimed = yield* Effect.flip(claimSocketPath(socket))
      assert.match(claimed.message, /or the file system of .*s\.sock\.lock cannot lock files$/)
    })
  )
})
