/**
 * Starts and stops: the files and their modes, the reasons and messages of a refused start, and
 * the effects of signals.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as fs from "node:fs"
import * as net from "node:net"
import * as path from "node:path"
import { requestLine } from "../harness/connection.ts"
import { auditOf, connect, modeOf, rpc, startDaemon } from "../harness/daemon.ts"
import { promptly } from "../harness/prompt.ts"
import { run } from "../harness/program.ts"
import { maxSocketPath } from "../../src/domain/paths.ts"
import { temporaryDirectory } from "../support/temporary.ts"
import { hasProc } from "../support/inside.ts"
import { randomFrom } from "../support/random.ts"
import { until } from "../support/waiting.ts"
import { readyRounds } from "../torture/ready.ts"

const stateIn = (home: string) => path.join(home, ".agent-secrets")
const serve = (home: string, args: ReadonlyArray<string> = []) => run(["serve", ...args], { home })

describe("the first start", () => {
  for (const umask of ["0", "0022", "0777"]) {
    it.live(`makes directory, socket and files that only the owner can access under umask ${umask}`, () =>
      Effect.gen(function* () {
        const home = yield* temporaryDirectory
        const { directory, socket, stop } = yield* startDaemon({ home, through: `umask ${umask}; exec "$@"` })
        yield* rpc(socket, "add", { name: "db", value: "x" })
        yield* rpc(socket, "lease", { secret_name: "db", client_id: "c" })
        assert.strictEqual(modeOf(directory), "700")
        assert.strictEqual(modeOf(socket), "600")
        yield* stop()
        const files = fs.readdirSync(directory)
        for (const file of ["identity.age", "secrets.age", "leases.json", "audit.log"]) assert.include(files, file)
        for (const file of files) assert.strictEqual(modeOf(path.join(directory, file)), "600", file)
      })
    )
  }

  it.live("answers the first connection that it accepts", () =>
    Effect.gen(function* () {
      const log = (line: string) => assert.fail(line)
      const rows = yield* Effect.promise(() => readyRounds({ rounds: 2, random: randomFrom(1), log }, 50))
      assert.deepStrictEqual(
        rows.map(({ failed }) => failed),
        [0]
      )
    })
  )

  it.live("works without HOME in the environment, and prints nothing on standard output", () =>
    Effect.gen(function* () {
      const home = yield* temporaryDirectory
      const config = path.join(home, "config.json")
      const directory = path.join(home, "state")
      fs.writeFileSync(config, JSON.stringify({ directory }))
      const daemon = yield* startDaemon({ home, args: ["--config", config], through: 'exec env -i "$@"' })
      assert.strictEqual((yield* rpc(path.join(directory, "agent-secrets.sock"), "status")).result.running, true)
      assert.strictEqual(daemon.stdout(), "")
    })
  )

  it.live("reads a config.json with a byte order mark, and logs a warning for a misspelled setting", () =>
    Effect.gen(function* () {
      const home = yield* temporaryDirectory
      const config = path.join(home, "config.json")
      const directory = path.join(home, "state")
      fs.writeFileSync(config, `\uFEFF${JSON.stringify({ directory, socket_pth: "hush" })}`)
      const daemon = yield* startDaemon({ home, args: ["--config", config] })
      assert.strictEqual((yield* rpc(path.join(directory, "agent-secrets.sock"), "status")).result.running, true)
      assert.include(daemon.stderr(), "socket_pth is not a setting: did you mean socket_path?")
      assert.notInclude(daemon.stderr(), "hush")
    })
  )

  it.live("listens on the path of --socket, with the state in the usual directory", () =>
    Effect.gen(function* () {
      const home = yield* temporaryDirectory
      const socket = path.join(home, "run", "s.sock")
      yield* startDaemon({ home, args: ["--socket", socket] })
      assert.strictEqual((yield* rpc(socket, "status")).result.running, true)
      assert.strictEqual(modeOf(path.dirname(socket)), "700")
      assert.isTrue(fs.existsSync(path.join(stateIn(home), "secrets.age")))
    })
  )
})

describe("the directory of a start", () => {
  it.live("may be removed: the daemon has left it, and still knows the files that were named from there", () =>
    Effect.gen(function* () {
      const home = yield* temporaryDirectory
      const config = path.join(home, "config.json")
      const configure = (more: object) =>
        fs.writeFileSync(config, JSON.stringify({ directory: path.join(home, "state"), ...more }))
      configure({})
      const daemon = yield* startDaemon({
        home,
        args: ["--config", "../config.json", "--socket", "../s.sock"],
        through: 'mkdir "$HOME/work" && cd "$HOME/work" && exec "$@"'
      })
      if (hasProc) assert.strictEqual(fs.readlinkSync(`/proc/${daemon.pid}/cwd`), "/")
      fs.rmdirSync(path.join(home, "work"))
      configure({ socket_pth: "hush" })
      daemon.signal("SIGHUP")
      yield* until(() => daemon.stderr().includes("socket_pth is not a setting"))
      assert.strictEqual((yield* rpc(path.join(home, "s.sock"), "status")).result.running, true)
    })
  )
})

describe("a refused start", () => {
  it.live("exits with status 65 and changes nothing if the store cannot be read", () =>
    Effect.gen(function* () {
      const home = yield* temporaryDirectory
      const { directory, socket, stop } = yield* startDaemon({ home })
      yield* rpc(socket, "add", { name: "db", value: "x" })
      yield* stop()
      fs.truncateSync(path.join(directory, "secrets.age"), 100)
      const before = fs.readFileSync(path.join(directory, "secrets.age"))
      const ended = yield* serve(home)
      assert.strictEqual(ended.status, 65)
      assert.match(
        ended.stderr,
        /secrets serve: cannot read .*secrets\.age: it is damaged.* Nothing was changed\n {2}Restore a good copy/
      )
      assert.deepStrictEqual(fs.readFileSync(path.join(directory, "secrets.age")), before)
      assert.strictEqual(auditOf(directory).at(-1)?.["details"], "daemon stopped before it served")
      fs.copyFileSync(path.join(directory, "secrets.age.bak"), path.join(directory, "secrets.age"))
      yield* startDaemon({ home })
    })
  )

  it.live("exits with status 75 and reports the pid of another daemon on the directory", () =>
    Effect.gen(function* () {
      const home = yield* temporaryDirectory
      const { pid, socket } = yield* startDaemon({ home })
      for (const args of [[], ["--socket", path.join(home, "other.sock")]]) {
        const ended = yield* serve(home, args)
        assert.strictEqual(ended.status, 75)
        assert.include(ended.stderr, `another daemon, process ${pid}, is serving`)
      }
      assert.strictEqual((yield* rpc(socket, "status")).result.running, true)
    })
  )

  it.live("leaves the socket unchanged if another program answers on it", () =>
    Effect.gen(function* () {
      const home = yield* temporaryDirectory
      const socket = path.join(home, "s.sock")
      yield* Effect.acquireRelease(
        Effect.callback<net.Server>((resume) => {
          const server = net.createServer()
          server.listen(socket, () => resume(Effect.succeed(server)))
        }),
        (server) => Effect.sync(() => server.close())
      )
      const ended = yield* serve(home, ["--socket", socket])
      assert.strictEqual(ended.status, 75)
      assert.include(ended.stderr, `another daemon is listening on ${socket}`)
      assert.isTrue(fs.lstatSync(socket).isSocket())
    })
  )

  for (const [thing, make] of [
    ["a plain file", (at: string) => fs.writeFileSync(at, "precious")],
    ["a directory", (at: string) => fs.mkdirSync(at)],
    ["a symbolic link", (at: string) => fs.symlinkSync("/nonexistent", at)]
  ] as const) {
    it.live(`leaves ${thing} at the path of the socket unchanged`, () =>
      Effect.gen(function* () {
        const home = yield* temporaryDirectory
        const socket = path.join(home, "s.sock")
        make(socket)
        const before = fs.lstatSync(socket).ino
        const ended = yield* serve(home, ["--socket", socket])
        assert.strictEqual(ended.status, 73)
        assert.include(ended.stderr, `${socket} is not a socket`)
        assert.strictEqual(fs.lstatSync(socket).ino, before)
      })
    )
  }

  it.live("exits with status 78 if the path of the socket is too long for the system", () =>
    Effect.gen(function* () {
      const home = yield* temporaryDirectory
      const ended = yield* serve(home, ["--socket", path.join(home, "x".repeat(104))])
      assert.strictEqual(ended.status, 78)
      assert.include(ended.stderr, `a socket address holds at most ${maxSocketPath}`)
    })
  )

  it.live("exits with status 73 if other users can write to the directory of the socket", () =>
    Effect.gen(function* () {
      const home = yield* temporaryDirectory
      const open = path.join(home, "open")
      fs.mkdirSync(open)
      fs.chmodSync(open, 0o777)
      const ended = yield* serve(home, ["--socket", path.join(open, "s.sock")])
      assert.strictEqual(ended.status, 73)
      assert.include(ended.stderr, "is writable by other users")
    })
  )

  it.live("exits with status 73 if other users can write to the state directory", () =>
    Effect.gen(function* () {
      const home = yield* temporaryDirectory
      fs.mkdirSync(stateIn(home))
      fs.chmodSync(stateIn(home), 0o1777)
      const ended = yield* serve(home)
      assert.strictEqual(ended.status, 73)
      assert.include(ended.stderr, "is writable by other users")
      assert.strictEqual(fs.statSync(stateIn(home)).mode & 0o7777, 0o1777)
    })
  )

  it.live("exits with status 73 if the state directory is one of other files, and leaves its mode", () =>
    Effect.gen(function* () {
      const home = yield* temporaryDirectory
      fs.mkdirSync(stateIn(home))
      fs.writeFileSync(path.join(stateIn(home), "hosts"), "")
      fs.chmodSync(stateIn(home), 0o755)
      const ended = yield* serve(home)
      assert.strictEqual(ended.status, 73)
      assert.include(ended.stderr, "holds other files, and is accessible to other users")
      assert.strictEqual(fs.statSync(stateIn(home)).mode & 0o777, 0o755)
      assert.deepStrictEqual(fs.readdirSync(stateIn(home)), ["hosts"])
    })
  )

  for (const [what, text, message] of [
    ["is not JSON", "{", "the file is not JSON"],
    ["has an invalid TTL", '{"max_lease_ttl":"1d"}', "max_lease_ttl must be a positive duration"],
    ["has an invalid path", '{"socket_path":5}', "socket_path must be an absolute path"]
  ] as const) {
    it.live(`exits with status 78 if config.json ${what}`, () =>
      Effect.gen(function* () {
        const home = yield* temporaryDirectory
        const config = path.join(home, "config.json")
        fs.writeFileSync(config, text)
        const ended = yield* serve(home, ["--config", config])
        assert.strictEqual(ended.status, 78)
        assert.include(ended.stderr, message)
        assert.include(ended.stderr, config)
        assert.isFalse(fs.existsSync(stateIn(home)))
      })
    )
  }
})

describe("a daemon", () => {
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    it.live(`stops in order on ${signal}, whatever clients do`, () =>
      Effect.gen(function* () {
        const home = yield* temporaryDirectory
        const { directory, socket, stop } = yield* startDaemon({ home })
        yield* rpc(socket, "add", { name: "db", value: "x".repeat(500_000) })
        const idle = yield* connect(socket)
        const slow = (yield* connect(socket)).send('{"method":"secrets.st')
        const neverReads = yield* connect(socket)
        neverReads.socket.pause()
        const lease = `${JSON.stringify({ method: "secrets.lease", params: { secret_name: "db", client_id: "c" }, id: 1 })}\n`
        neverReads.send(lease.repeat(50))
        yield* Effect.promise(() => idle.ask("{}"))
        const ended = yield* promptly(2_000, stop(signal))
        assert.deepStrictEqual([ended.status, ended.signal], [0, null])
        assert.isUndefined(yield* Effect.promise(() => slow.line()))
        assert.isFalse(fs.existsSync(socket))
        assert.isFalse(fs.existsSync(path.join(directory, "daemon.json")))
        assert.strictEqual(auditOf(directory).at(-1)?.["action"], "daemon_stop")
        assert.include(ended.stderr, `agent-secrets stops (${signal})`)
      })
    )
  }

  it.live("answers the request in progress before it stops", () =>
    Effect.gen(function* () {
      const home = yield* temporaryDirectory
      const daemon = yield* startDaemon({ home })
      const connections = yield* Effect.all(Array.from({ length: 20 }, () => connect(daemon.socket)))
      yield* rpc(daemon.socket, "add", { name: "db", value: "x" })
      connections.forEach((connection, n) =>
        connection.send(
          `${JSON.stringify({ method: "secrets.lease", params: { secret_name: "db", client_id: `${n}` }, id: n })}\n`
        )
      )
      const first = yield* Effect.promise(() => connections[0]?.line() ?? Promise.resolve(undefined))
      assert.include(first, '"value":"x"')
      yield* daemon.stop()
      const others = yield* Effect.promise(() =>
        Promise.all(connections.slice(1).map((connection) => connection.line()))
      )
      const answered = 1 + others.filter((line) => line?.includes('"value":"x"')).length
      const recorded = auditOf(daemon.directory).filter(({ action }) => action === "lease_acquire").length
      assert.strictEqual(answered, recorded)
      assert.lengthOf(JSON.parse(fs.readFileSync(path.join(daemon.directory, "leases.json"), "utf8")), answered)
    })
  )

  it.live("closes idle connections at once when it stops, whoever does not read", () =>
    Effect.gen(function* () {
      const { socket, stop } = yield* startDaemon({ home: yield* temporaryDirectory })
      yield* rpc(socket, "add", { name: "large", value: "x".repeat(1024 * 1024) })
      const status = requestLine("status", {})
      const before = yield* connect(socket)
      yield* Effect.promise(() => before.ask(status))
      const neverReads = yield* connect(socket)
      neverReads.socket.pause()
      neverReads.send(`${requestLine("lease", { secret_name: "large", client_id: "c" })}\n`)
      const after = yield* connect(socket)
      yield* Effect.promise(() => after.ask(status))
      const stopped = yield* Effect.forkChild(stop(), { startImmediately: true })
      assert.isUndefined(yield* Effect.promise(() => after.line()))
      assert.isUndefined(yield* Effect.promise(() => before.ask(status)))
      assert.strictEqual((yield* Fiber.join(stopped)).status, 0)
    })
  )

  it.live("does not stop when the reader of its output goes away", () =>
    Effect.gen(function* () {
      const home = yield* temporaryDirectory
      const first = yield* startDaemon({ home })
      first.closeOutput()
      assert.strictEqual((yield* rpc(first.socket, "status")).result.running, true)
      assert.strictEqual((yield* first.stop()).status, 0)
      assert.strictEqual(auditOf(first.directory).at(-1)?.["action"], "daemon_stop")
    })
  )

  it.live("does not stop on any ignored signal, and none opens a debugger", () =>
    Effect.gen(function* () {
      const home = yield* temporaryDirectory
      const daemon = yield* startDaemon({ home })
      const signals = ["SIGHUP", "SIGUSR1", "SIGUSR2", "SIGPIPE", "SIGQUIT", "SIGALRM", "SIGVTALRM", "SIGPROF"] as const
      for (const signal of [...signals, "SIGXCPU", "SIGIO", "SIGTSTP", "SIGTTIN", "SIGTTOU"] as const) {
        daemon.signal(signal)
        assert.strictEqual((yield* rpc(daemon.socket, "status")).result.running, true, signal)
      }
      assert.strictEqual((yield* rpc(daemon.socket, "status")).result.running, true)
      assert.notInclude(daemon.stderr(), "Debugger listening")
      assert.strictEqual((yield* daemon.stop()).status, 0)
    })
  )

  it.live("leaves a socket after kill -9 that the next start replaces at once and reports", () =>
    Effect.gen(function* () {
      const home = yield* temporaryDirectory
      const first = yield* startDaemon({ home })
      yield* first.stop("SIGKILL")
      assert.isTrue(fs.lstatSync(first.socket).isSocket())
      const second = yield* startDaemon({ home })
      assert.strictEqual((yield* rpc(second.socket, "status")).result.running, true)
      const recovered = auditOf(second.directory).filter(({ action }) => action === "daemon_crash_recovered")
      assert.lengthOf(recovered, 1)
      assert.include(recovered[0]?.["details"], `process ${first.pid}`)
      yield* second.stop()
      const third = yield* startDaemon({ home })
      assert.lengthOf(
        auditOf(third.directory).filter(({ action }) => action === "daemon_crash_recovered"),
        1
      )
    })
  )

  it.live("reports the kill -9 of the last daemon, whatever was started in between", () =>
    Effect.gen(function* () {
      const home = yield* temporaryDirectory
      const first = yield* startDaemon({ home })
      yield* first.stop("SIGKILL")
      const store = path.join(first.directory, "secrets.age")
      fs.renameSync(store, `${store}.away`)
      assert.strictEqual((yield* serve(home)).status, 65)
      fs.renameSync(`${store}.away`, store)
      assert.strictEqual((yield* run(["init"], { home })).status, 0)
      const second = yield* startDaemon({ home })
      const recovered = auditOf(second.directory).filter(({ action }) => action === "daemon_crash_recovered")
      assert.lengthOf(recovered, 1)
      assert.include(recovered[0]?.["details"], `process ${first.pid}`)
    })
  )

  it.live("does not remove a socket that replaced its own", () =>
    Effect.gen(function* () {
      const home = yield* temporaryDirectory
      const daemon = yield* startDaemon({ home })
      fs.rmSync(daemon.socket)
      fs.writeFileSync(daemon.socket, "somebody else's")
      assert.strictEqual((yield* daemon.stop()).status, 0)
      assert.strictEqual(fs.readFileSync(daemon.socket, "utf8"), "somebody else's")
    })
  )
})
