/**
 * While the store is locked, nothing is given and nothing is changed. Leases can be revoked,
 * and the store can be wiped: both only destroy.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { AuditLog } from "../../../src/daemon/audit/AuditLog.ts"
import { deleteSecret } from "../../../src/daemon/operations/deleteSecret.ts"
import { checkHealth } from "../../../src/daemon/operations/health.ts"
import { hour } from "../../../src/domain/GoDuration.ts"
import { identifyValues, listFingerprints } from "../../../src/daemon/operations/identifyValues.ts"
import { killswitch } from "../../../src/daemon/operations/killswitch.ts"
import { lockStore, unlockStore } from "../../../src/daemon/operations/lock.ts"
import { revokeLease } from "../../../src/daemon/operations/revoke.ts"
import { rotateSecret } from "../../../src/daemon/operations/rotate.ts"
import { daemonStatus } from "../../../src/daemon/operations/status.ts"
import { RotationHook } from "../../../src/daemon/secrets/RotationHook.ts"
import { SecretStore } from "../../../src/daemon/secrets/SecretStore.ts"
import {
  acquireLease,
  activeCount,
  addSecret,
  rotationHook,
  testLayerNoTelemetry,
  testLayerWithAudit
} from "../../support/testLayer.ts"

const hook = rotationHook(() => ({
  stdout: Buffer.from("made-up-new-value"),
  stderr: new Uint8Array(),
  status: "done",
  outcome: "exit status 0"
}))
const testLayer = Layer.provideMerge(testLayerNoTelemetry, hook)

/** The last entries, as `action` or `!action` with the details. */
const entries = (count: number) =>
  Effect.map(
    AuditLog.use((audit) => audit.tail(count)),
    (found) => found.map(({ action, details = "", success }) => `${success ? "" : "!"}${action} ${details}`.trim())
  )
const tagOf = <A, E extends { readonly _tag: string }, R>(run: Effect.Effect<A, E, R>) =>
  Effect.map(Effect.flip(run), ({ _tag }) => _tag)

describe("a locked store", () => {
  it.effect("gives and takes nothing, and each rejection is audited", () =>
    Effect.gen(function* () {
      const secrets = yield* SecretStore
      yield* addSecret("db", "made-up-value", "a command")
      yield* lockStore()
      const value = Redacted.make("made-up")
      const rejected = [
        tagOf(acquireLease("db", "c")),
        tagOf(acquireLease("nothing", "c")),
        tagOf(addSecret("other")),
        tagOf(addSecret("db")),
        tagOf(secrets.update("db", { value })),
        tagOf(secrets.update("nothing", { value })),
        tagOf(deleteSecret("db")),
        tagOf(rotateSecret("db")),
        tagOf(secrets.recordRotation("db", "exit status 0", value))
      ]
      for (const one of rejected) assert.strictEqual(yield* one, "StoreLocked")
      const recorded = yield* entries(rejected.length)
      assert.deepStrictEqual(
        new Set(recorded),
        new Set(
          ["lease_acquire", "secret_add", "secret_update", "secret_delete", "secret_rotate"].map(
            (action) => `!${action} the store is locked`
          )
        )
      )
      assert.strictEqual(yield* tagOf(secrets.list), "StoreLocked")
      assert.strictEqual(yield* tagOf(listFingerprints("c")), "StoreLocked")
      assert.strictEqual(yield* tagOf(identifyValues("c", [Buffer.from("made-up-value")])), "StoreLocked")
    }).pipe(Effect.provide(testLayer))
  )

  it.effect("keeps its leases, which can be revoked, and is open again after the unlock", () =>
    Effect.gen(function* () {
      yield* addSecret("db")
      const { lease } = yield* acquireLease("db", "c")
      yield* acquireLease("db", "d")
      const { activeLeases, already } = yield* lockStore()
      assert.deepStrictEqual([activeLeases, already, yield* activeCount], [2, false, 2])
      yield* revokeLease(lease.id)
      const { failures, leasesRevoked } = yield* killswitch({ revokeAll: true, rotateAll: false, wipeStore: false })
      assert.deepStrictEqual([leasesRevoked, failures], [1, []])
      assert.isDefined(yield* unlockStore())
      assert.strictEqual(Redacted.value((yield* acquireLease("db", "c")).value), "value of db")
      const recorded = (yield* entries(100)).filter((entry) => entry.startsWith("store_"))
      assert.deepStrictEqual(recorded, ["store_lock", "store_unlock"])
    }).pipe(Effect.provide(testLayer))
  )

  it.effect("reports itself in status and health, with the number of its secrets", () =>
    Effect.gen(function* () {
      yield* addSecret("a")
      yield* addSecret("b")
      assert.isUndefined((yield* daemonStatus).lockedSince)
      yield* lockStore()
      const status = yield* daemonStatus
      assert.deepInclude(status, { secretCount: 2, storeState: "locked" })
      assert.isDefined(status.lockedSince)
      const { total_secrets, warnings } = yield* checkHealth(hour)
      assert.deepStrictEqual([total_secrets, warnings.map(({ type }) => type)], [2, ["store_locked"]])
    }).pipe(Effect.provide(testLayer))
  )

  it.effect("can be locked and unlocked again and again", () =>
    Effect.gen(function* () {
      yield* addSecret("db")
      const first = yield* lockStore()
      const again = yield* lockStore()
      assert.deepStrictEqual([again.already, again.since], [true, first.since])
      assert.strictEqual(yield* unlockStore(), first.since)
      assert.isUndefined(yield* unlockStore())
      yield* acquireLease("db", "c")
    }).pipe(Effect.provide(testLayer))
  )

  it.effect("can be wiped and stays locked, and the other step of the killswitch fails", () =>
    Effect.gen(function* () {
      yield* addSecret("db", "x", "a command")
      yield* lockStore()
      const { failures, rotated, secretsWiped } = yield* killswitch({
        revokeAll: true,
        rotateAll: true,
        wipeStore: true
      })
      assert.deepStrictEqual([secretsWiped, rotated], [1, []])
      assert.deepStrictEqual(failures, ["rotating the secrets: the store is locked: no lease and no change"])
      assert.strictEqual(yield* tagOf(addSecret("db")), "StoreLocked")
      yield* unlockStore()
      assert.strictEqual((yield* daemonStatus).secretCount, 0)
    }).pipe(Effect.provide(testLayer))
  )

  it.effect("is locked even if the audit log cannot be written", () => {
    const broken = { now: false }
    return Effect.gen(function* () {
      yield* addSecret("db")
      broken.now = true
      assert.strictEqual(yield* tagOf(lockStore()), "LockNotKept")
      assert.strictEqual(yield* tagOf(unlockStore()), "AuditLogError")
      broken.now = false
      assert.strictEqual(yield* tagOf(acquireLease("db", "c")), "StoreLocked")
    }).pipe(Effect.provide(testLayerWithAudit(broken)))
  })
})

describe("a lock", () => {
  it.effect("comes before every lease that has no reply yet", () =>
    Effect.gen(function* () {
      yield* addSecret("db")
      const order: Array<string> = []
      const acquiring = yield* Effect.forEach(
        Array.from({ length: 50 }, (_, n) => n),
        (n) =>
          acquireLease("db", `c${n}`).pipe(
            Effect.match({ onSuccess: () => "value", onFailure: ({ _tag }) => _tag }),
            Effect.tap((outcome) => Effect.sync(() => order.push(outcome))),
            Effect.forkChild
          )
      )
      const locking = yield* Effect.forkChild(Effect.tap(lockStore(), () => Effect.sync(() => order.push("locked"))))
      const late = yield* Effect.forkChild(
        Effect.ignore(Effect.tap(acquireLease("db", "late"), () => Effect.sync(() => order.push("value"))))
      )
      yield* Effect.forEach(acquiring, (one) => Fiber.await(one))
      yield* Fiber.await(locking)
      yield* Fiber.await(late)
      assert.notInclude(order.slice(order.indexOf("locked")), "value")
    }).pipe(Effect.provide(testLayer))
  )

  it.effect("lets a rotation that runs store its value, and begins no other one", () =>
    Effect.gen(function* () {
      const [started, finish] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
      let runs = 0
      const slow = RotationHook.of({
        run: (_command, _name, admit) =>
          Effect.gen(function* () {
            if (admit !== undefined) yield* admit
            runs += 1
            yield* Deferred.succeed(started, undefined)
            yield* Deferred.await(finish)
            return { stdout: Buffer.from("made-up-new"), stderr: new Uint8Array(), status: "done", outcome: "" }
          })
      })
      const secrets = yield* SecretStore
      yield* secrets.add({ name: "db", value: Redacted.make("old"), rotateVia: "x", rotateStdout: true })
      const rotating = yield* Effect.forkChild(Effect.provideService(rotateSecret("db"), RotationHook, slow))
      yield* Deferred.await(started)
      assert.isTrue((yield* lockStore()).rotating)
      assert.strictEqual(yield* tagOf(Effect.provideService(rotateSecret("db"), RotationHook, slow)), "StoreLocked")
      assert.strictEqual(yield* tagOf(secrets.update("db", { value: Redacted.make("y") })), "StoreLocked")
      yield* Deferred.succeed(finish, undefined)
      yield* Fiber.join(rotating)
      assert.strictEqual(runs, 1)
      assert.isFalse((yield* lockStore()).rotating)
      yield* unlockStore()
      assert.strictEqual(Redacted.value((yield* acquireLease("db", "c")).value), "made-up-new")
    }).pipe(Effect.provide(testLayer))
  )
})
