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
import { isScript, program } from "../harness/program.ts"
import { hasProc } from "../support/inside.ts"
import { temporaryDirectory } from "../support/temporary.ts"

const launcher = path.resolve(import.meta.dirname, "../../bin/secrets")

/** The Node of the tests, where npm installed none. */
const nodeFirst = `${path.dirname(process.execPath)}:/usr/bin:/bin`

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
          env: { HOME: home, PATH: `${home}:${nodeFirst}` },
          encoding: "utf8"
        })
        assert.deepStrictEqual([ended.status, ended.stderr], [0, ""], command)
        assert.match(ended.stdout, /^\d+\.\d+\.\d+\n$/)
      }
    })
  )

  it.live("runs the Node of the PATH where npm installed none, if it is new enough", () =>
    Effect.gen(function* () {
      const home = yield* temporaryDirectory
      for (const name of ["bin", "tools"]) fs.mkdirSync(path.join(home, name))
      fs.copyFileSync(launcher, path.join(home, "bin/secrets"))
      fs.symlinkSync(path.join(path.dirname(launcher), "../dist"), path.join(home, "dist"))
      const node = path.join(home, "tools/node")
      const runWith = (script: string) => {
        fs.writeFileSync(node, `#!/bin/sh\n${script}\n`, { mode: 0o755 })
        const { status, stderr, stdout } = spawnSync(path.join(home, "bin/secrets"), ["list", "--help"], {
          env: { HOME: home, PATH: `${home}/tools:/usr/bin:/bin` },
          encoding: "utf8"
        })
        return [status, stderr, stdout.split("\n")[0]]
      }
      const ways = "Put a newer Node first on the PATH, or install the binary, which needs none"
      const wrong = [1, `secrets: ${node} is not Node 22.19 or newer\n  ${ways}\n`, ""]
      for (const version of ["v20.20.2", "v22.18.0", "v9.0.0", "nonsense"]) {
        assert.deepStrictEqual(runWith(`echo ${version}`), wrong, version)
      }
      for (const version of ["v22.19.0", "v23.0.0", "v24.21.0", "v100.0.0"]) {
        const [status, stderr] = runWith(`[ "$*" = -v ] && echo ${version} || exec '${process.execPath}' "$@"`)
        assert.deepStrictEqual([status, stderr], [0, ""], version)
      }
    })
  )

  it.live("leaves --env-file to exec: Node would read it, and run what it names", () =>
    Effect.gen(function* () {
      const home = yield* temporaryDirectory
      const evil = path.join(home, "evil.cjs")
      fs.writeFileSync(evil, 'console.log("evil")')
      fs.writeFileSync(path.join(home, "evil.env"), `NODE_OPTIONS=--require=${evil}\n`)
      fs.symlinkSync(program, path.join(home, "linked"))
      for (const command of [launcher, path.join(home, "linked")])
        for (const [file, said] of [
          ["evil.env", "evil.env NODE_OPTIONS controls which programs run"],
          ["none.env", "none.env cannot be read: ENOENT: no such file or directory"]
        ] as const) {
          const args = ["exec", "--env-file", file, "--", "true"]
          const ended = spawnSync(command, args, { cwd: home, env: { HOME: home, PATH: nodeFirst }, encoding: "utf8" })
          assert.deepStrictEqual([ended.status, ended.stdout], [1, ""], command)
          assert.include(ended.stderr, said)
        }
    })
  )

  it.live("fails where standard output is closed, instead of losing what it prints", () =>
    Effect.gen(function* () {
      const home = yield* temporaryDirectory
      const env = { HOME: home, PATH: nodeFirst }
      for (const started of isScript ? [launcher, program] : [launcher]) {
        const statusOf = (line: string) => spawnSync("/bin/sh", ["-c", line, "sh", started], { env }).status
        assert.deepStrictEqual([statusOf('"$1" --version'), statusOf('"$1" --version >&-')], [0, 1], started)
      }
    })
  )

  it.live.runIf(hasProc)("gives Node the options of a service", () =>
    Effect.gen(function* () {
      const home = yield* temporaryDirectory
      const { pid } = yield* startDaemon({
        home,
        env: { PATH: nodeFirst },
        through: `shift 2; exec '${launcher}' "$@"`
      })
      const words = fs.readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0")
      assert.deepStrictEqual(words.slice(1, 1 + nodeOptions.length), nodeOptions)
      assert.deepStrictEqual(words.slice(-2), ["serve", ""])
    })
  )
})
