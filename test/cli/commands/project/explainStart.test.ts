/**
 * Why a program cannot be started: the system's one error for a missing file has many causes.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { explainStart, explainUnstartable } from "../../../../src/cli/commands/project/explainStart.ts"
import { temporaryDirectory } from "../../../support/temporary.ts"

const explain = (
  command: string,
  code: string,
  env: Record<string, string> = { PATH: "/usr/bin" },
  args: ReadonlyArray<string> = []
) => {
  const { exitStatus, fix, message } = explainStart({ command, args, env }, code)
  return { exitStatus, fix, message }
}

describe("a program that cannot be started", () => {
  it("is missing", () => {
    for (const command of ["no-such-program", "./no-such-program", "/no/such/program"]) {
      const { exitStatus, message } = explain(command, "ENOENT")
      assert.deepStrictEqual([exitStatus, message], [127, `cannot run ${command}: no such program`])
    }
  })

  it.effect("is known before a start only if the system could not find it either", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      const [plain, program] = [path.join(directory, "plain"), path.join(directory, "program")]
      fs.writeFileSync(plain, "text")
      fs.writeFileSync(program, "#!/bin/sh\n", { mode: 0o755 })
      const statusOf = (command: string, env: Record<string, string>) =>
        explainUnstartable({ command, args: [], env })?.exitStatus
      assert.deepStrictEqual(
        [
          statusOf("no-such-program", { PATH: "/usr/bin" }),
          statusOf(plain, {}),
          statusOf("plain", { PATH: directory }),
          statusOf(directory, {}),
          statusOf(program, {}),
          statusOf("program", { PATH: `/none:${directory}` }),
          statusOf("sh", {}),
          statusOf("program", { PATH: path.relative(process.cwd(), directory) })
        ],
        [127, 126, 126, 126, undefined, undefined, undefined, undefined]
      )
    })
  )

  it.effect("is a script whose interpreter is missing, by its path or on the PATH", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      const write = (name: string, text: string) => {
        fs.writeFileSync(path.join(directory, name), text, { mode: 0o755 })
        return path.join(directory, name)
      }
      const missing = "its interpreter /no/such/sh does not exist"
      for (const [text, cause] of [
        ["#!/no/such/sh\n", missing],
        ["#! /no/such/sh -e\necho", missing],
        ["#!/no/such/sh", missing],
        [
          "#!/bin/sh\r\necho hi\r\n",
          "its interpreter /bin/sh\\r does not exist: its first line ends in a carriage return"
        ],
        ["#!/no/such/sh -e\r\n", `${missing}: its first line ends in a carriage return`],
        [`#!${write("inner", "#!/no/such/sh\n")}\n`, missing],
        ["\u007fELF\0\0/lib/ld-none.so.1\0", "its loader /lib/ld-none.so.1 does not exist"]
      ] as const) {
        const file = write("script", text)
        assert.deepInclude(explain(file, "ENOENT"), { exitStatus: 126, message: `cannot run ${file}: ${cause}` })
        const { message } = explain("script", "ENOENT", { PATH: `/none:${directory}` })
        assert.strictEqual(message, `cannot run script: ${cause}`)
      }
      assert.include(explain(write("script", "#!/bin/sh\r\n"), "ENOENT").fix, "tr -d '\\r' <")
      // A script that interprets itself.
      const self = path.join(directory, "self")
      write("self", `#!${self}\n`)
      assert.strictEqual(explain(self, "ELOOP").message, `cannot run ${self}: ELOOP`)
      assert.strictEqual(explain(directory, "EACCES").message, `cannot run ${directory}: it is a directory`)
      const plain = write("plain", "text")
      assert.strictEqual(explain(plain, "EACCES").message, `cannot run ${plain}: EACCES`)
    })
  )

  it("has too much to take, of which it names variables and no value", () => {
    const env = { PATH: "/usr/bin", SMALL: "s", LONG: "secret".repeat(50), LONGER: "hidden".repeat(100) }
    const { exitStatus, fix, message } = explain("true", "E2BIG", env, ["argument", "x".repeat(10)])
    assert.strictEqual(exitStatus, 126)
    assert.strictEqual(
      message,
      "cannot run true: its arguments (20 bytes) and variables (936 bytes) exceed the system's limit"
    )
    assert.strictEqual(fix, "Shorten them. The longest variables: LONGER (608), LONG (306), PATH (14)")
  })
})
