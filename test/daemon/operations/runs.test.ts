/**
 * Programs that run with values: every end of a lease reaches them, after the entry in the log
 * and before the reply, whatever became of the lease before, and also across a restart.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as TestClock from "effect/testing/TestClock"
import * as path from "node:path"
import { AuditLog } from "../../../src/daemon/audit/AuditLog.ts"
import { CurrentCaller } from "../../../src/daemon/audit/CurrentCaller.ts"
import type { OtherNotice } from "../../../src/daemon/audit/OtherLogs.ts"
import { LeaseRepo } from "../../../src/daemon/leases/LeaseRepo.ts"
import { deleteSecret } from "../../../src/daemon/operations/deleteSecret.ts"
import { followOtherMachines } from "../../../src/daemon/operations/followOtherMachines.ts"
import { killswitch } from "../../../src/daemon/operations/killswitch.ts"
import { lockStore } from "../../../src/daemon/operations/lock.ts"
import { revokeAllLeases, revokeLease, revokeMatchingLeases } from "../../../src/daemon/operations/revoke.ts"
import { rotateSecret } from "../../../src/daemon/operations/rotate.ts"
import { sweepExpired } from "../../../src/daemon/operations/sweep.ts"
import { Runs } from "../../../src/daemon/runs/Runs.ts"
import { SecretStore } from "../../../src/daemon/secrets/SecretStore.ts"
import type { Caller } from "../../../src/domain/Caller.ts"
import { minute } from "../../../src/domain/GoDuration.ts"
import { OtelSink } from "../../../src/otel/OtelSink.ts"
import { runHandlers } from "../../../src/rpc/server/handlers/runs.ts"
import { ConnectionState } from "../../../src/rpc/transport/Connections.ts"
import { acquireLease, addSecret, rotationHook, testLayerNoTelemetry } from "../../support/testLayer.ts"
import { temporaryDirectory } from "../../support/temporary.ts"

/** A connection that can be closed. */
const connect = Effect.map(Effect.all([Deferred.make<void>(), ConnectionState]), ([closed, state]) => ({
  state: { ...state, closed: Deferred.await(closed) },
  close: Deferred.succeed(closed, undefined)
}))
type Connection = Effect.Success<typeof connect>

const on = <A, E, R>(connection: Connection, request: Effect.Effect<A, E, R>) =>
  Effect.provideService(request, ConnectionState, connection.state)

/** Starts a program with one lease of each secret. */
const start = Effect.fnUntraced(function* (clientId: string, ...secrets: ReadonlyArray<string>) {
  const connection = yield* connect
  const leases = yield* Effect.forEach(secrets, (name) => acquireLease(name, clientId))
  const leaseIds = leases.map(({ lease }) => lease.id)
  const begin = { client_id: clientId, lease_ids: leaseIds.join(","), program: "/usr/bin/npm", via: "exec" }
  const { cursor, run_id } = yield* on(connection, runHandlers["runs.begin"](begin))
  let after = cursor
  const watch = (timeout: string | number = 0, over = connection) =>
    Effect.map(on(over, runHandlers["runs.watch"]({ run_id, after, timeout })), (reply) => {
      after = reply.cursor
      return reply.events.map(({ kind, secret_name }) => (secret_name === undefined ? kind : `${kind} ${secret_name}`))
    })
  const end = (more: object = {}) => on(connection, runHandlers["runs.end"]({ run_id, status: 0, ...more }))
  return { connection, run_id, leaseIds, watch, end, cursor: () => after }
})
const listed = (filter: object = {}) => Effect.map(runHandlers["runs.list"](filter), ({ runs }) => runs)
const update = (name: string) => SecretStore.use((store) => store.update(name, { value: Redacted.make("another") }))
const entries = (action: string) =>
  Effect.map(
    AuditLog.use((audit) => audit.tail(1000)),
    (all) => all.filter((entry) => entry.action === action)
  )
const services = Layer.provideMerge(
  testLayerNoTelemetry,
  rotationHook(() => ({
    stdout: Buffer.from("new"),
    stderr: Buffer.from(""),
    status: "done",
    outcome: "exit status 0"
  }))
)
const twoSecrets = Effect.andThen(addSecret("db"), addSecret("api"))
const killAll = { revokeAll: true, rotateAll: false, wipeStore: false }

describe("a run", () => {
  it.effect("gets a notice of each end of its leases and each change of their values", () =>
    Effect.gen(function* () {
      yield* twoSecrets
      yield* SecretStore.use((store) =>
        store.add({ name: "made", value: Redacted.make("x"), rotateVia: "make", rotateStdout: true })
      )
      const run = yield* start("ci", "db", "api", "made")
      assert.deepStrictEqual(yield* run.watch(), [])
      yield* revokeLease(run.leaseIds[0] ?? "")
      assert.deepStrictEqual(yield* run.watch(), ["revoked db"])
      yield* update("db")
      yield* rotateSecret("made")
      assert.deepStrictEqual(yield* run.watch(), ["changed db", "changed made"])
      yield* deleteSecret("db")
      assert.include(yield* run.watch(), "deleted db")
      yield* TestClock.adjust("2 hours")
      yield* sweepExpired()
      assert.sameMembers(yield* run.watch(), ["expired api", "expired made"])
      yield* killswitch(killAll)
      yield* lockStore()
      assert.deepStrictEqual(yield* run.watch(), ["killswitch", "locked"])
      assert.deepStrictEqual(yield* run.watch(), [])
    }).pipe(Effect.provide(services))
  )

  it.effect("gets none of another client, another secret, a change without a new value, or a replaced lease", () =>
    Effect.gen(function* () {
      yield* twoSecrets
      const run = yield* start("ci", "db")
      const other = yield* start("other", "db", "api")
      const twin = yield* start("ci", "db")
      yield* revokeMatchingLeases({ clientId: "other", secretName: undefined })
      yield* SecretStore.use((store) => store.update("db", { description: "a new one" }))
      yield* update("api")
      assert.deepStrictEqual(yield* run.watch(), [])
      assert.deepStrictEqual(yield* twin.watch(), [])
      assert.sameMembers(yield* other.watch(), ["revoked db", "revoked api", "changed api"])
    }).pipe(Effect.provide(services))
  )

  it.effect("is told nothing when another run of the same client and secret ends with its lease", () =>
    Effect.gen(function* () {
      yield* twoSecrets
      const run = yield* start("ci", "db")
      const twin = yield* start("ci", "db")
      assert.deepStrictEqual(yield* twin.end(), { success: true, leases_ended: 1 })
      assert.deepStrictEqual(yield* run.watch(), [])
      assert.strictEqual(yield* LeaseRepo.use((leases) => leases.activeCount), 0)
      // A lease acquired for it later ends with it too; another client's does not.
      const [renewed, foreign] = [yield* acquireLease("db", "ci"), yield* acquireLease("db", "you")]
      const lease_ids = `${renewed.lease.id},${foreign.lease.id}`
      assert.deepStrictEqual(yield* run.end({ lease_ids, signal: "SIGTERM", because: "revoked" }), {
        success: true,
        leases_ended: 1
      })
      assert.deepStrictEqual(
        (yield* entries("run_end")).map(({ details }) => details),
        ["status 0", "status 0, SIGTERM, revoked"]
      )
      assert.deepStrictEqual(yield* listed(), [])
      assert.strictEqual((yield* Effect.flip(run.watch()))._tag, "RunNotFound")
    }).pipe(Effect.provide(services))
  )

  it.effect(
    "is reached after its lease expired or was replaced, by that lease, its client, its secret and the killswitch",
    () =>
      Effect.gen(function* () {
        yield* twoSecrets
        const run = yield* start("ci", "db")
        const [old = ""] = run.leaseIds
        yield* TestClock.adjust("2 hours")
        yield* sweepExpired()
        assert.deepStrictEqual(yield* run.watch(), ["expired db"])
        const ways = [
          revokeLease(old),
          revokeLease(old.slice(0, 8), true),
          revokeMatchingLeases({ clientId: "ci", secretName: undefined }),
          revokeMatchingLeases({ clientId: undefined, secretName: "db" })
        ]
        for (const revoke of ways) {
          assert.deepStrictEqual((yield* revoke).runIds, [run.run_id])
          assert.deepStrictEqual(yield* run.watch(), ["revoked db"])
        }
        assert.deepStrictEqual((yield* killswitch(killAll)).runIds, [run.run_id])
        assert.deepStrictEqual(yield* run.watch(), ["killswitch"])
        const replaced = yield* start("you", "db")
        yield* acquireLease("db", "you")
        yield* revokeLease(replaced.leaseIds[0] ?? "")
        assert.deepStrictEqual(yield* replaced.watch(), ["revoked db"])
        yield* run.end()
        assert.strictEqual((yield* Effect.flip(revokeLease(old)))._tag, "LeaseNotFound")
      }).pipe(Effect.provide(services))
  )

  it.effect("does not begin with a lease that is over, unknown or another client's", () =>
    Effect.gen(function* () {
      yield* twoSecrets
      const begin = (client_id: string, lease_ids: string) =>
        Effect.flip(runHandlers["runs.begin"]({ client_id, lease_ids, program: "p", via: "exec" }))
      const tag = (lease_ids: string) => Effect.map(begin("ci", lease_ids), ({ _tag }) => _tag)
      const { lease } = yield* acquireLease("db", "ci", minute)
      assert.strictEqual((yield* begin("you", lease.id))._tag, "LeaseNotFound")
      assert.strictEqual(yield* tag("00000000-0000-4000-8000-000000000000"), "LeaseNotFound")
      yield* TestClock.adjust("61 seconds")
      assert.strictEqual(yield* tag(lease.id), "LeaseNotFound")
      assert.strictEqual(yield* tag("no id"), "RpcError")
      assert.strictEqual(yield* tag(""), "RpcError")
      const { lease: revoked } = yield* acquireLease("db", "ci")
      yield* revokeLease(revoked.id)
      assert.strictEqual(yield* tag(revoked.id), "LeaseNotFound")
      assert.deepStrictEqual(
        (yield* entries("run_begin")).map(({ success }) => success),
        [false, false, false, false]
      )
      assert.deepStrictEqual(yield* listed(), [])
    }).pipe(Effect.provide(services))
  )

  it.effect("waits for a notice, and gets it after its entry and before the revoke returns", () =>
    Effect.gen(function* () {
      yield* twoSecrets
      const run = yield* start("ci", "db")
      const waiting = yield* Effect.forkChild(run.watch("50"), { startImmediately: true })
      yield* TestClock.adjust("49 seconds")
      assert.isUndefined(waiting.pollUnsafe())
      yield* revokeMatchingLeases({ clientId: "ci", secretName: undefined })
      assert.deepStrictEqual(yield* Fiber.join(waiting), ["revoked db"])
      const idle = yield* Effect.forkChild(run.watch(3600), { startImmediately: true })
      yield* TestClock.adjust("50 seconds")
      assert.deepStrictEqual(yield* Fiber.join(idle), [])
      const [told] = yield* entries("run_told")
      assert.deepInclude(told, { run_id: run.run_id, client_id: "ci", secret_name: "db", details: "revoked" })
    }).pipe(Effect.provide(services))
  )

  it.effect("is listed with what it was given, what is left of that, and what it was told", () =>
    Effect.gen(function* () {
      yield* twoSecrets
      const run = yield* start("ci", "db", "api")
      yield* start("you", "db")
      yield* revokeMatchingLeases({ clientId: "ci", secretName: "db" })
      const [mine, ...others] = yield* listed({ client_id: "ci" })
      assert.deepStrictEqual(others, [])
      assert.deepInclude(mine, { run_id: run.run_id, program: "npm", via: "exec", leases: 2, leases_active: 1 })
      assert.deepInclude(mine, { told: "revoked", secrets: ["db", "api"] })
      assert.lengthOf(yield* listed({ secret_name: "db" }), 2)
      assert.lengthOf(yield* listed({ told: true }), 1)
      const [begun] = yield* entries("run_begin")
      assert.deepInclude(begun, { run_id: run.run_id, client_id: "ci", via: "exec", program: "npm" })
      assert.strictEqual(begun?.details, `2 leases: ${run.leaseIds.join(" ")}`)
    }).pipe(Effect.provide(services))
  )

  it.effect("keeps few notices if nobody reads them", () =>
    Effect.gen(function* () {
      yield* twoSecrets
      const run = yield* start("ci", "db")
      for (let times = 0; times < 50; times += 1) yield* update("db")
      yield* killswitch(killAll)
      assert.deepStrictEqual(yield* run.watch(), ["changed db", "killswitch"])
    }).pipe(Effect.provide(services))
  )
})

describe("a run whose connection is gone", () => {
  it.effect("is over after five seconds, and keeps its leases", () =>
    Effect.gen(function* () {
      yield* twoSecrets
      const run = yield* start("ci", "db")
      yield* on(run.connection, runHandlers["runs.watch"]({ run_id: run.run_id, after: 0, timeout: 0, pid: 4242 }))
      yield* run.connection.close
      yield* TestClock.adjust("4999 millis")
      assert.lengthOf(yield* listed(), 1)
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(yield* listed(), [])
      assert.strictEqual(yield* LeaseRepo.use((leases) => leases.activeCount), 1)
      assert.deepStrictEqual(
        (yield* entries("run_end")).map(({ details, run_id }) => [details, run_id]),
        [["connection lost, pid 4242", run.run_id]]
      )
    }).pipe(Effect.provide(services))
  )

  it.effect("goes on with another connection, and gets again what the old one may not have read", () =>
    Effect.gen(function* () {
      yield* twoSecrets
      const run = yield* start("ci", "db")
      yield* revokeMatchingLeases({ clientId: "ci", secretName: undefined })
      const lost = run.cursor()
      yield* on(run.connection, runHandlers["runs.watch"]({ run_id: run.run_id, after: lost, timeout: 0 }))
      yield* run.connection.close
      yield* TestClock.adjust("4 seconds")
      const next = yield* connect
      assert.deepStrictEqual(yield* run.watch(0, next), ["revoked db"])
      assert.deepStrictEqual(yield* run.watch(0, next), [])
      yield* TestClock.adjust("1 minute")
      assert.lengthOf(yield* listed(), 1)
    }).pipe(Effect.provide(services))
  )
})

/** The same with a log in a file, whose entries have numbers. */
const onDisk = Layer.unwrap(
  Effect.map(temporaryDirectory, (directory) =>
    Layer.mergeAll(LeaseRepo.layerMemory, SecretStore.layerMemory, Runs.layer).pipe(
      Layer.provideMerge(AuditLog.layer(path.join(directory, "audit.log"))),
      Layer.provideMerge(OtelSink.layerMemory())
    )
  )
)

/** Runs a program as the next daemon on the same log and store. */
const nextDaemon = <A, E, R>(program: Effect.Effect<A, E, R>) => Effect.provide(program, Layer.fresh(Runs.layer))

const takeUp = Effect.fnUntraced(function* (
  { cursor, leaseIds, run_id }: Effect.Success<ReturnType<typeof start>>,
  client_id: string,
  ...secrets: ReadonlyArray<string>
) {
  const connection = yield* connect
  const secret_names = secrets.map((name) => Buffer.from(name).toString("base64")).join(",")
  const known = { run_id, cursor: cursor(), lease_ids: leaseIds.join(","), secret_names }
  const begun = yield* on(connection, runHandlers["runs.begin"]({ client_id, program: "npm", via: "exec", ...known }))
  assert.deepStrictEqual(begun, { run_id, cursor: cursor() })
  return yield* Effect.map(
    on(connection, runHandlers["runs.watch"]({ run_id, after: begun.cursor, timeout: 0 })),
    ({ events }) => events.map(({ kind, secret_name }) => `${kind} ${secret_name ?? "all"}`)
  )
})

describe("a run that is taken up by the next daemon", () => {
  const cases: ReadonlyArray<
    readonly [
      what: string,
      Effect.Effect<unknown, unknown, AuditLog | LeaseRepo | OtelSink | Runs | SecretStore>,
      string
    ]
  > = [
    ["a revoke", revokeMatchingLeases({ clientId: "ci", secretName: undefined }), "revoked db"],
    ["the killswitch", revokeAllLeases(), "killswitch all"],
    ["a lock", lockStore(), "locked all"],
    ["a deletion", deleteSecret("db"), "deleted db"],
    ["a change", update("db"), "changed db"],
    ["a wipe", SecretStore.use((store) => store.wipe), "deleted all"],
    ["nothing", addSecret("other"), ""],
    ["another client's revoke", revokeMatchingLeases({ clientId: "you", secretName: undefined }), ""]
  ]
  for (const [what, happens, expected] of cases) {
    it.effect(`gets what it missed: ${what}`, () =>
      Effect.gen(function* () {
        yield* twoSecrets
        yield* acquireLease("db", "you")
        const run = yield* start("ci", "db")
        yield* happens
        assert.deepStrictEqual(yield* nextDaemon(takeUp(run, "ci", "db")), expected === "" ? [] : [expected])
      }).pipe(Effect.provide(onDisk))
    )
  }

  it.effect("gets a revoke from before it was taken up, also if its lease was over by then", () =>
    Effect.gen(function* () {
      yield* twoSecrets
      const run = yield* start("ci", "db", "api")
      const other = yield* start("you", "api")
      yield* TestClock.adjust("2 hours")
      yield* sweepExpired()
      yield* run.watch()
      yield* other.watch()
      yield* nextDaemon(
        Effect.gen(function* () {
          assert.deepStrictEqual((yield* revokeMatchingLeases({ clientId: "ci", secretName: undefined })).runIds, [])
          assert.deepStrictEqual(yield* takeUp(run, "ci", "db", "api"), ["revoked db", "revoked api"])
          assert.deepStrictEqual(yield* takeUp(other, "you", "api"), [])
        })
      )
    }).pipe(Effect.provide(onDisk))
  )

  it.effect("gets a revoke for each lease that is over, if the log does not reach back", () =>
    Effect.gen(function* () {
      yield* twoSecrets
      const run = yield* start("ci", "db", "api")
      yield* acquireLease("db", "ci")
      const noticed = yield* nextDaemon(takeUp({ ...run, cursor: () => 1000 }, "ci", "db", "api"))
      assert.deepStrictEqual(noticed, ["revoked db"])
    }).pipe(Effect.provide(onDisk))
  )

  it.effect("is another client's, or of no such id: it is not taken up", () =>
    Effect.gen(function* () {
      yield* twoSecrets
      const { cursor, leaseIds, run_id } = yield* start("ci", "db")
      const known = { lease_ids: leaseIds.join(), program: "p", via: "exec", run_id, cursor: cursor() }
      const refused = (more: object) =>
        Effect.map(
          Effect.flip(runHandlers["runs.begin"]({ client_id: "ci", secret_names: "ZGI=", ...known, ...more })),
          ({ _tag }) => _tag
        )
      assert.strictEqual(yield* refused({ client_id: "you" }), "RunNotFound")
      for (const wrong of [
        { run_id: "x" },
        { cursor: -1 },
        { cursor: 0.5 },
        { secret_names: "" },
        { secret_names: "ZGI=,ZGI=" },
        { secret_names: "no base64" }
      ]) {
        assert.strictEqual(yield* refused(wrong), "RpcError", JSON.stringify(wrong))
      }
    }).pipe(Effect.provide(onDisk))
  )
})

describe("the runs of a limited socket", () => {
  it.effect("are its own: it sees, watches, ends and reaches no other", () =>
    Effect.gen(function* () {
      yield* twoSecrets
      const other = yield* start("ci", "db")
      const limited: Caller = {
        role: "lease",
        socket: "s",
        scope: { permits: (name) => name === "db", clientPrefix: "w/" }
      }
      const asWorker = Effect.provideService(CurrentCaller, limited)
      const own = yield* asWorker(start("w/1", "db"))
      assert.deepStrictEqual(
        (yield* asWorker(listed())).map(({ run_id }) => run_id),
        [own.run_id]
      )
      const { run_id } = other
      assert.strictEqual((yield* Effect.flip(asWorker(runHandlers["runs.watch"]({ run_id }))))._tag, "RunNotFound")
      assert.strictEqual((yield* Effect.flip(asWorker(runHandlers["runs.end"]({ run_id }))))._tag, "RunNotFound")
      const { runIds } = yield* asWorker(revokeMatchingLeases({ clientId: undefined, secretName: "db" }))
      assert.deepStrictEqual(runIds, [own.run_id])
      assert.deepStrictEqual([yield* other.watch(), yield* own.watch()], [[], ["revoked db"]])
    }).pipe(Effect.provide(services))
  )
})

describe("what other machines of the team recorded", () => {
  const notice = { kind: "revoked", secretName: "db", clientId: "ci", machine: "m2", seq: 9, isEarlier: false } as const

  /** Follows other machines, which record what this returns once. */
  const follow = Effect.fnUntraced(function* (recorded: Array<OtherNotice>) {
    const audit = yield* AuditLog
    const nextNotices = Effect.sync(() => recorded.splice(0))
    yield* followOtherMachines.pipe(
      Effect.provideService(AuditLog, {
        ...audit,
        others: { interval: Duration.seconds(5), nextNotices, exposures: Effect.never }
      }),
      Effect.forkScoped
    )
    yield* TestClock.adjust("5 seconds")
  })

  it.effect("reaches the programs that it concerns within a second, and is recorded here", () =>
    Effect.gen(function* () {
      yield* twoSecrets
      const run = yield* start("ci", "db")
      const recorded: Array<OtherNotice> = []
      yield* follow(recorded)
      recorded.push({ ...notice, leaseId: run.leaseIds[0] }, { ...notice, clientId: "other" })
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* run.watch(), ["revoked db"])
      recorded.push({ kind: "killswitch", machine: "m3", seq: 4, isEarlier: false })
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* run.watch(), ["killswitch"])
      assert.deepStrictEqual(
        (yield* entries("team_notice")).map(({ client_id, details, secret_name }) => [secret_name, client_id, details]),
        [
          ["db", "ci", "revoked on m2, entry 9"],
          [undefined, undefined, "killswitch on m3, entry 4"]
        ]
      )
    }).pipe(Effect.scoped, Effect.provide(services))
  )

  it.effect("before the start reaches the programs that are taken up after it", () =>
    Effect.gen(function* () {
      yield* twoSecrets
      const run = yield* start("ci", "db")
      const cursor = run.cursor()
      yield* follow([
        { ...notice, clientId: "gone", isEarlier: true },
        { ...notice, isEarlier: true }
      ])
      assert.lengthOf(yield* entries("team_notice"), 2)
      const { notices } = yield* Runs.use(({ missedSince }) => missedSince(cursor))
      assert.deepStrictEqual(
        notices.map(({ clientId, kind }) => [kind, clientId]),
        [
          ["revoked", "gone"],
          ["revoked", "ci"]
        ]
      )
    }).pipe(Effect.scoped, Effect.provide(services))
  )
})
