/**
 * Which project files are used without --project.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { vi } from "vitest"
import { allowCommand } from "../../../../src/cli/commands/project/allow.ts"
import { findProject, rejectForeign } from "../../../../src/cli/commands/project/findProject.ts"
import { temporaryDirectory } from "../../../support/temporary.ts"

const [us, another] = [61_234, 61_235]

const asUs = Effect.acquireRelease(
  Effect.sync(() => vi.spyOn(process, "getuid").mockReturnValue(us)),
  (spy) => Effect.sync(() => spy.mockRestore())
)

/** The project file that `exec` and `env` would ask about. */
const usable = (from: string, named: string | undefined) =>
  Effect.tap(findProject(from, named), (project) => rejectForeign(project, named))

describe("a project file", () => {
  it.live("that is missing has the hint of the command that looks for it", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      const hintOf = () => Effect.map(Effect.flip(findProject(directory, undefined)), ({ fix }) => fix)
      assert.strictEqual(yield* hintOf(), "Create one, or name a secret: --secret NAME")
      const working = vi.spyOn(process, "cwd").mockReturnValue(directory)
      yield* Effect.addFinalizer(() => Effect.sync(() => working.mockRestore()))
      const parsed = allowCommand.parse([])
      assert.isTrue(parsed.kind === "run")
      if (parsed.kind !== "run") return
      const { fix } = yield* Effect.flip(parsed.run())
      assert.strictEqual(fix, "Create one, or name it: secrets allow PATH")
    })
  )

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
      const { message } = yield* Effect.flip(usable(directory, undefined))
      assert.match(message, /belongs to or is writable by another user$/)
      assert.strictEqual((yield* usable(directory, link)).directory, directory)
      if (!isRoot) return
      fs.lchownSync(link, us, us)
      assert.strictEqual((yield* usable(directory, undefined)).file, link)
    })
  )

  it.live("is not looked for above a directory whose path Node cannot read", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      fs.writeFileSync(path.join(directory, ".secrets.json"), '{"secrets":[]}')
      // What Node returns for a name in Latin-1.
      const { message } = yield* Effect.flip(findProject(path.join(directory, "caf\ufffd"), undefined))
      assert.match(message, /^the path of this directory is not UTF-8 text/)
    })
  )
})
