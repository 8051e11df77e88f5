/**
 * The state directory is moved away, comes back, is replaced, or cannot be written. No value is
 * sent without a record, no file of another store is overwritten, and service returns by itself.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import * as fs from "node:fs"
import * as path from "node:path"
import { auditOf, connect, readyMarker, rpc, type RunningDaemon, startDaemon } from "../harness/daemon.ts"
import { installProgram, isScript } from "../harness/program.ts"
import { temporaryDirectory } from "../support/temporary.ts"

/** Sends requests on one connection; undefined is its end. */
const asking = Effect.fnUntraced(function* (socket: string) {
  const connection = yield* connect(socket)
  return (method: string, params: object = {}): Effect.Effect<any> =>
    Effect.map(
      Effect.promise(() => connection.ask(JSON.stringify({ method: `secrets.${method}`, params, id: 1 }))),
      (line) => (line === undefined ? undefined : JSON.parse(line))
    )
})

/** A daemon with a secret, and a connection to it. */
const serving = Effect.fnUntraced(function* (name = "ours") {
  const home = yield* temporaryDirectory
  const daemon = yield* startDaemon({ home })
  yield* rpc(daemon.socket, "add", { name, value: `value of ${name}` })
  return { ...daemon, ask: yield* asking(daemon.socket) }
})

const lease = (name = "ours") => ({ secret_name: name, client_id: "c" })
const polling = { schedule: Schedule.spaced("20 millis") }

const logs = (daemon: RunningDaemon, text: string) =>
  Effect.repeat(
    Effect.sync(() => daemon.stderr().includes(text)),
    { until: (isLogged) => isLogged, ...polling }
  )

/** Waits until the daemon has restarted in place and serves. */
const servesAgain = (daemon: RunningDaemon, times = 2) =>
  Effect.repeat(
    Effect.sync(() => daemon.stderr().split(readyMarker).length > times),
    { until: (serves) => serves, ...polling }
  )

/** Returns the contents of files in hex. */
const contents = (directory: string, ...files: ReadonlyArray<string>) =>
  Object.fromEntries(files.map((file) => [file, fs.readFileSync(path.join(directory, file), "hex")]))

const storeFiles = ["identity.age", "secrets.age"] as const

describe.concurrent("a state directory", () => {
  it.live("stops every lease and change while it is moved away", () =>
    Effect.gen(function* () {
      const daemon = yield* serving()
      yield* daemon.ask("lease", lease())
      fs.renameSync(daemon.directory, `${daemon.directory}.away`)
      for (const request of [daemon.ask("lease", lease()), daemon.ask("add", { name: "more", value: "x" })]) {
        const { error } = yield* request
        assert.match(error.message, /the directory is missing/)
      }
      yield* logs(daemon, `${daemon.directory} is missing`)
      assert.strictEqual((yield* daemon.ask("status")).result.active_leases, 1)
      assert.isFalse(fs.existsSync(daemon.directory))
      fs.renameSync(`${daemon.directory}.away`, daemon.directory)
      const again = yield* daemon.ask("lease", lease())
      assert.strictEqual(again.result.value, "value of ours")
      yield* logs(daemon, "the directory is back")
      assert.strictEqual((yield* rpc(daemon.socket, "status")).result.active_leases, 1)
      const recorded = auditOf(daemon.directory).filter(({ lease_id }) => lease_id === again.result.lease_id)
      assert.lengthOf(recorded, 1)
      assert.lengthOf(daemon.stderr().split(readyMarker), 2)
    })
  )

  it.live("is read if another store replaces it, and none of its files is overwritten", () =>
    Effect.gen(function* () {
      const theirs = yield* serving("theirs")
      yield* theirs.ask("lease", lease("theirs"))
      yield* theirs.stop()
      const before = contents(theirs.directory, ...storeFiles, "leases.json")
      const log = fs.readFileSync(path.join(theirs.directory, "audit.log"), "utf8")
      const daemon = yield* serving()
      yield* daemon.ask("lease", lease())
      fs.renameSync(daemon.directory, `${daemon.directory}.away`)
      fs.renameSync(theirs.directory, daemon.directory)
      for (const request of [daemon.ask("lease", lease()), daemon.ask("add", { name: "more", value: "x" })]) {
        const { error } = yield* request
        assert.match(error.message, /another directory has replaced it/)
      }
      yield* servesAgain(daemon)
      assert.isUndefined(yield* daemon.ask("status"))
      const after = contents(daemon.directory, ...storeFiles, "leases.json")
      assert.deepStrictEqual(after, before)
      const added = fs.readFileSync(path.join(daemon.directory, "audit.log"), "utf8").slice(log.length)
      assert.deepStrictEqual(
        added.split("\n").map((line) => (line === "" ? "" : JSON.parse(line).action)),
        ["daemon_start", ""]
      )
      assert.strictEqual((yield* rpc(daemon.socket, "lease", lease("theirs"))).result.value, "value of theirs")
      assert.strictEqual((yield* rpc(daemon.socket, "lease", lease())).error.code, -32000)
      assert.strictEqual((yield* rpc(daemon.socket, "status")).result.active_leases, 1)
      assert.strictEqual((yield* daemon.stop()).status, 0)
    })
  )

  it.live("gets the secrets back from memory, with the same key, after it was recreated", () =>
    Effect.gen(function* () {
      const daemon = yield* serving()
      const key = contents(daemon.directory, "identity.age")
      fs.rmSync(daemon.directory, { recursive: true })
      yield* logs(daemon, `${daemon.directory} is missing`)
      fs.mkdirSync(daemon.directory, { mode: 0o700 })
      yield* servesAgain(daemon)
      assert.strictEqual((yield* rpc(daemon.socket, "lease", lease())).result.value, "value of ours")
      assert.deepStrictEqual(contents(daemon.directory, "identity.age"), key)
      const mended = auditOf(daemon.directory).filter(({ action }) => action === "file_mended")
      assert.match(mended[0]?.["details"], /restored 1 secret to .* from memory, with the same key/)
      yield* daemon.stop("SIGKILL")
      const next = yield* startDaemon({ home: daemon.home })
      assert.strictEqual((yield* rpc(next.socket, "lease", lease())).result.value, "value of ours")
    })
  )

  it.live("is retried until its store can be read, and the secrets are kept meanwhile", () =>
    Effect.gen(function* () {
      const daemon = yield* serving()
      fs.renameSync(daemon.directory, `${daemon.directory}.away`)
      fs.mkdirSync(daemon.directory, { mode: 0o700 })
      fs.writeFileSync(path.join(daemon.directory, "identity.age"), "half of a copy", { mode: 0o600 })
      yield* logs(daemon, "cannot restart yet")
      assert.deepStrictEqual(fs.readFileSync(path.join(daemon.directory, "identity.age"), "utf8"), "half of a copy")
      fs.rmSync(path.join(daemon.directory, "identity.age"))
      yield* servesAgain(daemon)
      assert.strictEqual((yield* rpc(daemon.socket, "lease", lease())).result.value, "value of ours")
    })
  )

  it.live("stops the daemon with status 75 and the other's pid if another daemon serves it", () =>
    Effect.gen(function* () {
      const other = yield* serving("theirs")
      const daemon = yield* serving()
      fs.renameSync(daemon.directory, `${daemon.directory}.away`)
      fs.renameSync(other.directory, daemon.directory)
      const ended = yield* daemon.ended
      assert.strictEqual(ended.status, 75)
      assert.match(ended.stderr, new RegExp(`another daemon, process ${other.pid}, is serving ${daemon.directory}`))
    })
  )

  it.live("is locked again at once after its lock file is removed, with the same secrets and leases", () =>
    Effect.gen(function* () {
      const daemon = yield* serving()
      yield* daemon.ask("lease", lease())
      fs.rmSync(path.join(daemon.directory, "daemon.lock"))
      yield* servesAgain(daemon)
      assert.isTrue(fs.existsSync(path.join(daemon.directory, "daemon.lock")))
      assert.strictEqual((yield* rpc(daemon.socket, "status")).result.active_leases, 1)
      assert.strictEqual((yield* rpc(daemon.socket, "lease", lease())).result.value, "value of ours")
      assert.lengthOf(
        auditOf(daemon.directory).filter(({ action }) => action === "daemon_crash_recovered"),
        0
      )
    })
  )

  // Root ignores permissions, so the daemon runs as another user, which Node can do for a script.
  const isRoot = process.getuid?.() === 0
  it.live.runIf(isScript || !isRoot)(
    "grants leases but refuses changes without write permission, and accepts changes afterwards",
    () =>
      Effect.gen(function* () {
        const home = yield* temporaryDirectory
        if (isRoot) fs.chownSync(home, nobody, nobody)
        const asUser = path.resolve(import.meta.dirname, "../support/runAsUser.mjs")
        const installed = installProgram(path.join(home, ".local"))
        const through = `node=$1; shift 2; exec "$node" '${asUser}' ${nobody} '${installed}' "$@"`
        const daemon = yield* startDaemon({ home, ...(isRoot ? { through } : {}) })
        yield* rpc(daemon.socket, "add", { name: "ours", value: "value of ours" })
        fs.chmodSync(daemon.directory, 0o500)
        const { error } = yield* rpc(daemon.socket, "add", { name: "more", value: "x" })
        assert.match(error.message, /failed to write secrets file: cannot write .*secrets\.age: .*permission denied/)
        assert.strictEqual((yield* rpc(daemon.socket, "lease", lease())).result.value, "value of ours")
        fs.chmodSync(daemon.directory, 0o700)
        assert.strictEqual((yield* rpc(daemon.socket, "add", { name: "more", value: "x" })).result.success, true)
        const actions = auditOf(daemon.directory).map(({ action, success }) => `${action} ${success}`)
        assert.includeMembers(actions, ["secret_add false", "lease_acquire true", "secret_add true"])
      })
  )
})

/** The uid of the user nobody on most systems; any unprivileged uid works. */
const nobody = 65_534
