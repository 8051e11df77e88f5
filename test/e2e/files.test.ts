/**
 * State files in both directions: the predecessor reads ours, we read the predecessor's; and
 * their contents after a crash and on a full disk.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { auditOf, connect, rpc, type RunningDaemon, startDaemon } from "../harness/daemon.ts"
import { readStore } from "../support/readStore.ts"
import { predecessorStart, predecessorStop } from "../support/predecessor.ts"
import { run } from "../harness/program.ts"
import { temporaryDirectory } from "../support/temporary.ts"

/** A home directory with a copy of a state directory of the predecessor, its times moved to the present. */
const homeOfGo = Effect.fnUntraced(function* (fixture: string) {
  const home = yield* temporaryDirectory
  const directory = path.join(home, ".agent-secrets")
  fs.cpSync(path.resolve(import.meta.dirname, "../fixtures", fixture), directory, { recursive: true })
  for (const file of fs.readdirSync(directory)) fs.chmodSync(path.join(directory, file), 0o600)
  const leases = path.join(directory, "leases.json")
  const tomorrow = new Date(Date.now() + 86_400_000).toISOString().replace(/\.\d+Z/, ".123456789Z")
  fs.writeFileSync(leases, fs.readFileSync(leases, "utf8").replaceAll(/("expires_at": )"[^"]*"/g, `$1"${tomorrow}"`))
  return { home, directory, leases }
})

const leasesIn = (directory: string): ReadonlyArray<any> =>
  JSON.parse(fs.readFileSync(path.join(directory, "leases.json"), "utf8")) ?? []

describe("a directory of the predecessor", () => {
  it.live("is served with every secret and every lease", () =>
    Effect.gen(function* () {
      const { directory, home } = yield* homeOfGo("go-running")
      const before = leasesIn(directory).filter(({ revoked }) => !revoked)
      const { secrets } = JSON.parse(yield* readStore(directory))
      const { socket, stop } = yield* startDaemon({ home })
      const { result } = yield* rpc(socket, "status")
      assert.deepStrictEqual(
        [result.secrets_count, result.active_leases, result.store_state],
        [Object.keys(secrets).length, before.length, "loaded"]
      )
      for (const [name, { value }] of Object.entries<any>(secrets)) {
        const leased = yield* rpc(socket, "lease", { secret_name: name, client_id: "reader" })
        assert.strictEqual(leased.result.value, value, name)
      }
      yield* stop()
      const kept = leasesIn(directory).filter(({ client_id }) => client_id !== "reader")
      assert.deepStrictEqual(kept, before)
    })
  )

  it.live("keeps its store identical after a secret is added and deleted", () =>
    Effect.gen(function* () {
      const { directory, home } = yield* homeOfGo("go-running")
      const before = yield* readStore(directory)
      const { socket, stop } = yield* startDaemon({ home })
      yield* rpc(socket, "add", { name: "ours", value: "x" })
      assert.notStrictEqual(yield* readStore(directory), before)
      yield* rpc(socket, "delete", { name: "ours" })
      yield* stop()
      assert.strictEqual(yield* readStore(directory), before)
    })
  )

  it.live("loses duplicate leases at the next acquire of each pair", () =>
    Effect.gen(function* () {
      const { directory, home } = yield* homeOfGo("go-running")
      const pairs = new Map<string, Array<any>>()
      for (const lease of leasesIn(directory)) {
        const pair = JSON.stringify([lease.secret_name, lease.client_id])
        pairs.set(pair, [...(pairs.get(pair) ?? []), lease])
      }
      const stack = [...pairs.values()].find(({ length }) => length === 5) ?? []
      assert.lengthOf(stack, 5)
      const { secret_name, client_id } = stack[0]
      const { socket, stop } = yield* startDaemon({ home })
      const { lease_id } = (yield* rpc(socket, "lease", { secret_name, client_id })).result
      yield* stop()
      const replaced = auditOf(directory).filter(({ action }) => action === "lease_replace")
      assert.sameMembers(
        replaced.map((entry) => entry["lease_id"]),
        stack.map(({ id }) => id)
      )
      for (const entry of replaced) assert.strictEqual(entry["details"], `replaced by ${lease_id}, TTL: 1h0m0s`)
      const left = leasesIn(directory).filter(
        (lease) => lease.secret_name === secret_name && lease.client_id === client_id
      )
      assert.deepStrictEqual(
        left.map(({ id }) => id),
        [lease_id]
      )
    })
  )

  it.live("keeps its audit log, which continues after its last line", () =>
    Effect.gen(function* () {
      const { directory, home } = yield* homeOfGo("go-empty")
      const before = fs.readFileSync(path.join(directory, "audit.log"), "utf8")
      const { stop } = yield* startDaemon({ home })
      yield* stop()
      assert.isTrue(fs.readFileSync(path.join(directory, "audit.log"), "utf8").startsWith(before))
      assert.strictEqual(fs.readFileSync(path.join(directory, "leases.json"), "utf8"), "null")
    })
  )

  it.live("overrides our older log entries if the predecessor wrote last", () =>
    Effect.gen(function* () {
      const home = yield* temporaryDirectory
      const first = yield* startDaemon({ home })
      yield* rpc(first.socket, "add", { name: "db", value: "x" })
      yield* rpc(first.socket, "lease", { secret_name: "db", client_id: "c" })
      yield* first.stop()
      fs.writeFileSync(path.join(first.directory, "leases.json"), "null")
      fs.appendFileSync(path.join(first.directory, "audit.log"), predecessorStart + predecessorStop)
      const second = yield* startDaemon({ home })
      assert.strictEqual((yield* rpc(second.socket, "status")).result.active_leases, 0)
    })
  )
})

describe("our files", () => {
  it.live("have the format of the predecessor", () =>
    Effect.gen(function* () {
      const home = yield* temporaryDirectory
      const { directory, socket, stop } = yield* startDaemon({ home })
      yield* rpc(socket, "add", { name: "db", value: "a & b" })
      yield* rpc(socket, "lease", { secret_name: "db", client_id: "<c>" })
      yield* stop()
      assert.match(fs.readFileSync(path.join(directory, "identity.age"), "utf8"), /^AGE-SECRET-KEY-1[0-9A-Z]{58}$/)
      assert.match(
        fs.readFileSync(path.join(directory, "secrets.age"), "latin1"),
        /^age-encryption\.org\/v1\n-> X25519 [A-Za-z0-9+/]{43}\n[A-Za-z0-9+/]{43}\n--- [A-Za-z0-9+/]{43}\n/
      )
      assert.match(
        fs.readFileSync(path.join(directory, "leases.json"), "utf8"),
        /^\[\n {2}\{\n {4}"id": "[0-9a-f-]{36}",\n {4}"secret_name": "db",\n {4}"client_id": "\\u003cc\\u003e",\n {4}"created_at": "[^"]+",\n {4}"expires_at": "[^"]+",\n {4}"revoked": false\n {2}\}\n\]$/
      )
      const acquired = auditOf(directory).find(({ action }) => action === "lease_acquire") ?? {}
      assert.deepStrictEqual(Object.keys(acquired), [
        "timestamp",
        "action",
        "secret_name",
        "client_id",
        "lease_id",
        "details",
        "success",
        "expires_at",
        "seq",
        "prev"
      ])
    })
  )
})

describe("a store that is restored while the daemon runs", () => {
  it.live("is not overwritten, is reported with what to do, and is taken by a restart", () =>
    Effect.gen(function* () {
      const home = yield* temporaryDirectory
      const first = yield* startDaemon({ home })
      const store = path.join(first.directory, "secrets.age")
      yield* rpc(first.socket, "add", { name: "older", value: "made up" })
      const backup = fs.readFileSync(store)
      yield* rpc(first.socket, "add", { name: "newer", value: "made up" })
      fs.writeFileSync(store, backup)
      const refused = yield* run(["add", "third"], { home, stdin: "made up" })
      assert.strictEqual(refused.status, 5, refused.stderr)
      assert.include(refused.stderr, `nothing was changed, because ${store} is no longer the file of this daemon`)
      assert.deepStrictEqual(fs.readFileSync(store), backup)
      const advice = "Move it away, and the daemon will write its own version again; or restart the daemon"
      assert.include((yield* run(["status"], { home })).stdout, advice)
      assert.include((yield* run(["health"], { home })).stdout, "The store rejects changes")
      assert.include(first.stderr(), advice)
      assert.isDefined((yield* rpc(first.socket, "lease", { secret_name: "newer", client_id: "c" })).result)
      yield* first.stop()
      const second = yield* startDaemon({ home })
      const { result } = yield* rpc(second.socket, "list")
      assert.deepStrictEqual(
        result.secrets.map(({ name }: { readonly name: string }) => name),
        ["older"]
      )
    })
  )
})

describe("kill -9 under load", () => {
  it.live("loses nothing that was acknowledged", () =>
    Effect.gen(function* () {
      const home = yield* temporaryDirectory
      let daemon = yield* startDaemon({ home })
      for (let n = 0; n < 8; n += 1) yield* rpc(daemon.socket, "add", { name: `s${n}`, value: `v${n}` })
      for (let round = 0; round < 3; round += 1) {
        const answered = yield* loadUntilKilled(daemon, 20 + round * 37)
        daemon = yield* startDaemon({ home })
        const active = (yield* rpc(daemon.socket, "status")).result.active_leases
        yield* daemon.stop()
        const held = new Map(
          leasesIn(daemon.directory).map((lease) => [`${lease.secret_name} ${lease.client_id}`, lease.id])
        )
        assert.strictEqual(held.size, active)
        for (const [pair, { last, maybe }] of answered) {
          // A lease without an answer may have been recorded; one with an answer must be.
          assert.isTrue(held.get(pair) === last || maybe, `round ${round}: ${pair}`)
        }
        daemon = yield* startDaemon({ home })
      }
    })
  )

  /** Acquires on eight connections until the daemon is killed; returns the last answer of each pair. */
  const loadUntilKilled = Effect.fnUntraced(function* (daemon: RunningDaemon, answers: number) {
    const known = new Map<string, { last: string | undefined; maybe: boolean }>()
    let left = answers
    const client = Effect.fnUntraced(function* (n: number) {
      const connection = yield* connect(daemon.socket)
      for (let turn = 0; ; turn += 1) {
        const [secret_name, client_id] = [`s${(n + turn) % 8}`, `c${n}`]
        const pair = `${secret_name} ${client_id}`
        const before = known.get(pair)?.last
        known.set(pair, { last: before, maybe: true })
        const request = { method: "secrets.lease", params: { secret_name, client_id }, id: 1 }
        const line = yield* Effect.promise(() => connection.ask(JSON.stringify(request)))
        if (line === undefined) return
        known.set(pair, { last: JSON.parse(line).result.lease_id, maybe: false })
        left -= 1
        if (left === 0) daemon.signal("SIGKILL")
      }
    })
    yield* Effect.all(
      Array.from({ length: 8 }, (_, n) => client(n)),
      { concurrency: "unbounded" }
    )
    yield* daemon.ended
    return known
  })
})

describe("an audit log that cannot be written", () => {
  it.live("stops every lease, and service returns when it can be written again", () =>
    Effect.gen(function* () {
      const home = yield* temporaryDirectory
      // A file size limit of a few blocks acts like a full disk.
      const daemon = yield* startDaemon({ home, through: "ulimit -f 8; trap '' XFSZ; exec \"$@\"" })
      yield* rpc(daemon.socket, "add", { name: "db", value: "precious" })
      const replies: Array<any> = []
      for (let n = 0; n < 40; n += 1) {
        replies.push(yield* rpc(daemon.socket, "lease", { secret_name: "db", client_id: `${n}` }))
      }
      const granted = replies.filter(({ result }) => result !== undefined)
      const refused = replies.filter(({ error }) => error !== undefined)
      assert.isAbove(granted.length, 0)
      assert.isAbove(refused.length, 0)
      assert.notInclude(JSON.stringify(refused), "precious")
      assert.match(
        refused[0].error.message,
        /^nothing was changed, because the audit log is not writable: .*audit\.log/
      )
      const recorded = auditOf(daemon.directory).filter(({ action }) => action === "lease_acquire")
      assert.sameMembers(
        recorded.map((entry) => entry["lease_id"]),
        granted.map(({ result }) => result.lease_id)
      )
      assert.strictEqual((yield* rpc(daemon.socket, "status")).result.active_leases, granted.length)
      fs.renameSync(path.join(daemon.directory, "audit.log"), path.join(daemon.directory, "audit.log.1"))
      assert.isDefined((yield* rpc(daemon.socket, "lease", { secret_name: "db", client_id: "again" })).result)
      assert.strictEqual((yield* daemon.stop()).status, 0)
    })
  )
})
