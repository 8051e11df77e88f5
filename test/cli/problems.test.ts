/**
 * Whoever may not use the socket is told which group may, where that can be seen.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { unreachable } from "../../src/cli/problems.ts"
import { temporaryDirectory } from "../support/temporary.ts"

const fixFor = (socketPath: string) => unreachable({ code: "EACCES", socketPath })

describe("no permission for the socket", () => {
  it.effect("names the group the socket is for, by its name or its number", () =>
    Effect.gen(function* () {
      const socket = path.join(yield* temporaryDirectory, "s")
      fs.writeFileSync(socket, "")
      fs.chmodSync(socket, 0o660)
      const { gid } = fs.statSync(socket)
      const named = fs
        .readFileSync("/etc/group", "utf8")
        .split("\n")
        .find((line) => line.split(":")[2] === `${gid}`)
      const group = named?.split(":")[0] ?? `${gid}`
      const problem = fixFor(socket)
      assert.strictEqual(problem.exitCode, 7)
      assert.match(problem.fix, new RegExp(`^Join the group ${group} and log in again`))
    })
  )

  it.effect("names the group that may go through its directory, where the socket cannot be seen", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      fs.chmodSync(directory, 0o710)
      assert.match(fixFor(path.join(directory, "s")).fix, /^Join the group /)
    })
  )

  it.effect("names the account where the socket is for no group", () =>
    Effect.gen(function* () {
      const socket = path.join(yield* temporaryDirectory, "s")
      fs.writeFileSync(socket, "", { mode: 0o600 })
      assert.match(fixFor(socket).fix, /^Use the account the daemon runs for/)
      assert.match(fixFor("/nonexistent/place/s").fix, /^Use the account the daemon runs for/)
    })
  )
})
