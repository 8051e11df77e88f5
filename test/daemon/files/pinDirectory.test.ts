/** makeDirectory creates private directories, or fails with the reason. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { makeDirectory } from "../../../src/daemon/files/pinDirectory.ts"
import { temporaryDirectory } from "../../support/temporary.ts"

describe("makeDirectory", () => {
  it.live("creates the directory and its parents with mode 0700, and leaves existing ones unchanged", () =>
    Effect.gen(function* () {
      const above = yield* temporaryDirectory
      fs.chmodSync(above, 0o755)
      yield* makeDirectory(path.join(above, "a", "b"))
      yield* makeDirectory(path.join(above, "a", "b"))
      const modes = ["", "a", "a/b"].map((name) => (fs.statSync(path.join(above, name)).mode & 0o777).toString(8))
      assert.deepStrictEqual(modes, ["755", "700", "700"])
    })
  )

  for (const [what, make, reason] of [
    ["a file", (at: string) => fs.writeFileSync(at, ""), "a file that is not a directory has that name"],
    ["a dangling link", (at: string) => fs.symlinkSync(`${at}.none`, at), "a dangling symbolic link has that name"]
  ] as const) {
    it.live(`fails if ${what} has the name`, () =>
      Effect.gen(function* () {
        const at = path.join(yield* temporaryDirectory, "a")
        make(at)
        const error = yield* Effect.flip(makeDirectory(at))
        assert.strictEqual(error.message, `cannot create ${at}: ${reason}`)
      })
    )
  }

  it.live("fails instead of looping if a directory cannot be created", () =>
    Effect.gen(function* () {
      yield* Effect.flip(makeDirectory("/dev/null/a"))
      if (fs.existsSync("/proc/self")) yield* Effect.flip(makeDirectory("/proc/agent-secrets/a"))
    })
  )
})
