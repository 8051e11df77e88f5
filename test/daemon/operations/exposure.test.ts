/**
 * Who was given a value, and what they have of it now: leases, programs, and those of an older value.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { TestClock } from "effect/testing"
import * as path from "node:path"
import { AuditLog } from "../../../src/daemon/audit/AuditLog.ts"
import { ExposureLedger } from "../../../src/daemon/audit/ExposureLedger.ts"
import { LeaseRepo } from "../../../src/daemon/leases/LeaseRepo.ts"
import { exposedSecrets, openAndUnchanged } from "../../../src/daemon/operations/exposedSecrets.ts"
import { exposureOfSecret } from "../../../src/daemon/operations/exposure.ts"
import { acquire } from "../../../src/daemon/operations/acquire.ts"
import { backupStore, restoreStore } from "../../../src/daemon/operations/backup.ts"
import { findHandedOut } from "../../../src/daemon/operations/findHandedOut.ts"
import { lockStore } from "../../../src/daemon/operations/lock.ts"
import { revokeAllLeases, revokeLease } from "../../../src/daemon/operations/revoke.ts"
import { registerRun } from "../../../src/daemon/operations/runs.ts"
import { rotateSecret } from "../../../src/daemon/operations/rotate.ts"
import { Runs } from "../../../src/daemon/runs/Runs.ts"
import { SecretStore } from "../../../src/daemon/secrets/SecretStore.ts"
import { hour } from "../../../src/domain/GoDuration.ts"
import { OtelSink } from "../../../src/otel/OtelSink.ts"
import { temporaryDirectory } from "../../support/temporary.ts"
import { acquireLease, addSecret, rotationHook, testLayerNoTelemetry } from "../../support/testLayer.ts"

const printing = (text: string) =>
  rotationHook(() => ({
    stdout: Buffer.from(text),
    stderr: new Uint8Array(),
    status: "done",
    outcome: "exit status 0, 7 bytes of output"
  }))

/** Entries of a log on the disk have numbers. */
const withLogFile = Layer.unwrap(
  Effect.map(temporaryDirectory, (directory) =>
    Layer.mergeAll(LeaseRepo.layerMemory, SecretStore.layerMemory, Runs.layer, ExposureLedger.layerMemory).pipe(
      Layer.provideMerge(AuditLog.layer(path.join(directory, "audit.log"))),
      Layer.provideMerge(OtelSink.layerMemory())
    )
  )
)

const update = (name: string, value: string) =>
  SecretStore.use((secrets) => secrets.update(name, { value: Redacted.make(value) }))
const now = { before: false, each: false }
const clientsOf = (name: string, view = now) =>
  Effect.map(exposureOfSecret(name, view), ({ clients }) =>
    clients.map(({ client, leases }) => `${client}: ${leases.length}`).toSorted()
  )
const question = { client: undefined, since: undefined }
const lastDetails = Effect.map(
  AuditLog.use((audit) => audit.tail(1)),
  ([entry]) => `${entry?.action}: ${entry?.details ?? ""}`
)

describe("exposure", () => {
  it.effect("tells the leases of a value from those of an older one, also where the clock was set back", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(10_000_000)
      yield* addSecret("db")
      yield* acquireLease("db", "old")
      yield* acquireLease("db", "both")
      yield* TestClock.setTime(1_000)
      yield* update("db", "another")
      yield* acquireLease("db", "both")
      yield* acquireLease("db", "new[7]")
      yield* acquireLease("db", "new[8]")
      assert.deepStrictEqual(yield* clientsOf("db"), ["both: 1", "new: 2"])
      assert.deepStrictEqual(yield* clientsOf("db", { ...now, each: true }), ["both: 1", "new[7]: 1", "new[8]: 1"])
      assert.deepStrictEqual(yield* clientsOf("db", { ...now, before: true }), ["both: 0", "old: 1"])
      const { olderLeases, reasons } = yield* exposureOfSecret("db", now)
      assert.deepStrictEqual([olderLeases, reasons], [1, []])
    }).pipe(Effect.provide(withLogFile))
  )

  it.effect("begins no new count with the same value, whatever sets it", () =>
    Effect.gen(function* () {
      const store = yield* SecretStore
      yield* store.add({ name: "db", value: Redacted.make("same"), rotateVia: "print", rotateStdout: true })
      yield* acquireLease("db", "x")
      yield* update("db", "same")
      assert.strictEqual(yield* lastDetails, "secret_update: unchanged")
      const again = { name: "db", value: Redacted.make("same"), rotateVia: "", rotateStdout: false }
      yield* store.addMany([again], true)
      yield* rotateSecret("db")
      assert.strictEqual(yield* lastDetails, "secret_rotate: exit status 0, 7 bytes of output; unchanged")
      assert.deepStrictEqual(yield* clientsOf("db"), ["x: 1"])
      yield* update("db", "other")
      yield* rotateSecret("db")
      assert.deepStrictEqual(yield* clientsOf("db"), [])
    }).pipe(Effect.provide(Layer.provideMerge(testLayerNoTelemetry, printing("same"))))
  )

  it.effect("lists a secret whose command kept the value as rotated, until it is leased again", () =>
    Effect.gen(function* () {
      yield* addSecret("db", "value", "rotate at the provider")
      yield* acquireLease("db", "x")
      yield* rotateSecret("db")
      const state = Effect.map(exposedSecrets(question), ({ secrets }) =>
        secrets.map(({ isChanged, isRotated }) => [isChanged, isRotated])
      )
      assert.deepStrictEqual(yield* state, [[false, true]])
      assert.deepStrictEqual(yield* clientsOf("db"), ["x: 1"])
      assert.strictEqual((yield* findHandedOut({ count: 9, length: 999 })).total, 0)
      yield* acquireLease("db", "x")
      assert.deepStrictEqual(yield* state, [[false, false]])
    }).pipe(Effect.provide(Layer.provideMerge(testLayerNoTelemetry, printing(""))))
  )

  it.effect("answers for deleted secrets, and while the store is locked", () =>
    Effect.gen(function* () {
      const store = yield* SecretStore
      for (const name of ["db", "e\u0301", "\u00e9"]) yield* addSecret(name)
      yield* acquireLease("db", "x")
      yield* acquireLease("e\u0301", "y")
      yield* store.remove("db")
      const found = yield* exposureOfSecret("db", now)
      assert.deepStrictEqual([found.isStored, found.clients.length, found.reasons], [false, 1, []])
      assert.deepStrictEqual([yield* clientsOf("e\u0301"), yield* clientsOf("\u00e9")], [["y: 1"], []])
      assert.strictEqual((yield* Effect.flip(exposureOfSecret("none", now)))._tag, "SecretNotFound")
      yield* addSecret("db")
      const again = yield* exposureOfSecret("db", now)
      assert.deepStrictEqual([again.clients.length, again.hasEarlier], [0, true])
      yield* lockStore()
      assert.deepStrictEqual(yield* clientsOf("e\u0301"), ["y: 1"])
      assert.strictEqual((yield* Effect.flip(exposureOfSecret("none", now)))._tag, "StoreLocked")
    }).pipe(Effect.provide(testLayerNoTelemetry))
  )

  it.effect("does not take a value that was added again or restored for a changed one", () =>
    Effect.gen(function* () {
      const store = yield* SecretStore
      const state = Effect.map(exposedSecrets(question), ({ secrets }) =>
        secrets.map(({ isChanged, isUnsure }) => (isChanged ? "changed" : isUnsure ? "unsure" : "not changed"))
      )
      const listed = Effect.map(findHandedOut({ count: 9, length: 999 }), ({ total }) => total)
      yield* addSecret("db", "same")
      yield* acquireLease("db", "x")
      const { text } = yield* backupStore
      yield* store.remove("db")
      yield* addSecret("db", "same")
      assert.deepStrictEqual([yield* state, yield* listed], [["unsure"], 1])
      yield* acquireLease("db", "y")
      assert.deepStrictEqual(yield* state, ["not changed"])
      yield* update("db", "another")
      assert.deepStrictEqual([yield* state, yield* listed], [["changed"], 0])
      yield* restoreStore(text, { overwrite: true, keepNewer: false, dryRun: false })
      assert.deepStrictEqual([yield* state, yield* listed], [["unsure"], 1])
      assert.isTrue((yield* exposureOfSecret("db", now)).mayBeEarlier)
      yield* update("db", "the last")
      assert.deepStrictEqual(yield* state, ["changed"])
      yield* update("db", "another")
      assert.deepStrictEqual([yield* state, yield* lastDetails], [["unsure"], "secret_update: a value of before"])
    }).pipe(Effect.provide(testLayerNoTelemetry))
  )

  it.effect("knows no value before the first, and says whether that is sure", () =>
    Effect.gen(function* () {
      yield* addSecret("db")
      yield* acquireLease("db", "x")
      const before = exposureOfSecret("db", { before: true, each: false })
      const first = yield* before
      assert.deepStrictEqual(
        [first.hasEarlier, first.endedBy, first.clients, first.reasons],
        [false, undefined, [], []]
      )
      yield* update("db", "another")
      assert.deepStrictEqual([(yield* before).hasEarlier, (yield* before).endedBy?.by], [true, "secret_update"])
    }).pipe(Effect.provide(testLayerNoTelemetry))
  )

  it.effect("names the programs that no run is of, of this value and of an older one", () =>
    Effect.gen(function* () {
      yield* addSecret("db")
      const lease = (clientId: string, via: string) =>
        acquire({ secretName: "db", clientId, ttl: hour, origin: { via, program: "npm" } })
      const { lease: watched } = yield* lease("watched/npm[1]", "exec")
      const connection = { closed: Effect.never }
      const run = { clientId: "watched/npm[1]", leaseIds: [watched.id], origin: {}, pid: 1, connection }
      yield* registerRun(run)
      yield* lease("hidden/npm[2]", "exec")
      const { lease: returned } = yield* lease("ended/npm[3]", "exec")
      yield* revokeLease(returned.id, false, true)
      yield* lease("open", "lease")
      const unwatched = (before = false) =>
        Effect.map(exposureOfSecret("db", { before, each: false }), ({ clients, olderUnwatched }) => [
          clients.flatMap((one) => (one.unwatched === 0 ? [] : [`${one.client} ${one.unwatched}`])).join(),
          olderUnwatched
        ])
      assert.deepStrictEqual(yield* unwatched(), ["hidden/npm 1", 0])
      const [row] = (yield* exposedSecrets({ client: "*", since: undefined })).secrets
      assert.strictEqual(row?.unwatched, 1)
      yield* revokeAllLeases()
      yield* update("db", "another")
      assert.deepStrictEqual(yield* unwatched(), ["", 1])
      assert.deepStrictEqual(yield* unwatched(true), ["hidden/npm 1", 1])
    }).pipe(Effect.provide(testLayerNoTelemetry))
  )

  it.effect("takes globs on clients, an exact id with its process, and a time", () =>
    Effect.gen(function* () {
      for (const name of ["a", "b"]) yield* addSecret(name)
      yield* acquireLease("a", "ci/npm[42]")
      yield* TestClock.adjust("1 hour")
      yield* acquireLease("b", "laptop")
      const asked = (client?: string, since?: number) =>
        Effect.map(
          exposedSecrets({ client, since: since === undefined ? undefined : { millis: since, text: "" } }),
          ({ isClientKnown, secrets }) => [secrets.map(({ name }) => name).join(), isClientKnown]
        )
      assert.deepStrictEqual(yield* asked("ci/npm[42]"), ["a", true])
      assert.deepStrictEqual(yield* asked("ci*"), ["a", true])
      assert.deepStrictEqual(yield* asked("*"), ["b,a", true])
      assert.deepStrictEqual(yield* asked("nobody"), ["", false])
      assert.deepStrictEqual(yield* asked(undefined, 1), ["b", true])
      assert.deepStrictEqual(yield* asked("ci*", 1), ["", true])
    }).pipe(Effect.provide(testLayerNoTelemetry))
  )

  it.effect("names values in the open that were never changed", () =>
    Effect.gen(function* () {
      for (const name of ["changed", "open", "unused"]) yield* addSecret(name)
      yield* acquireLease("changed", "x")
      yield* update("changed", "another")
      yield* acquireLease("changed", "x")
      yield* acquireLease("open", "x")
      assert.deepStrictEqual(yield* openAndUnchanged, ["open"])
    }).pipe(Effect.provide(testLayerNoTelemetry))
  )
})
