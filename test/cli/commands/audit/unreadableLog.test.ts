/**
 * The hint where the audit log cannot be read.
 */
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { vi } from "vitest"
import { unreadableLog } from "../../../../src/cli/commands/audit/verify.ts"
import { FileError } from "../../../../src/daemon/files/durableFile.ts"
import { temporaryDirectory } from "../../../support/temporary.ts"

it.effect("sends nobody to another account who owns an audit log without permission to read it", () =>
  Effect.gen(function* () {
    const file = path.join(yield* temporaryDirectory, "audit.log")
    fs.writeFileSync(file, "", { mode: 0 })
    const uid = process.getuid?.() || 65_534
    if (process.getuid?.() === 0) fs.chownSync(file, uid, uid)
    yield* Effect.acquireRelease(
      Effect.sync(() => vi.spyOn(process, "geteuid").mockReturnValue(uid)),
      (spy) => Effect.sync(() => spy.mockRestore())
    )
    const cause = Object.assign(new Error("EACCES: permission denied, open"), { code: "EACCES", errno: -13 })
    const { exitStatus, fix } = unreadableLog(new FileError({ operation: "read", path: file, cause }))
    assert.deepStrictEqual([fix, exitStatus], [`Run chmod u+rw ${file}`, 7])
  })
)
