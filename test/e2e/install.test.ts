/**
 * The installed program: a directory with a link to its entry, or the binary.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { hasProc } from "../support/inside.ts"
import { auditOf, connect, rpc, startDaemon } from "../harness/daemon.ts"
import { installProgram, invocation, isScript, program, run } from "../harness/program.ts"
import { temporaryDirectory } from "../support/temporary.ts"

/** A shell command that runs the copy in place of the program, with only these variables. */
const instead = (copy: string, home: string, node = invocation.slice(0, -1)) =>
  `shift ${invocation.length}; exec env -i PATH=/usr/bin:/bin HOME='${home}' ` +
  `${[...node, copy].map((word) => `'${word}'`).join(" ")} "$@"`

/** The Node of the tests, and those that NODE_PROGRAMS names, separated by colons. */
const nodes = isScript ? [process.execPath, ...(process.env["NODE_PROGRAMS"]?.split(":") ?? [])] : [undefined]

describe("an installed program", () => {
  for (const type of [undefined, "commonjs", "module"]) {
    it.live(`runs under any name, with ${type === undefined ? "nothing" : `a package of type ${type}`} beside it`, () =>
      Effect.gen(function* () {
        const home = yield* temporaryDirectory
        const copy = installProgram(home)
        const directories = [path.dirname(copy), path.dirname(fs.realpathSync(copy))]
        if (type !== undefined)
          for (const directory of directories)
            fs.writeFileSync(path.join(directory, "package.json"), JSON.stringify({ type }))
        for (const [args, status, expected] of [
          [["status", "--timeout", "0.2"], 3, /^secrets status: the daemon is not running\n/],
          [["--version"], 0, /^\d+\.\d+\.\d+\n$/]
        ] as const) {
          const ended = yield* run(args, { home, through: instead(copy, home) })
          assert.strictEqual(ended.status, status)
          assert.match(ended.stdout + ended.stderr, expected)
        }
      })
    )
  }

  for (const node of nodes) {
    it.live(`works without a warning on ${node ?? "no Node"}, and reads nothing from its working directory`, () =>
      Effect.gen(function* () {
        const home = yield* temporaryDirectory
        const copy = installProgram(home)
        fs.writeFileSync(path.join(home, "loaded.js"), "process.exit(9)")
        fs.writeFileSync(path.join(home, "bunfig.toml"), 'preload = ["./loaded.js"]\n')
        fs.writeFileSync(path.join(home, ".env"), "AGENT_SECRETS_EVENTS_MIN_LEVEL=nothing\nBUN_INSPECT=127.0.0.1:0\n")
        const through = `cd '${home}'; ${instead(copy, home, node === undefined ? [] : [node])}`
        const daemon = yield* startDaemon({ home, through })
        if (hasProc) {
          const line = fs.readFileSync(`/proc/${daemon.pid}/cmdline`, "utf8").split("\0")
          assert.deepStrictEqual(line.slice(-3), [copy, "serve", ""])
        }
        for (const [args, stdin, stdout] of [
          [["add", "db"], "value of db", /^added "db"\n$/],
          [["lease", "db"], undefined, /^value of db$/],
          [["exec", "--secret", "db=DB", "--", "printenv", "DB"], undefined, /^value of db\n$/],
          [["env", "--secret", "db=DB", "--file", "-"], undefined, /^DB=.*value of db.*$/m]
        ] as const) {
          const ended = yield* run(args, { home, through, ...(stdin === undefined ? {} : { stdin }) })
          assert.deepStrictEqual([ended.status, ended.stderr], [0, ""])
          assert.match(ended.stdout, stdout)
        }
        const stopped = yield* daemon.stop()
        assert.strictEqual(stopped.status, 0)
        assert.notMatch(stopped.stderr, /warning/i)
      })
    )
  }

  it.live.runIf(isScript)("keeps serving while its files are replaced by another build", () =>
    Effect.gen(function* () {
      const home = yield* temporaryDirectory
      const copy = installProgram(home)
      const daemon = yield* startDaemon({ home, through: instead(copy, home) })
      fs.rmSync(path.dirname(fs.realpathSync(copy)), { recursive: true })
      yield* rpc(daemon.socket, "add", { name: "db", value: "x", rotate_via: "true" })
      for (const [method, params] of [
        ["lease", { secret_name: "db", client_id: "c" }],
        ["rotate", { secret_name: "db" }],
        ["update", { name: "db", value: "y" }],
        ["leases", {}],
        ["list", {}],
        ["audit", { tail: 3 }],
        ["health", {}],
        ["killswitch", { rotate_all: true, wipe_store: true }]
      ] as const) {
        const reply = yield* rpc(daemon.socket, method, params)
        assert.isDefined(reply.result, `${method}: ${JSON.stringify(reply)}`)
      }
      const connection = yield* connect(daemon.socket)
      assert.include(yield* Effect.promise(() => connection.ask('{"method":"daemon.metrics","id":1}')), "# TYPE ")
      const stopped = yield* daemon.stop()
      assert.deepStrictEqual([stopped.status, auditOf(daemon.directory).at(-1)?.["action"]], [0, "daemon_stop"])
    })
  )

  it("does not contain the path of its build", () => {
    const directory = path.dirname(program)
    const files = isScript
      ? fs.readdirSync(directory).filter((file) => /\.[cm]js$/.test(file))
      : [path.basename(program)]
    for (const file of files) {
      const text = fs.readFileSync(path.join(directory, file))
      for (const folder of ["src", "scripts", "node_modules"]) {
        assert.strictEqual(text.indexOf(path.resolve(import.meta.dirname, "../..", folder)), -1, `${file}: ${folder}`)
      }
    }
  })

  it.live.runIf(isScript)("prints a hint if only its entry was copied", () =>
    Effect.gen(function* () {
      const home = yield* temporaryDirectory
      for (const name of ["secrets", "secrets.mjs"]) {
        const copy = path.join(home, name)
        fs.copyFileSync(program, copy)
        const ended = yield* run(["status"], { home, through: instead(copy, home) })
        assert.deepStrictEqual([ended.status, ended.stdout], [1, ""])
        assert.match(
          ended.stderr,
          /^secrets: a file of the program is missing: .*main\.cjs.*\n {2}Install the whole directory/
        )
      }
    })
  )

  it.live.runIf(isScript)("reports that this Node is too old, and the ways out", () =>
    Effect.gen(function* () {
      const home = yield* temporaryDirectory
      const pretend = path.join(home, "pretend.cjs")
      fs.writeFileSync(
        pretend,
        'Object.defineProperty(process, "versions", { value: { ...process.versions, node: "20.20.2" } })'
      )
      const ended = yield* run(["status"], { home, env: { NODE_OPTIONS: `--require ${pretend}` } })
      assert.deepStrictEqual([ended.status, ended.stdout], [1, ""])
      assert.strictEqual(
        ended.stderr,
        "secrets: Node 20.20.2 is too old: 22.19 or newer is needed\n" +
          "  Put a newer Node first on the PATH, or install the binary, which needs none\n"
      )
    })
  )
})
