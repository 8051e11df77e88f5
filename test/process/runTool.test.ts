/**
 * A tool is never a program of the directory that it works in.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { followTool, runTool } from "../../src/process/runTool.ts"
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

describe("followTool", () => {
  it.live("passes on each line while the tool runs, and returns its status", () =>
    Effect.gen(function* () {
      const cwd = yield* temporaryDirectory
      const lines: Array<string> = []
      // The tool waits until its first line has been passed on.
      const script =
        "echo one; while [ ! -e seen ]; do sleep 0.01; done; printf 'two\\377\\nthree' ; echo err >&2; exit 4"
      const status = yield* followTool(
        ["sh", "-c", script],
        { cwd, env: { PATH: "/usr/bin:/bin" } },
        {
          stdout: (line) => {
            lines.push(line)
            fs.writeFileSync(path.join(cwd, "seen"), "")
          },
          stderr: (line) => lines.push(`stderr: ${line}`)
        }
      )
      assert.strictEqual(status, 4)
      assert.deepStrictEqual(lines.toSorted(), ["one", "stderr: err", "three", "two\ufffd"])
    })
  )
})
