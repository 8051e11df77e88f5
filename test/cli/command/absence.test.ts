/**
 * What a command finds out about a daemon that does not listen, from the files of its directory.
 */
import { assert, describe, it, vi } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { explainAbsence, returnsSoon } from "../../../src/cli/command/absence.ts"
import { explainAbsent } from "../../../src/cli/command/failedProblem.ts"
import { clientProblem, connectProblem } from "../../../src/cli/command/problems.ts"
import { holdLock } from "../../../src/daemon/files/fileLock.ts"
import { serviceFile } from "../../../src/service/serviceDirectory.ts"
import { stamp } from "../../../src/service/ServiceFile.ts"
import { temporaryDirectory } from "../../support/temporary.ts"

const makeState = Effect.map(temporaryDirectory, (directory) => {
  const [socketPath, config] = [path.join(directory, "s.sock"), path.join(directory, "config.json")]
  fs.writeFileSync(config, JSON.stringify({ directory, socket_path: socketPath }))
  const asking = (options: Record<string, string> = { config }) => ({ option: (flag: string) => options[flag] })
  return {
    directory,
    socketPath,
    asking,
    record: (last: object) =>
      fs.writeFileSync(path.join(directory, "runs.json"), JSON.stringify({ last, unclean_starts: [] })),
    age: (seconds: number) => {
      const then = Date.now() / 1000 - seconds
      for (const name of fs.readdirSync(directory)) fs.utimesSync(path.join(directory, name), then, then)
    },
    isExpected: (options?: Record<string, string>) => Effect.promise(() => returnsSoon(asking(options), socketPath)),
    explain: (code: string, describeRun = false) =>
      Effect.promise(() =>
        explainAbsence(asking(), { code, socketPath }, connectProblem({ code, socketPath }), describeRun)
      )
  }
})

const run = { pid: 7, started_at: "2026-01-02T03:04:05Z" }

describe("a daemon that does not listen", () => {
  it.live("is not expected where none ever ran, nor where the last one ended long ago", () =>
    Effect.gen(function* () {
      const { age, isExpected, record } = yield* makeState
      assert.isFalse(yield* isExpected())
      record({ ...run, ended_at: "2026-01-02T03:05:00Z", ended_because: "SIGTERM" })
      assert.isFalse(yield* isExpected())
      record(run)
      age(3600)
      assert.isFalse(yield* isExpected())
    })
  )

  it.live("is expected after a recent end, in order or not, and under a supervisor", () =>
    Effect.gen(function* () {
      const { age, isExpected, record } = yield* makeState
      record({ ...run, ended_at: new Date().toISOString(), ended_because: "SIGTERM" })
      age(3600)
      assert.isTrue(yield* isExpected())
      record(run)
      assert.isTrue(yield* isExpected())
      record({ ...run, supervised: true })
      age(3600)
      assert.isTrue(yield* isExpected())
    })
  )

  it.live("is expected and named while a process holds the lock of its directory", () =>
    Effect.gen(function* () {
      const { directory, explain, isExpected, socketPath } = yield* makeState
      yield* Effect.scoped(
        Effect.gen(function* () {
          yield* holdLock(path.join(directory, "daemon.lock"))
          assert.isTrue(yield* isExpected())
          assert.isTrue(yield* isExpected({ socket: socketPath, config: "/nonexistent" }))
          const who = process.platform === "linux" ? `process ${process.pid}` : "a daemon"
          const [gone, replaced] = [yield* explain("ENOENT"), yield* explain("ECONNREFUSED", true)]
          assert.strictEqual(gone.message, `${who} runs, but its socket is gone`)
          assert.strictEqual(replaced.message, `${who} runs, but its socket is replaced`)
          assert.strictEqual(replaced.fix, `Wait a few seconds; if that does not help, remove ${socketPath}`)
          assert.deepStrictEqual([gone.exitStatus, gone.code], [3, "daemon_unavailable"])
          // Another socket beside that of this daemon.
          fs.writeFileSync(path.join(directory, "daemon.json"), JSON.stringify({ pid: 7, socket: "/other" }))
          assert.isFalse(yield* isExpected({ socket: socketPath, config: "/nonexistent" }))
        })
      )
      assert.strictEqual((yield* explain("ENOENT")).message, "the daemon is not running")
    })
  )

  it.live("or does not reply is to be ended, where a command reports on it", () =>
    Effect.gen(function* () {
      const { asking, directory } = yield* makeState
      const problem = clientProblem({ _tag: "RequestTimedOut", seconds: 2 })
      const fixOf = (describe: boolean) =>
        Effect.promise(async () => (await explainAbsent(asking(), problem, describe)).fix)
      assert.strictEqual(yield* fixOf(true), problem.fix)
      yield* holdLock(path.join(directory, "daemon.lock"))
      assert.strictEqual(yield* fixOf(false), problem.fix)
      assert.match(yield* fixOf(true), /secrets and leases survive: kill -9 .*\. Start it with: secrets serve/)
    })
  )

  it.live("is described by its last run where a command reports on it", () =>
    Effect.gen(function* () {
      const { explain, record } = yield* makeState
      record({ ...run, ended_at: "2026-01-02T03:05:00Z", ended_because: "SIGTERM" })
      assert.match(String((yield* explain("ENOENT", true)).why), /^cannot connect .*; not running since .*: SIGTERM$/)
      assert.notInclude(String((yield* explain("ENOENT")).why), "not running since")
    })
  )

  it.live("is started through its service if one is installed for the same settings", () =>
    Effect.gen(function* () {
      const { directory, explain } = yield* makeState
      const config = path.join(directory, "config.json")
      const home = path.join(directory, "home")
      vi.stubEnv("HOME", home)
      vi.stubEnv("XDG_CONFIG_HOME", "")
      assert.strictEqual((yield* explain("ENOENT")).fix, `Start it with: secrets serve --config ${config}`)
      const file = serviceFile("user", home)
      fs.mkdirSync(path.dirname(file), { recursive: true })
      const install = (config: string | undefined) => fs.writeFileSync(file, stamp("text\n", { program: "/p", config }))
      install(path.join(directory, "config.json"))
      assert.strictEqual((yield* explain("ENOENT")).fix, "Start it with: secrets daemon start")
      install(undefined)
      assert.strictEqual((yield* explain("ENOENT")).fix, `Start it with: secrets serve --config ${config}`)
    }).pipe(Effect.ensuring(Effect.sync(() => vi.unstubAllEnvs())))
  )

  it.live("is started with the socket that was named, or by the account whose directory it is in", () =>
    Effect.gen(function* () {
      const hintFor = (socket: string) => {
        const problem = connectProblem({ code: "ENOENT", socketPath: socket })
        const args = { option: (flag: string) => (flag === "socket" ? socket : undefined) }
        return Effect.promise(() => explainAbsence(args, { code: "ENOENT", socketPath: socket }, problem))
      }
      const directory = yield* temporaryDirectory
      const socket = path.join(directory, "a b.sock")
      assert.strictEqual((yield* hintFor(socket)).fix, `Start it with: secrets serve --socket '${socket}'`)
      const owner = fs.statSync(directory).uid
      if (owner === 0) fs.chownSync(directory, 61_234, 61_234)
      yield* Effect.acquireRelease(
        Effect.sync(() => vi.spyOn(process, "geteuid").mockReturnValue(owner + 61_235)),
        (spy) => Effect.sync(() => spy.mockRestore())
      )
      assert.strictEqual((yield* hintFor(socket)).fix, `Ask the account that owns ${directory} to start it`)
    })
  )
})
