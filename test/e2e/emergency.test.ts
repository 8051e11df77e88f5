/**
 * An emergency: what a person is asked before something is lost for good, which values are
 * outside after everything was revoked, and a store that is locked.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { auditOf, rpc, type RunningDaemon, startDaemon } from "../harness/daemon.ts"
import { methods } from "../../src/rpc/protocol/methods.ts"
import { run } from "../harness/program.ts"
import { RunWatcher } from "../harness/runWatcher.ts"
import { emptiedDaemon } from "../harness/sharedDaemon.ts"
import { runInTerminal } from "../harness/terminal.ts"
import { temporaryDirectory } from "../support/temporary.ts"

const emptied = emptiedDaemon()

/** A daemon with one secret, and commands in a home directory, on no terminal or on one. */
const withSecret = Effect.fnUntraced(function* (daemon: RunningDaemon) {
  const { home, socket } = daemon
  yield* rpc(socket, "add", { name: "db", value: "made-up-value" })
  return {
    home,
    daemon,
    secrets: (line: string) => run(line.split(" "), { home }),
    typed: (line: string, answer?: string) => Effect.promise(() => runInTerminal(line, home, answer))
  }
})

/** The methods that a locked store rejects, in the order of the table of methods. */
const needStore = "init list show add import update delete rotate fingerprints identify backup restore lease".split(" ")

const shared = Effect.flatMap(emptied, withSecret)
const ownDaemon = temporaryDirectory.pipe(
  Effect.flatMap((home) => startDaemon({ home })),
  Effect.flatMap(withSecret)
)

describe("revoke --all", () => {
  it.live("lists the values that were handed out and not changed since", () =>
    Effect.gen(function* () {
      const { secrets } = yield* shared
      assert.strictEqual((yield* secrets("revoke --all")).stdout, "revoked 0 leases\n")
      yield* secrets("add mail --value made-up-value")
      for (const line of ["lease db", "lease mail", "lease db --client-id other"]) yield* secrets(line)
      const { stderr, stdout } = yield* secrets("revoke --all")
      assert.match(
        stdout,
        /^revoked 3 leases\nValues that were handed out still work: in programs.*\.env.*\nRotate these .*:\n\nSECRET {2}LEASES {2}LAST\ndb {6}2 {7}\S+\nmail {4}1 {7}\S+\n$/
      )
      assert.strictEqual(stderr, "")
      yield* secrets("update mail --value made-up-too")
      const { result } = JSON.parse((yield* secrets("revoke --all --wipe --json")).stdout)
      const [{ last_leased_at, ...first }] = result.handed_out
      assert.deepStrictEqual(first, { secret_name: "db", leases: 2 })
      assert.strictEqual(new Date(last_leased_at).toString() === "Invalid Date", false)
      assert.deepInclude(result, { leases_revoked: 0, secrets_wiped: 2, handed_out_complete: true })
      assert.lengthOf(result.handed_out, 1)
    })
  )
})

describe("on a terminal", () => {
  it.live("delete asks, and deletes only after a yes", () =>
    Effect.gen(function* () {
      const { secrets, typed } = yield* shared
      const { shown, status } = yield* typed("delete db", "n\r")
      assert.match(shown, /Delete "db"\? There is no way back.*\[y\/N\]/)
      assert.include(shown, "secrets delete: cancelled: nothing was deleted")
      assert.strictEqual(status, 1)
      const interrupted = yield* typed("delete db", "\u0003")
      assert.deepStrictEqual([interrupted.status, interrupted.shown.includes("deleted")], [130, false])
      assert.strictEqual((yield* secrets("lease db")).status, 0)
      assert.include((yield* typed("delete db", "y\r")).shown, 'deleted "db"')
      assert.strictEqual((yield* secrets("lease db")).status, 4)
    })
  )

  it.live("a wipe asks; without one, or with --yes or --force, nothing is asked", () =>
    Effect.gen(function* () {
      const { secrets, typed } = yield* shared
      yield* secrets("add mail --value made-up-value")
      // The value of db was leased, and then removed and added again: it may be the same.
      assert.strictEqual((yield* typed("revoke --all")).shown.split("\r\n")[0], "revoked 0 leases")
      const { shown, status } = yield* typed("revoke --all --wipe", "no\r")
      assert.match(shown, /Wipe all 2 secrets\? There is no way back.*\[y\/N\]/)
      assert.include(shown, "nothing was revoked or wiped")
      assert.strictEqual(status, 1)
      assert.notInclude((yield* typed("delete mail --force")).shown, "[y/N]")
      const wiped = yield* typed("revoke --all --wipe --yes")
      assert.strictEqual(wiped.shown.split("\r\n")[0], "revoked 0 leases; wiped 1 secret")
    })
  )
})

describe.concurrent("a lock", () => {
  it.live("stops leases and changes, survives kill -9, and ends at a person's yes", () =>
    Effect.gen(function* () {
      const { daemon, home, secrets, typed } = yield* ownDaemon
      yield* secrets("lease db")
      const watcher = new RunWatcher(daemon.socket, "c", ["db"])
      yield* Effect.promise(() => watcher.begin())
      const locked = yield* secrets("lock")
      watcher.vanish()
      assert.match(
        locked.stdout,
        /^locked: no lease and no change until secrets unlock\nactive leases: 2; .*still work.*\n1 program with values notified; see which still run: secrets runs\n/
      )
      const isRefused = Effect.gen(function* () {
        for (const line of ["lease db", "list", "add more --value x"]) {
          const { status, stderr, stdout } = yield* secrets(line)
          assert.deepStrictEqual([status, stdout], [5, ""], line)
          assert.match(
            stderr,
            /the store is locked: no lease and no change\n(.*\n)? {2}Unlock it in a terminal: secrets unlock\n$/
          )
        }
        const status = yield* secrets("status")
        assert.strictEqual(status.status, 5)
        assert.match(status.stdout, /\nsecrets {7}1\n[^]*\nlocked {8}since \S+\n/)
      })
      yield* isRefused
      // As docs/emergency.md says.
      const params = {
        name: "db",
        secret_name: "db",
        client_id: "c",
        value: "x",
        entries: "ZGI=,eA==",
        texts: "eA==",
        document: "{}"
      }
      const rejected: Array<string> = []
      for (const method of Object.keys(methods).filter((name) => name.startsWith("secrets."))) {
        if (method.endsWith("lock")) continue
        const reply = yield* rpc(daemon.socket, method.slice("secrets.".length), params)
        if (reply.error?.data?.tag === "StoreLocked") rejected.push(method)
      }
      assert.deepStrictEqual(
        rejected,
        needStore.map((name) => `secrets.${name}`)
      )
      const script = yield* secrets("unlock")
      assert.deepStrictEqual([script.status, script.stdout], [2, ""])
      yield* daemon.stop("SIGKILL")
      const next = yield* startDaemon({ home })
      assert.include(next.stderr(), "the store is locked since ")
      assert.strictEqual((yield* secrets("lease db")).status, 5)
      assert.include((yield* typed("unlock", "n\r")).shown, "cancelled: the store is still locked")
      assert.strictEqual((yield* secrets("lease db")).status, 5)
      assert.include((yield* typed("unlock", "y\r")).shown, "unlocked: 1 secret can be leased again")
      assert.strictEqual((yield* secrets("lease db")).stdout, "made-up-value")
      assert.include((yield* typed("unlock")).shown, "the store is not locked")
      const actions = auditOf(next.directory).map(({ action }) => action)
      assert.deepStrictEqual(
        actions.filter((action) => action.endsWith("lock")),
        ["store_lock", "store_unlock"]
      )
    })
  )

  it.live("without a daemon makes the next one start locked", () =>
    Effect.gen(function* () {
      const { daemon, home, secrets } = yield* ownDaemon
      yield* daemon.stop()
      assert.match((yield* secrets("lock")).stdout, /^locked: no daemon is running, and the next one starts locked\n/)
      const { status, stderr } = yield* secrets("init")
      assert.strictEqual(status, 5)
      assert.match(stderr, /^secrets init: the store is locked: no lease and no change\n {2}Unlock it/)
      yield* startDaemon({ home })
      assert.strictEqual((yield* secrets("lease db")).status, 5)
      const { result } = JSON.parse((yield* secrets("lock --json")).stdout)
      assert.deepInclude(result, { locked: true, already: true, rotating: false, active_leases: 0 })
    })
  )
})
