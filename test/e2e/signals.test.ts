/**
 * Signals to a daemon that starts, works and stops; and output streams without a reader.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { debuggerPort, fileBehind, hasProc, isOpen, listeningPorts } from "../support/inside.ts"
import { auditOf, becomesReady, rpc, startDaemon } from "../harness/daemon.ts"
import { run, start, survivedHere } from "../harness/program.ts"
import { promptly } from "../harness/prompt.ts"
import { temporaryDirectory } from "../support/temporary.ts"
import { eventually, until } from "../support/waiting.ts"
import { randomFrom } from "../support/random.ts"
import { scenario } from "../torture/signals.ts"

/** Whether the process listens on no TCP port; without /proc, not on the port of the debugger. */
const isShut = (pid: number) =>
  Effect.promise(async () => (hasProc ? listeningPorts(pid).length === 0 : !(await isOpen(debuggerPort))))

describe("a running daemon", () => {
  it.live("answers after every ignored signal, each sent three times, and opens no debugger", () =>
    Effect.gen(function* () {
      const home = yield* temporaryDirectory
      const daemon = yield* startDaemon({ home })
      for (const signal of [...survivedHere, "SIGCHLD", "SIGCONT", "SIGURG", "SIGWINCH", "SIGXFSZ"] as const) {
        for (let n = 0; n < 3; n += 1) daemon.signal(signal)
        assert.strictEqual((yield* rpc(daemon.socket, "status")).result.running, true, signal)
      }
      assert.isTrue(yield* isShut(daemon.pid))
      assert.notInclude(daemon.stderr(), "Debugger listening")
      assert.strictEqual((yield* daemon.stop()).status, 0)
    })
  )

  for (const signal of ["SIGSEGV", "SIGILL"] as const) {
    it.live(`ends on ${signal} as on kill -9, and the next one takes over at once`, () =>
      Effect.gen(function* () {
        const home = yield* temporaryDirectory
        const first = yield* startDaemon({ home, through: 'ulimit -c 0; exec "$@"' })
        assert.strictEqual((yield* first.stop(signal)).signal, signal)
        const second = yield* startDaemon({ home })
        assert.strictEqual((yield* rpc(second.socket, "status")).result.running, true)
      })
    )
  }

  it.live("loses nothing under random signals, in a few rounds of start and stop", () =>
    Effect.promise(async () => {
      const rows = await scenario.run({ rounds: 2, random: randomFrom(11), log: () => undefined })
      for (const { failed, what } of rows) assert.strictEqual(failed, 0, what)
      assert.isAbove(rows.find(({ what }) => what === "answered lease")?.tried ?? 0, 0)
    })
  )
})

describe("a starting daemon", () => {
  for (const delay of [20, 30, 40]) {
    it.live(`has no open debugger once it serves, although SIGUSR1 came after ${delay} ms`, () =>
      Effect.gen(function* () {
        const home = yield* temporaryDirectory
        const started = start(["serve"], { home })
        const { child, ended } = started
        yield* Effect.addFinalizer(() => Effect.promise(() => (child.kill("SIGKILL"), ended)))
        yield* Effect.sleep(delay)
        child.kill("SIGUSR1")
        // Before Node handles signals, the operating system ends the process.
        if (!(yield* Effect.promise(() => becomesReady(started)))) return
        assert.isTrue(yield* isShut(child.pid ?? 0))
      })
    )
  }
})

describe("a stopping daemon", () => {
  for (const first of ["SIGTERM", "SIGINT"] as const) {
    it.live(`stops in order when ten more signals follow ${first}`, () =>
      Effect.gen(function* () {
        const home = yield* temporaryDirectory
        const daemon = yield* startDaemon({ home })
        yield* rpc(daemon.socket, "add", { name: "db", value: "x" })
        yield* rpc(daemon.socket, "lease", { secret_name: "db", client_id: "c" })
        daemon.signal(first)
        // Of two signals that arrive together, the system delivers either one first.
        yield* until(() => daemon.stderr().includes(`agent-secrets stops (${first})`))
        for (let n = 0; n < 10; n += 1) {
          yield* Effect.sleep("1 millis")
          daemon.signal(n % 2 === 0 ? "SIGTERM" : "SIGINT")
        }
        const ended = yield* promptly(2_000, daemon.ended)
        assert.deepStrictEqual([ended.status, ended.signal], [0, null])
        assert.include(ended.stderr, `agent-secrets stops (${first})`)
        assert.strictEqual(auditOf(daemon.directory).at(-1)?.["action"], "daemon_stop")
        const leases = JSON.parse(fs.readFileSync(path.join(daemon.directory, "leases.json"), "utf8"))
        assert.lengthOf(leases, 1)
        assert.isFalse(fs.existsSync(path.join(daemon.directory, "daemon.json")))
      })
    )
  }
})

describe("a daemon without streams", () => {
  it.live("serves, and never writes its log into another file that got the descriptor", () =>
    Effect.gen(function* () {
      const home = yield* temporaryDirectory
      const { child, ended } = start(["serve"], { home, through: 'exec "$@" <&- >&- 2>&-' })
      yield* Effect.addFinalizer(() => Effect.promise(() => (child.kill("SIGKILL"), ended)))
      yield* eventually(run(["status"], { home }), ({ status }) => status === 0)
      const directory = path.join(home, ".agent-secrets")
      yield* rpc(path.join(directory, "agent-secrets.sock"), "add", { name: "db", value: "x" })
      child.kill("SIGHUP")
      if (hasProc) {
        for (const fd of [0, 1, 2]) assert.strictEqual(fileBehind(child.pid ?? 0, fd), "/dev/null")
      }
      child.kill("SIGTERM")
      assert.strictEqual((yield* Effect.promise(() => ended)).status, 0)
      for (const file of fs.readdirSync(directory)) {
        assert.notInclude(fs.readFileSync(path.join(directory, file), "latin1"), "level=", file)
      }
    })
  )

  it.live("keeps running when both readers have gone and it logs a lot", () =>
    Effect.gen(function* () {
      const home = yield* temporaryDirectory
      const daemon = yield* startDaemon({ home })
      daemon.closeOutput()
      const log = path.join(daemon.directory, "audit.log")
      yield* rpc(daemon.socket, "add", { name: "db", value: "x" })
      // Each of these logs to standard error.
      for (let n = 0; n < 5; n += 1) {
        fs.renameSync(log, `${log}.${n}`)
        daemon.signal("SIGPIPE")
        assert.isDefined((yield* rpc(daemon.socket, "lease", { secret_name: "db", client_id: `${n}` })).result)
      }
      assert.strictEqual((yield* daemon.stop()).status, 0)
    })
  )
})
