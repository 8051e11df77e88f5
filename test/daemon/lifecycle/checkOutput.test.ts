/**
 * A file of the daemon is not its standard output: its log would be mixed into it.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { checkOutput } from "../../../src/daemon/lifecycle/checkOutput.ts"
import { temporaryDirectory } from "../../support/temporary.ts"

describe("the files of the daemon", () => {
  it.live("are rejected if one is the file that the output is redirected to, by any name", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      const [log, link, other] = ["log", "link", "other"].map((name) => path.join(directory, name)) as [
        string,
        string,
        string
      ]
      fs.writeFileSync(other, "")
      fs.symlinkSync(log, link)
      const output = fs.openSync(log, "a")
      for (const file of [log, link]) {
        const { exitStatus, reason } = yield* Effect.flip(checkOutput([other, file], [output]))
        assert.strictEqual(reason, `${file} is the standard output or error of the daemon, which logs there`)
        assert.strictEqual(exitStatus, 78)
      }
      yield* checkOutput([other, path.join(directory, "missing"), directory, "/dev/null"], [output])
      fs.closeSync(output)
      yield* checkOutput([log], [output])
    })
  )
})
