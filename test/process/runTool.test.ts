/**
 * A tool is never a program of the directory that it works in.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { runTool } from "../../src/process/runTool.ts"
import { temporaryDirectory } from "../support/temporary.ts"

describe("runTool", () => {
  it.live("finds a tool, and what that starts, on the absolute entries of PATH alone", () =>
    Effect.gen(function* () {
      const cwd = yield* temporaryDirectory
      fs.mkdirSync(path.join(cwd, "bin"))
      for (const name of ["tool", "bin/tool"]) fs.writeFileSync(path.join(cwd, name), "#!/bin/sh\n", { mode: 0o755 })
      for (const searched of ["", ".", "bin", ":bin:", "./bin:../bin"]) {
        const started = Effect.flip(runTool(["tool"], { cwd, env: { PATH: `${searched}:/usr/bin:/bin` } }))
        assert.strictEqual((yield* started).kind, "not-found", searched)
        const script = yield* runTool(["sh", "-c", "tool || echo none"], { cwd, env: { PATH: `${searched}:/bin` } })
        assert.strictEqual(script.stdout.toString(), "none\n", searched)
      }
      const none = yield* runTool(["sh", "-c", "tool || echo none"], { cwd, env: { PATH: "bin" } })
      assert.strictEqual(none.stdout.toString(), "none\n")
      const absolute = yield* runTool(["tool"], { cwd, env: { PATH: path.join(cwd, "bin") } })
      assert.strictEqual(absolute.status, 0)
    })
  )
})
