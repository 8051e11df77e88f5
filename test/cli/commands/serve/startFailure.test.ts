/**
 * The hint of a start that failed at a file names what to do about that kind of failure.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { execFileSync } from "node:child_process"
import * as path from "node:path"
import { startFailure } from "../../../../src/cli/commands/serve/startFailure.ts"
import { FileError, readIfPresent } from "../../../../src/daemon/files/durableFile.ts"
import { readOrSetAside } from "../../../../src/daemon/files/setAside.ts"
import { temporaryDirectory } from "../../../support/temporary.ts"

describe("a start that fails at a file", () => {
  it.effect("hints at the path if that is a pipe, a device or a directory, and at the disk if that is full", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      const pipe = path.join(directory, "audit.log")
      execFileSync("mkfifo", [pipe])
      for (const place of [pipe, "/dev/null", directory]) {
        const problem = startFailure(yield* Effect.flip(readIfPresent(place)))
        assert.strictEqual(problem.fix, "Move that away, or name another path in config.json", place)
        assert.strictEqual(problem.exitStatus, 73)
      }
      const cause = Object.assign(new Error("ENOSPC: no space left on device, write"), { code: "ENOSPC", errno: -28 })
      const full = startFailure(new FileError({ operation: "write", path: "/x", cause }))
      assert.strictEqual(full.message, "cannot write /x: ENOSPC: no space left on device")
      const denied = Object.assign(new Error("EACCES: permission denied, open"), { code: "EACCES", errno: -13 })
      const mine = startFailure(new FileError({ operation: "read", path: "/x", cause: denied }))
      assert.strictEqual(mine.message, "cannot read /x: EACCES: permission denied")
      assert.strictEqual(full.fix, "Check the permissions and the free space there")
      const gone = Object.assign(new Error("ENOENT: no such file or directory, open"), { code: "ENOENT", errno: -2 })
      const nowhere = startFailure(new FileError({ operation: "open", path: "/no/such/audit.log", cause: gone }))
      assert.strictEqual(nowhere.fix, "Create the directory, or name another path in config.json")
    })
  )

  it.effect("is not set aside if it is a device", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(readOrSetAside("/dev/null"))
      assert.strictEqual(error.message, "cannot read /dev/null: not a regular file")
    })
  )
})
