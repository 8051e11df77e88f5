/**
 * Which project files are used without --project.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { vi } from "vitest"
import { findProject } from "../../../../src/cli/commands/project/findProject.ts"
import { temporaryDirectory } from "../../../support/temporary.ts"

const [us, another] = [61_234, 61_235]

const asUs = Effect.acquireRelease(
  Effect.sync(() => vi.spyOn(process, "getuid").mockReturnValue(us)),
  (spy) => Effect.sync(() => spy.mockRestore())
)

describe("a project file", () => {
  it.live("is used only if it is named when another user owns it or a link to it", () =>
    Effect.gen(function* () {
      const isRoot = process.getuid?.() === 0
      const directory = yield* temporaryDirectory
      const [file, link] = [path.join(directory, "project.json"), path.join(directory, ".secrets.json")]
      fs.writeFileSync(file, '{"secrets":[]}')
      fs.symlinkSync(file, link)
      // Only root can change owners; otherwise the mocked uid makes our files foreign.
      if (isRoot) {
        fs.chownSync(file, us, us)
        fs.lchownSync(link, another, another)
      }
      yield* asUs
      const { message } = yield* Effect.flip(findProject(directory, undefined))
      assert.match(message, /belongs to or is writable by another user$/)
      assert.strictEqual((yield* findProject(directory, link)).directory, directory)
      if (!isRoot) return
      fs.lchownSync(link, us, us)
      assert.strictEqual((yield* findProject(directory, undefined)).file, link)
    })
  )
})
