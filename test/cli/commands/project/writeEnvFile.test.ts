/**
 * A file that secrets did not write is not replaced.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { writeEnvFile } from "../../../../src/cli/commands/project/writeEnvFile.ts"
import { modeOf } from "../../../harness/daemon.ts"
import { temporaryDirectory } from "../../../support/temporary.ts"

const text = "# secrets-managed: true\n# secrets-ttl: 2026-11-22T09:36:19Z\nA=new\n"

describe("an env file", () => {
  it.live("is replaced only with force if it appeared during the leases", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      const file = path.join(directory, ".env")
      fs.writeFileSync(file, "MINE=1\n")
      const { message } = yield* Effect.flip(writeEnvFile(file, text, false))
      assert.include(message, "was not written by secrets")
      assert.strictEqual(fs.readFileSync(file, "utf8"), "MINE=1\n")
      yield* writeEnvFile(file, text, true)
      assert.strictEqual(fs.readFileSync(file, "utf8"), text)
      assert.strictEqual(modeOf(file), "600")
      assert.deepStrictEqual(fs.readdirSync(directory), [".env"])
    })
  )
})
