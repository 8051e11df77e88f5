/**
 * bin/secrets, the launcher of a checkout: through links, and with the options of a service.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { nodeOptions } from "../../src/service/ServiceOptions.ts"
import { startDaemon } from "../harness/daemon.ts"
import { isScript } from "../harness/program.ts"
import { hasProc } from "../support/inside.ts"
import { temporaryDirectory } from "../support/temporary.ts"

const launcher = path.resolve(import.meta.dirname, "../../bin/secrets")

describe.runIf(isScript)("the launcher of a checkout", () => {
  it.live("runs the program through any chain of links, from any directory", () =>
    Effect.gen(function* () {
      const home = yield* temporaryDirectory
      const [one, two] = [path.join(home, "a place"), path.join(home, "-other")]
      for (const directory of [one, two]) fs.mkdirSync(directory)
      fs.symlinkSync(launcher, path.join(one, "absolute"))
      fs.symlinkSync("../a place/absolute", path.join(two, "relative"))
      fs.symlinkSync("-other/relative", path.join(home, "secrets"))
      for (const [command, cwd] of [
        [launcher, home],
        [path.join(one, "absolute"), home],
        ["./-other/relative", home],
        ["../secrets", one],
        ["secrets", one]
      ] as const) {
        const ended = spawnSync(command, ["--version"], {
          cwd,
          env: { HOME: home, PATH: `${home}:/usr/bin:/bin` },
          encoding: "utf8"
        })
        assert.deepStrictEqual([ended.status, ended.stderr], [0, ""], command)
        assert.match(ended.stdout, /^\d+\.\d+\.\d+\n$/)
      }
    })
  )

  it.live.runIf(hasProc)("gives Node the options of a service", () =>
    Effect.gen(function* () {
      const home = yield* temporaryDirectory
      const { pid } = yield* startDaemon({ home, through: `shift 2; exec '${launcher}' "$@"` })
      const words = fs.readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0")
      assert.deepStrictEqual(words.slice(1, 1 + nodeOptions.length), nodeOptions)
      assert.deepStrictEqual(words.slice(-2), ["serve", ""])
    })
  )
})
