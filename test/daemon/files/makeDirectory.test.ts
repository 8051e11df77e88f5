/**
 * A directory is made with all above it for the owner alone, or the refusal says what
 * stands in the way.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { makeDirectory } from "../../../src/daemon/files/makeDirectory.ts"
import { temporaryDirectory } from "../../support/temporary.ts"

describe("a directory", () => {
  it.live("is made with all above it, mode 0700, and one that is there stays as it is", () =>
    Effect.gen(function* () {
      const above = yield* temporaryDirectory
      fs.chmodSync(above, 0o755)
      yield* makeDirectory(path.join(above, "a", "b"))
      yield* makeDirectory(path.join(above, "a", "b"))
      const modes = ["", "a", "a/b"].map((name) => (fs.statSync(path.join(above, name)).mode & 0o777).toString(8))
      assert.deepStrictEqual(modes, ["755", "700", "700"])
    })
  )

  for (const [what, make, says] of [
    ["a file", (at: string) => fs.writeFileSync(at, ""), "something that is not a directory has that name"],
    [
      "a dangling link",
      (at: string) => fs.symlinkSync(`${at}.none`, at),
      "a symbolic link that leads nowhere has that name"
    ]
  ] as const) {
    it.live(`is refused where ${what} has its name`, () =>
      Effect.gen(function* () {
        const at = path.join(yield* temporaryDirectory, "a")
        make(at)
        const fault = yield* Effect.flip(makeDirectory(at))
        assert.strictEqual(fault.message, `cannot create ${at}: ${says}`)
      })
    )
  }

  it.live("is refused where the system has no place for one, instead of being tried for ever", () =>
    Effect.gen(function* () {
      yield* Effect.flip(makeDirectory("/dev/null/a"))
      if (fs.existsSync("/proc/self")) yield* Effect.flip(makeDirectory("/proc/agent-secrets/a"))
    })
  )
})
